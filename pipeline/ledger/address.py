"""Where a ledger is: a file, or a database on a PostgreSQL server with a folder for the pictures."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from pipeline.errors import UsageError

#: The schemes of a server's address.
_SCHEMES = ("postgresql", "postgres")
#: What of an address opens the door, besides ``user:password@``.
_SECRETS = {"password", "sslpassword", "passfile", "sslkey"}
#: Says in a folder that a database's ledger records its pictures relative to it, and which ledger that is.
MARK = ".fluxbatch-ledger"


@dataclass(frozen=True, slots=True)
class Server:
    """A ledger in a database of its own.

    Attributes:
        url: libpq's address, perhaps with a password: for the driver only. What people see is ``str()``.
        folder: What the paths in the ledger are relative to.
    """

    url: str = field(repr=False)
    folder: Path

    def __str__(self) -> str:
        return redacted(self.url)

    @property
    def parent(self) -> Path:
        """The folder, as a ledger's file has one."""
        return self.folder

    @property
    def name(self) -> str:
        """What to call it in a few words."""
        return str(self)


#: Where a ledger is.
Address = Path | Server


def is_server(text: str) -> bool:
    """Whether somebody means a PostgreSQL server."""
    return text.partition("://")[0].lower() in _SCHEMES and "://" in text


def address_of(ledger: str | Path | Server, output: Path) -> Address:
    """Where the ledger is that somebody names.

    Args:
        ledger: A path, or a server's URL.
        output: The output folder. A server's ledger records pictures relative to the nearest folder above it, or
            itself, that is marked as its own; to itself where none is.

    Raises:
        UsageError: It is the URL of something else.
    """
    if isinstance(ledger, Server):
        return ledger
    text = str(ledger)
    if isinstance(ledger, str) and is_server(text):
        return Server(text, _marked(output))
    if "://" in text:
        raise UsageError(
            f"--ledger {text.partition('://')[0]}://...: a ledger is a file or a PostgreSQL database",
            remedy="name a path, or postgresql://HOST/DATABASE",
        )
    return Path(ledger)


def redacted(url: str) -> str:
    """A server's address without what opens its door."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return f"{url.partition('://')[0]}://..."
    user, at, host = parts.netloc.rpartition("@")
    shown = [(key, value) for key, value in parse_qsl(parts.query) if key.lower() not in _SECRETS]
    return urlunsplit((parts.scheme, user.partition(":")[0] + at + host, parts.path, urlencode(shown, safe="/"), ""))


def has_secret(url: str) -> bool:
    """Whether a server's address carries a password."""
    parts = urlsplit(url)
    return ":" in parts.netloc.rpartition("@")[0] or re.search(r"(^|&)(ssl)?password=", parts.query.lower()) is not None


def _marked(output: Path) -> Path:
    place = Path(os.path.realpath(output))
    return next((folder for folder in (place, *place.parents) if (folder / MARK).is_file()), output)
