"""What it means for a run that one of the ledger's files cannot be made, seen or written."""

import errno
from pathlib import Path

from pipeline.errors import FluxbatchError, OutputError, StorageError


def trouble(error: OSError, path: Path, what: str, *, remedy: str) -> FluxbatchError:
    """Turn a file system's error into the run's.

    Args:
        error: What the file system said.
        path: The file.
        what: What could not be done, in words, where the place is wrong rather than the disk.
        remedy: What helps then.

    Returns:
        StorageError where the disk is full or fails, OutputError where the place is wrong.
    """
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return StorageError(f"{path}: the disk is full", remedy="make room and run again")
    if error.errno == errno.EFBIG:
        return StorageError(f"{path}: no file may grow that large", remedy="raise the limit (ulimit -f) and run again")
    if error.errno == errno.EIO:
        return StorageError(f"{path}: the disk fails ({error.strerror})", remedy="check the disk")
    return OutputError(f"{path}: {what} ({error.strerror})", remedy=remedy)
