"""A key from a file: taken only from one that nobody else may read or write, and never shown."""

import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.catalog import profiles
from pipeline.errors import ConfigurationError
from pipeline.runner.endpoint import configured
from pipeline.runner.keyfile import MAX_KEY_FILE_BYTES, secret

KEY = "sk-canary-0451"
VARIABLE = "FLUXBATCH_API_KEY"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return written(tmp_path / "key", f"{KEY}\n")


def written(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def taken(file: Path, **others: str) -> str:
    return secret({f"{VARIABLE}_FILE": str(file), **others}, VARIABLE)


def refused(file: Path, words: str, **others: str) -> ConfigurationError:
    """How it is refused: with the variable, the file and a remedy, never with what it holds."""
    with pytest.raises(ConfigurationError, match=words) as caught:
        taken(file, **others)
    assert f"{VARIABLE}_FILE" in caught.value.message
    assert caught.value.remedy
    assert caught.value.exit_code == 78
    assert "canary" not in str(caught.value)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_file_of_ones_own_that_nobody_else_may_use_is_taken(file: Path, mode: int) -> None:
    file.chmod(mode)
    assert taken(file) == KEY


def test_the_endpoint_takes_its_key_from_the_file_of_the_profiles_variable(file: Path) -> None:
    found = configured(profiles()["apiyi"], {f"{VARIABLE}_FILE": str(file)})
    assert found is not None
    assert found.api_key == KEY
    own = profiles()["apiyi"].model_copy(update={"api_key_env": "ACME_KEY"})
    found = configured(own, {"ACME_KEY_FILE": str(file), VARIABLE: "another"})
    assert found is not None
    assert found.api_key == KEY


def test_without_a_key_the_remedy_names_both_ways() -> None:
    with pytest.raises(ConfigurationError, match="is not set") as caught:
        configured(profiles()["apiyi"], {})
    assert f"{VARIABLE}_FILE=" in caught.value.remedy


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o644, 0o666, 0o440])
def test_a_file_that_others_may_use_is_refused(file: Path, mode: int) -> None:
    file.chmod(mode)
    assert refused(file, f"others than its owner may use it .mode {mode:04o}.").remedy.endswith(f"chmod 600 {file}")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_file_of_another_user_is_refused(file: Path, mode: int) -> None:
    file.chmod(mode)
    os.chown(file, 4242, 4242)
    refused(file, "belongs to another user")


def test_permissions_are_those_of_the_file_a_link_leads_to(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(file)
    assert taken(link) == KEY
    file.chmod(0o644)
    refused(link, "others than its owner may use it")


def make_pipe(path: Path) -> None:
    os.mkfifo(path, 0o600)


def make_folder(path: Path) -> None:
    path.mkdir(mode=0o700)


def make_device(path: Path) -> None:
    path.symlink_to("/dev/null")


@pytest.mark.parametrize("make", [make_pipe, make_folder, make_device])
def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "key")
    refused(tmp_path / "key", "is not a regular file")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        (" \n\n", "is empty"),
        (f"{KEY}\nsk-canary-2\n", "more than one line"),
        (f"# canary\n{KEY}", "more than one line"),
        (f"{KEY} {KEY}", "has characters no key has"),
        (f"{KEY}\x00", "has characters no key has"),
        ("clé", "has characters no key has"),
        ("canary" * MAX_KEY_FILE_BYTES, "is over 4,096 bytes"),
    ],
    ids=["empty", "blank", "two", "comment", "space", "nul", "letters", "long"],
)
def test_what_does_not_hold_one_key_is_refused(tmp_path: Path, text: str, words: str) -> None:
    refused(written(tmp_path / "key", text), words)


def test_bytes_that_are_no_text_are_refused(file: Path) -> None:
    file.write_bytes(b"\xff\xfe\x00canary")
    refused(file, "has characters no key has")


def test_the_longest_file_is_taken_whole(tmp_path: Path) -> None:
    longest = "k" * (MAX_KEY_FILE_BYTES - 1)
    assert taken(written(tmp_path / "key", longest + "\n")) == longest


@pytest.mark.parametrize("name", ["gone", "gone/key", "n\0ul"])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, name: str) -> None:
    refused(tmp_path / name, "cannot be read")


def test_the_variable_and_the_file_may_hold_the_same_key_but_not_two(file: Path) -> None:
    assert taken(file, **{VARIABLE: f" {KEY}\n"}) == KEY
    refused(file, "hold different keys", **{VARIABLE: "sk-canary-other"})


def test_an_empty_name_of_a_file_is_none() -> None:
    assert secret({VARIABLE: KEY, f"{VARIABLE}_FILE": " "}, VARIABLE) == KEY
    assert not secret({}, VARIABLE)


# --- access control lists, as systemd makes them -----------------------------------------------------------------

OWNER, USER, GROUP, NAMED_GROUP, MASK, OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
NOBODY = 0xFFFFFFFF
READ = 4


def share(file: Path, *named: tuple[int, int], group: int = 0) -> None:
    """Give an access control list: the owner may read, and so may what is named."""
    entries = [(OWNER, READ, NOBODY), *((tag, READ, who) for tag, who in named if tag == USER)]
    entries += [(GROUP, group, NOBODY), *((tag, READ, who) for tag, who in named if tag == NAMED_GROUP)]
    entries += [(MASK, READ, NOBODY), (OTHER, 0, NOBODY)]
    packed = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    try:
        os.setxattr(file, "system.posix_acl_access", packed)
    except OSError as error:
        pytest.skip(f"no access control lists here ({error.strerror})")
    assert file.stat().st_mode & 0o070 == 0o040  # the mask stands where the group's bits do


def test_a_credential_that_systemd_lets_this_user_read_is_taken(file: Path) -> None:
    share(file, (USER, os.geteuid()))
    assert taken(file) == KEY


def test_a_list_that_lets_others_in_is_refused(file: Path) -> None:
    share(file, (USER, os.geteuid()), (USER, 4242))
    refused(file, "others than its owner may use it")
    share(file, (USER, os.geteuid()), (NAMED_GROUP, 4242))
    refused(file, "others than its owner may use it")
    share(file, (USER, os.geteuid()), group=READ)
    refused(file, "others than its owner may use it")
