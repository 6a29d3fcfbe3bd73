"""Which files are a ledger's own: its database with what stands beside it, and every picture it records."""

import os
from pathlib import Path

from pipeline.errors import UsageError
from pipeline.ledger.address import MARK, Address
from pipeline.ledger.sql import Connection

#: What SQLite and the lock keep beside a ledger.
_BESIDE = ("", "-wal", "-shm", "-journal", ".lock")


def refuse_ours(connection: Connection, ledger: Address, target: Path) -> None:
    """Refuse to let something else take the place of one of a ledger's files, there at the moment or not.

    Raises:
        UsageError: ``target`` is one.
    """
    named = (ledger.absolute(), Path(os.path.realpath(ledger))) if isinstance(ledger, Path) else (ledger.folder / MARK,)
    if any(_same(target, place.with_name(place.name + ending)) for place in named for ending in _BESIDE):
        raise UsageError(f"{target}: belongs to the ledger itself", remedy="name another file with --to")
    wanted = Path(os.path.realpath(target)).name.encode(errors="replace").decode()
    # Of a million pictures, only those with that last name are looked at; its case may not matter on this disk.
    rows = connection.execute(
        "SELECT DISTINCT path FROM placements WHERE path IS NOT NULL AND"
        " lower(substr('/' || path, 2 + length(path) - length(:tail))) = lower(:tail)",
        {"tail": "/" + wanted},
    )
    if any(_same(target, ledger.parent / path) for (path,) in rows):
        raise UsageError(f"{target}: is a picture of this ledger", remedy="name another file with --to")


def _same(target: Path, ours: Path) -> bool:
    if os.path.realpath(target) == os.path.realpath(ours):
        return True
    try:
        return target.samefile(ours)
    except OSError:  # one of them is not there, or not to be seen: then only their names can be compared
        return False
