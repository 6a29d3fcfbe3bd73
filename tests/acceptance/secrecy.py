"""What no test may leave behind: a key and signatures made to be recognised, and where they are looked for."""

import base64
import json
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from urllib.parse import quote, unquote_to_bytes

from pipeline.errors import FluxbatchError
from pipeline.ledger.connection import open_reading, open_writing

#: The key that commands are given unless a test needs another; a part of it tells of it, too.
KEY = "canary-5e1f0b7a93c4+d2/x=="
#: The token for the provider's log, where one is needed.
TOKEN = "log-canary-91ab33+7e/y=="
#: How each signature begins that a provider of these tests signs.
MARK = "cAnArYsIgN"
_PARTS = ("canary-5e1f", "93c4+d2/x", "log-canary-91ab", "ab33+7e/y")
#: Any other provider's: 32 bytes in base64, in a query or in what became of one.
_SIGNATURE = re.compile(rb"""\bsig(?:=|%3D|%253D|["']\s*[:,]\s*["'])[A-Za-z0-9%+/]{20}""", re.IGNORECASE)
_MARKED = re.compile(MARK.encode() + rb"[A-Za-z0-9+/=%]*")
_SQLITE = b"SQLite format 3\0"
_BESIDE_LEDGERS = ("-wal", "-shm", "-journal")


def assert_secrets_kept(root: Path, told: Iterable[bytes], given: Mapping[Path, bytes] = MappingProxyType({})) -> None:
    """The key is nowhere in a folder or in what was told; signatures are in ledgers alone, and only of what is bought.

    Args:
        root: The folder.
        told: What commands wrote to their standard streams.
        given: What the test itself wrote, which may hold a key as long as it stays as it is.
    """
    ledgers = [path for path in _files(root) if _is_ledger(path)]
    ours = {*ledgers, *(Path(f"{ledger}{end}") for ledger in ledgers for end in _BESIDE_LEDGERS)}
    written = {path: path.read_bytes() for path in _files(root)}
    for place, data in ({Path(f"output {number}"): text for number, text in enumerate(told)} | written).items():
        if given.get(place) == data:
            continue
        assert not key_in(data), f"the key is in {place}"
        if place not in ours:
            assert not signature_in(data), f"a signature is in {place}"
    for ledger in ledgers:
        _assert_only_live_signatures(ledger)


def key_in(data: bytes) -> bool:
    """Whether the key or the token, or half of one, stands there in any way of writing it."""
    return any(form in data for part in _PARTS for form in _forms(part))


def signature_in(data: bytes) -> bool:
    """Whether any signature stands there."""
    return _SIGNATURE.search(data) is not None or any(form in data for form in _forms(MARK))


def _forms(secret: str) -> Iterator[bytes]:
    """A secret as it is, in a URL, in JSON, in base64 wherever it begins, in hexadecimal, and as wide characters."""
    raw = secret.encode()
    yield from {raw, quote(secret, safe="").encode(), json.dumps(secret)[1:-1].replace("/", "\\/").encode()}
    yield raw.hex().encode()
    yield secret.encode("utf-16-le")
    for before in range(3):
        # The first and the last characters depend on what stands beside it.
        whole = base64.b64encode(bytes(before) + raw)
        sure = whole[(0, 2, 3)[before] : len(whole.rstrip(b"=")) - 1]
        yield sure
        yield sure.replace(b"+", b"-").replace(b"/", b"_")


def _assert_only_live_signatures(ledger: Path) -> None:
    """Look at what is left once the next command has opened the ledger: the log of a killed one is merged then."""
    with TemporaryDirectory() as folder:
        copy = Path(folder) / ledger.name
        for end in ("", "-wal"):
            if Path(f"{ledger}{end}").exists():
                shutil.copyfile(f"{ledger}{end}", f"{copy}{end}")
        try:
            open_writing(copy).close()
            live = _live(copy)
        except FluxbatchError:
            return  # damaged by its test, so that nobody knows what it says
        data = b"".join(path.read_bytes() for path in _files(Path(folder)))
    for found in _MARKED.findall(data):
        assert any(unquote_to_bytes(found).startswith(each) for each in live), f"a dead signature is in {ledger}"


def _live(ledger: Path) -> set[bytes]:
    """The signatures of what is bought and not yet here; no other job has a URL."""
    with closing(open_reading(ledger)) as connection:
        rows = connection.execute("SELECT state, url FROM jobs WHERE url IS NOT NULL").fetchall()
    assert {state for state, _ in rows} <= {"bought"}
    return {unquote_to_bytes(match) for _, url in rows for match in _MARKED.findall(str(url).encode())}


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _is_ledger(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_SQLITE)) == _SQLITE
    except OSError:
        return False
