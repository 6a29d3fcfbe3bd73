"""Whether what is stored is still there: the ledger's only look at its pictures' files, beside ``verify``."""

import errno
import hashlib
import os
import stat
from pathlib import Path

from pipeline.bucket import in_bucket
from pipeline.errors import StorageError
from pipeline.ledger.sql import Connection
from pipeline.ledger.states import JobState

#: What a file system answers where nothing is; any other refusal leaves the question open.
_NOTHING_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})


#: The ``error_kind`` of a stored picture that a person has let go: it is not missed, and not bought again.
PRUNED = "pruned"


def is_there(folder: Path, path: str, size_bytes: int) -> bool:
    """Whether a regular file of that size is at a recorded place: one ``stat``, no byte read.

    What is in a bucket is taken to be there: nothing takes it away by chance, and to ask for a million objects costs
    money and minutes. ``ledger verify`` asks for each.

    Args:
        folder: The ledger's.
        path: Relative to it.

    Raises:
        StorageError: It cannot be seen; "gone" would be a guess, and might buy the picture again.
    """
    if in_bucket(path):
        return True
    try:
        status = os.stat(f"{folder}/{path}")  # noqa: PTH116 - a million times; a quarter of the time of Path's
    except OSError as error:
        if error.errno in _NOTHING_THERE:
            return False
        raise _unseen(folder / path, error) from error
    return stat.S_ISREG(status.st_mode) and status.st_size == size_bytes


def digest(file: Path) -> bytes:
    """The SHA-256 of a file's bytes; raises OSError."""
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").digest()


def recorded(connection: Connection, job: int) -> list[str]:
    """Every place where a job's picture was put, relative to the ledger's folder, the earliest row's first."""
    rows = connection.execute("SELECT path FROM placements WHERE job = ? AND path IS NOT NULL ORDER BY id", (job,))
    return [path for (path,) in rows]


def as_found(connection: Connection, folder: Path, job: int, state: JobState) -> JobState:
    """The state in which a run finds a job: stored and gone is lost, but for what was pruned; back is stored again.

    Args:
        folder: The ledger's.
        state: What is recorded.

    Raises:
        StorageError: It cannot be seen whether a file is there, or what is in it.
    """
    if state not in {JobState.STORED, JobState.LOST, JobState.UNKNOWN}:
        return state
    sha256, size_bytes, kind = connection.execute("SELECT sha256, bytes, error_kind FROM jobs WHERE id = ?", (job,)).get
    if sha256 is None or (state is JobState.STORED and kind == PRUNED):
        return state
    there = (path for path in recorded(connection, job) if is_there(folder, path, size_bytes))
    if state is JobState.STORED:
        return state if any(True for _ in there) else JobState.LOST
    back = (path for path in there if not in_bucket(path))  # that takes a look, which is repair's
    return JobState.STORED if any(_holds(folder / path, sha256) for path in back) else state


def _holds(file: Path, sha256: bytes) -> bool:
    try:
        return digest(file) == sha256
    except OSError as error:
        raise _unseen(file, error) from error


def _unseen(file: Path, error: OSError) -> StorageError:
    return StorageError(
        f"{file}: it cannot be seen whether the picture is still there ({error.strerror})",
        remedy="make the folder readable or check the disk, then run again",
    )
