"""How people name a picture: by the first digits of its key, or by its file."""

import os
import re
from pathlib import Path
from typing import Any

from pipeline.errors import NotFoundError, UsageError
from pipeline.ledger import presence, reading
from pipeline.ledger.address import Address
from pipeline.ledger.sql import Connection

#: A key may be given by its first digits, as exports and tables show it.
SHORTEST_KEY = 6

_EXPORT = "see fluxbatch ledger export"
_NAMES = f"name a picture's file, or its key by {SHORTEST_KEY} to 64 hex digits: {_EXPORT}"


def is_key(text: str) -> bool:
    """Whether a text could be a key, or the first digits of one."""
    return re.fullmatch(rf"[0-9a-fA-F]{{{SHORTEST_KEY},64}}", text) is not None


def key_of(connection: Connection, path: Address, start: str) -> str:
    """The one key that begins with these digits.

    Args:
        path: The ledger, for messages.

    Raises:
        UsageError: They are too few, no hex digits, or several keys begin with them.
        NotFoundError: None does.
    """
    if not is_key(start):
        raise UsageError(f"{start!r} is not a job's key", remedy=f"give {SHORTEST_KEY} to 64 of its hex digits")
    found = reading.keys_like(connection, start)
    if not found:
        raise NotFoundError(path, f"no job has a key that begins with {start}", remedy=_EXPORT)
    if len(found) > 1:
        raise UsageError(f"several jobs have keys that begin with {start}", remedy="give more digits")
    return found[0]


def keys_of_file(connection: Connection, path: Address, file: Path) -> list[str]:
    """The keys of the pictures that a file is: by its bytes, wherever it is now; else by its place, also of one gone.

    Raises:
        NotFoundError: It cannot be read, or it is no picture of this ledger.
    """
    try:
        sha256 = presence.digest(file)
    except OSError as error:
        if found := _by_place(connection, path, file):
            return found
        raise NotFoundError(file, f"cannot be read ({error.strerror})", remedy=_NAMES) from error
    rows: list[Any] = connection.execute("SELECT key FROM jobs WHERE sha256 = ? ORDER BY id", (sha256,)).fetchall()
    found = [key.hex() for (key,) in rows] or _by_place(connection, path, file)
    if not found:
        raise NotFoundError(file, f"no job of {path} has a picture with these bytes, or at this place", remedy=_EXPORT)
    return found


def _by_place(connection: Connection, path: Address, file: Path) -> list[str]:
    """The keys whose picture was stored where the file is."""
    name = file.name.encode(errors="replace").decode()
    rows = connection.execute(
        "SELECT DISTINCT j.key, p.path FROM placements p JOIN jobs j ON j.id = p.job"
        " WHERE p.path IS NOT NULL AND substr('/' || p.path, 2 + length(p.path) - length(:tail)) = :tail",
        {"tail": "/" + name},
    )
    real = os.path.realpath(file)
    return [key.hex() for key, place in rows if os.path.realpath(path.parent / place) == real]
