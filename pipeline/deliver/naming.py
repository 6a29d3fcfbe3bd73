"""The only module that gives a proven file its final name: never over another file, the same picture only once."""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from pipeline.deliver.disk import Disk

#: Suffixes tried after a taken name, ``-2`` onwards, before giving up.
MAX_NAMES = 1000

#: What a file system without hard links answers, and one where this file can have no more of them.
_NO_LINKS = frozenset(
    {
        errno.EMLINK,
        errno.ENOSYS,
        errno.ENOTSUP,
        errno.EOPNOTSUPP,
        errno.EPERM,
        errno.EXDEV,
    }
)


def name_file(disk: Disk, source: Path, wanted: Path, suffix: str, *, spare: Path) -> Path:
    """Give a durable file a second, final name: ``wanted`` + ``suffix``, else ``-2``, ``-3``... before the suffix.

    A name that already holds the same file or the same bytes is taken over: a crash came between naming and
    recording. The source stays where it is, as evidence until the record is durable. Blocks; call from a thread.

    Args:
        disk: The file system.
        source: The file, synced, in the same folder or another of the same output.
        wanted: The final path without its suffix; its folder exists.
        suffix: With its dot.
        spare: A name in the same folder that is this caller's own, for file systems without hard links.

    Returns:
        The final path; its name is durable once its folder is synced, which is left to the caller.

    Raises:
        OSError: The file system refused, or MAX_NAMES names are taken (EEXIST).
    """
    for candidate in _candidates(wanted, suffix):
        try:
            _link_or_copy(disk, source, candidate, spare)
        except FileExistsError:
            if not _same(disk, source, candidate):
                continue
            disk.sync(candidate)
        return candidate
    raise FileExistsError(errno.EEXIST, f"{MAX_NAMES} files of that name", str(wanted) + suffix)


def _candidates(wanted: Path, suffix: str) -> Iterator[Path]:
    yield wanted.parent / f"{wanted.name}{suffix}"
    for number in range(2, MAX_NAMES + 1):
        yield wanted.parent / f"{wanted.name}-{number}{suffix}"


def _link_or_copy(disk: Disk, source: Path, target: Path, spare: Path) -> None:
    try:
        disk.link(source, target)
    except FileExistsError:
        raise
    except OSError as exc:
        if exc.errno not in _NO_LINKS:
            raise
        _copy(disk, source, target, spare)


def _copy(disk: Disk, source: Path, target: Path, spare: Path) -> None:
    # An empty file that must be new reserves the name; the whole copy then takes its place in one step. A crash
    # between the two leaves an empty file, and the next try takes "-2": an empty file may be another process's
    # reservation at this instant, so it is never taken over.
    disk.remove(spare)
    disk.copy_new(source, spare)
    disk.sync(spare)
    try:
        disk.write_new(target, b"")
        disk.replace(spare, target)
    finally:
        disk.remove(spare)


def _same(disk: Disk, source: Path, other: Path) -> bool:
    ours, theirs = disk.look(source), disk.look(other)
    if ours is None or theirs is None or not stat.S_ISREG(theirs.st_mode) or ours.st_size != theirs.st_size:
        return False
    if os.path.samestat(ours, theirs):
        return True
    try:
        return disk.digest(source) == disk.digest(other)
    except PermissionError:  # somebody else's file; ours goes under the next name
        return False
