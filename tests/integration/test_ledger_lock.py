"""One buyer at a time: who holds a ledger, and what ends that."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import ExitCode, LedgerBusyError, OutputError, StorageError
from pipeline.ledger import hold

ROOT = Path(__file__).parents[2]

_HOLD = """
import signal, sys
from pathlib import Path
from pipeline.ledger import hold
with hold(Path(sys.argv[1]), purpose="buying the poster"):
    print("held", flush=True)
    signal.pause()
"""


def test_a_second_holder_is_told_who_the_first_is(tmp_path: Path) -> None:
    with (
        hold(tmp_path / "ledger.db", purpose="run poster.yaml"),
        pytest.raises(LedgerBusyError) as caught,
        hold(tmp_path / "ledger.db", purpose="run other.yaml"),
    ):
        pytest.fail("both hold the ledger")
    assert f"process {os.getpid()} on " in str(caught.value)
    assert "run poster.yaml" in str(caught.value)
    assert caught.value.exit_code is ExitCode.TEMPORARY
    assert "\n" not in str(caught.value)


def test_the_lock_ends_with_its_block_and_its_file_stays(tmp_path: Path) -> None:
    with hold(tmp_path / "ledger.db", purpose="the first, with a long explanation"):
        pass
    with hold(tmp_path / "ledger.db", purpose="the second"):
        text = (tmp_path / "ledger.db.lock").read_text()
    assert "the second" in text
    assert "explanation" not in text
    assert (tmp_path / "ledger.db.lock").exists()


def test_the_lock_ends_with_its_block_when_that_fails(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), hold(tmp_path / "ledger.db", purpose="the first"):
        raise RuntimeError
    with hold(tmp_path / "ledger.db", purpose="the second"):
        pass


def test_another_process_holds_until_it_is_killed(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.db"
    child = subprocess.Popen([sys.executable, "-c", _HOLD, str(ledger)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        with (
            pytest.raises(LedgerBusyError, match=f"process {child.pid} on .*: buying the poster"),
            hold(ledger, purpose="the second"),
        ):
            pytest.fail("both hold the ledger")
    finally:
        child.kill()
        child.communicate()
    with hold(ledger, purpose="the next"):
        pass


GARBAGE = [b"", b"\xff\x00", b"{", b"[1]", b'"text"', b'{"pid": 1}', b"[" * 4_096]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_in_the_lock_file_is_no_obstacle(tmp_path: Path, garbage: bytes) -> None:
    (tmp_path / "ledger.db.lock").write_bytes(garbage)
    with hold(tmp_path / "ledger.db", purpose="the first"):
        pass


@pytest.mark.parametrize("garbage", GARBAGE)
def test_a_holder_whose_words_are_garbage_is_still_a_holder(tmp_path: Path, garbage: bytes) -> None:
    with hold(tmp_path / "ledger.db", purpose="the first"):
        (tmp_path / "ledger.db.lock").write_bytes(garbage)
        with (
            pytest.raises(LedgerBusyError, match="has not said who it is"),
            hold(tmp_path / "ledger.db", purpose="the second"),
        ):
            pytest.fail("both hold the ledger")


def test_a_lock_file_that_is_a_link_is_refused_and_what_it_names_is_left(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("as it was")
    (tmp_path / "ledger.db.lock").symlink_to(tmp_path / "precious")
    with pytest.raises(OutputError) as caught, hold(tmp_path / "ledger.db", purpose="the first"):
        pytest.fail("went on through a link")
    assert caught.value.exit_code is ExitCode.CANNOT_CREATE
    assert (tmp_path / "precious").read_text() == "as it was"


@pytest.mark.parametrize("name", ["missing/ledger.db", "taken"])
def test_a_lock_that_cannot_be_made_is_never_gone_on_without(tmp_path: Path, name: str) -> None:
    (tmp_path / "taken.lock").mkdir()
    with pytest.raises(OutputError, match="cannot make the lock file"), hold(tmp_path / name, purpose="the first"):
        pytest.fail("went on without the lock")


def test_a_lock_that_cannot_be_signed_is_let_go(tmp_path: Path) -> None:
    """As on a full disk: the file is there, and no byte of it can be written."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with (
            pytest.raises(StorageError, match="no file may grow that large"),
            hold(tmp_path / "ledger.db", purpose="the first"),
        ):
            pytest.fail("went on without a name in the lock")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    with hold(tmp_path / "ledger.db", purpose="the second"):
        pass


def test_a_ledger_is_held_under_each_of_its_names(tmp_path: Path) -> None:
    (tmp_path / "books").mkdir()
    (tmp_path / "books/ledger.db").touch()
    (tmp_path / "link.db").symlink_to("books/ledger.db")
    with (
        hold(tmp_path / "books/ledger.db", purpose="the first"),
        pytest.raises(LedgerBusyError, match="the first"),
        hold(tmp_path / "link.db", purpose="the second"),
    ):
        pytest.fail("both hold the ledger")


def test_those_who_share_hold_it_together_and_nobody_alone_beside_them(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.db"
    with (
        hold(ledger, purpose="the first", shared=True),
        hold(ledger, purpose="the second", shared=True),
        pytest.raises(LedgerBusyError, match="the second"),
        hold(ledger, purpose="alone"),
    ):
        pytest.fail("held alone and shared")
    with (
        hold(ledger, purpose="alone"),
        pytest.raises(LedgerBusyError, match="alone"),
        hold(ledger, purpose="the third", shared=True),
    ):
        pytest.fail("held alone and shared")


@pytest.mark.parametrize("target", ["folder", "device"])
def test_beside_what_is_no_file_no_lock_is_left(tmp_path: Path, target: str) -> None:
    ledger = tmp_path / "ledger.db"
    if target == "folder":
        ledger.mkdir()
    else:
        ledger.symlink_to(os.devnull)
    with pytest.raises(OutputError, match="not an ordinary file") as caught, hold(ledger, purpose="run poster.yaml"):
        pytest.fail("it is held")
    assert "--ledger" in caught.value.remedy
    assert [path.name for path in tmp_path.iterdir()] == ["ledger.db"]
