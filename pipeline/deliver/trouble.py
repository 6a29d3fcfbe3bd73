"""The only module that says what a failing file system means for the run, and what to do about it."""

import errno
from pathlib import Path

from pipeline.errors import FluxbatchError, OutputError, StorageError

#: The place is wrong, rather than the disk: another place, or other rights, and the same run works.
_PLACE = frozenset(
    {
        errno.EACCES,
        errno.EEXIST,
        errno.EISDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EPERM,
    }
)

_REMEDIES = {
    errno.ENOSPC: "free some space, then run again: what is paid is fetched first",
    errno.EDQUOT: "raise the quota or free some space, then run again: what is paid is fetched first",
    errno.EFBIG: "raise the limit on file sizes (ulimit -f), then run again",
    errno.EMFILE: "raise the limit on open files (ulimit -n), then run again",
    errno.ENFILE: "close other programs or raise the system's limit on open files, then run again",
    errno.EROFS: "mount it writable or choose another folder with --output, then run again",
}


def trouble(error: OSError, place: Path) -> FluxbatchError:
    """Turn a file system's error into the run's.

    Args:
        error: What the file system said.
        place: The file or folder to name where the error names none.

    Returns:
        OutputError where the place is wrong, StorageError where the disk is full or fails.
    """
    name = error.filename or place
    message = f"{name}: {error.strerror or error}"
    if error.errno in _PLACE:
        return OutputError(message, remedy="make the folder writable or choose another with --output")
    return StorageError(message, remedy=_REMEDIES.get(error.errno or 0, "check the disk, then run again"))
