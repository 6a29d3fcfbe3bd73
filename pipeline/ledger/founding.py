"""How a ledger's file comes into being: whole or not at all, and never in the place of one that was there."""

import os
import secrets
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pipeline.errors import LedgerCorruptError

_RESTORE = "restore it from a copy, or delete {} to start a new one (its pictures are then bought again)"


def refuse_empty(path: Path) -> None:
    """Refuse an empty file: no ledger ever was one, so it is one that lost everything it knew.

    Raises:
        LedgerCorruptError: It is one.
        OSError: It cannot be seen.
    """
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return
    if stat.S_ISREG(status.st_mode) and not status.st_size:
        raise LedgerCorruptError(f"{path}: an empty file where the ledger should be", remedy=_RESTORE.format("it"))


def found(path: Path, image: Callable[[], bytes], *, link: Callable[[Path, Path], None] = os.link) -> None:
    """Make a ledger where there is none; several processes may try at once, and one file comes of it.

    It is written beside its place, made durable, and linked to its name in one step that never overwrites: a crash
    leaves no ledger or a whole one. Only its owner may read it, for it holds prompts and URLs that anybody could fetch;
    SQLite gives its own files beside it the same mode.

    Args:
        path: Where it should be.
        image: Makes the bytes of a new one.
        link: Gives a file a second name that must be free.

    Raises:
        LedgerCorruptError: There is an empty file, or a ledger's write-ahead log without its ledger.
        OSError: It cannot be made.
    """
    refuse_empty(path)
    place = Path(os.path.realpath(path))  # SQLite, too, keeps its files beside what a link leads to
    log = place.with_name(place.name + "-wal")
    # The log first: whoever founds a ledger meanwhile makes the file before its log.
    orphan = log.exists() and log.stat().st_size > 0
    if place.exists():
        return
    if orphan:
        raise LedgerCorruptError(
            f"{path}: the ledger is gone, but its write-ahead log is there", remedy=_RESTORE.format(log.name)
        )
    spare = place.with_name(f"{place.name}.new-{secrets.token_hex(4)}")
    try:
        _write(spare, image())
        _name(spare, place, link)
    finally:
        spare.unlink(missing_ok=True)
    _sync(place.parent)


def _write(file: Path, data: bytes) -> None:
    with open(file, "xb", opener=lambda path, flags: os.open(path, flags, 0o600)) as handle:
        handle.write(data)
        handle.flush()
        os.fsync(handle.fileno())


def _name(spare: Path, place: Path, link: Callable[[Path, Path], None]) -> None:
    with suppress(FileExistsError):  # another process was first: its ledger is the one
        try:
            link(spare, place)
        except FileExistsError:
            raise
        except OSError:
            # No hard links here. An empty file that must be new reserves the name, so that nobody's ledger is replaced;
            # a crash before the next line leaves it, and the next run refuses it rather than take it for a new one.
            place.open("xb").close()
            spare.replace(place)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
