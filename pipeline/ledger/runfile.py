"""A run's own file beside the ledger: locked while the run lives, and heavy enough to make room on a full disk."""

import errno
import fcntl
import json
import os
import signal
import socket
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Self

from pipeline.errors import FluxbatchError, OutputError, StorageError
from pipeline.ledger.trouble import trouble

#: What a run keeps of the disk for its own records: 512 requests in flight, each with two steps still to be written
#: down, of up to eight pages of 4 KiB in the write-ahead log.
BALLAST_BYTES = 32 * 1024 * 1024
#: Where a file system, or a limit on the process, has no such thing as ballast: the run goes without.
_NO_BALLAST = frozenset({errno.EFBIG, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS})


def beside(ledger: Path, ending: str) -> Path:
    """What stands beside a ledger: where SQLite's own files do, whatever links lead there."""
    place = Path(os.path.realpath(ledger))
    return place.with_name(place.name + ending)


def folder_of(ledger: Path) -> Path:
    """Where the files of the runs that are on stand."""
    return beside(ledger, ".runs")


class RunFile:
    """Says that a run lives, by the kernel's lock (``flock``), which ends with its process, however that dies.

    It takes up ``BALLAST_BYTES`` of the disk besides. A full disk refuses even the smallest record of what is paid;
    then the run gives its ballast up, and writes down with that room what its requests under way come to.

    Make and remove it inside the ledger's write transaction: no other run judges or sweeps then.
    """

    def __init__(self, path: Path, handle: int) -> None:
        self._path = path
        self._handle = handle
        self._told = 0  # the length of the signature
        self.light = False  # the ballast is given up

    @classmethod
    def make(cls, ledger: Path, run_id: str, purpose: str) -> Self:
        """Make the file of a run that begins.

        Args:
            purpose: What the run is, in a few words, for whoever comes second.

        Raises:
            StorageError: The disk fails, or has no room for the ballast; nothing may be bought.
            OutputError: The file cannot be made or locked.
        """
        path = folder_of(ledger) / run_id
        try:
            path.parent.mkdir(exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise _unmade(error, path) from error
        made = cls(path, handle)
        try:
            made._sign(signature(purpose))
            made._take_ballast()
        except BaseException:  # removed, whatever it is, and raised again: the same run may try once more
            made.remove()
            raise
        return made

    @classmethod
    def inherited(cls, ledger: Path, run_id: str, handle: int) -> Self:
        """The file of the run that this process is a part of: it is alive as long as any of them is."""
        made = cls(folder_of(ledger) / run_id, handle)
        made._told = len(os.pread(handle, 4096, 0).partition(b"\n")[0]) + 1
        return made

    @property
    def handle(self) -> int:
        """The descriptor that holds the lock."""
        return self._handle

    def give_way(self) -> bool:
        """Give the ballast up to whatever must still be written; whether there was any left to give."""
        if self.light:
            return False
        self.light = True
        with suppress(OSError):  # then the next write fails as this one did
            os.ftruncate(self._handle, self._told)
        return True

    def remove(self) -> None:
        """The run is over."""
        with suppress(OSError):  # what stays is swept by the next run
            self._path.unlink()
            self._path.parent.rmdir()  # only when it was the last
        self.close()

    def close(self) -> None:
        """Let go of the lock; the file stays, as that of a run that died."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _sign(self, text: bytes) -> None:
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._told = os.pwrite(self._handle, text, 0)
        except OSError as error:
            raise _unmade(error, self._path) from error

    def _take_ballast(self) -> None:
        try:
            os.posix_fallocate(self._handle, self._told, BALLAST_BYTES)
        except OSError as error:
            if error.errno in _NO_BALLAST:
                self.light = True
                return
            raise StorageError(
                f"{self._path}: no room to hold {BALLAST_BYTES // 2**20} MiB for the ledger ({error.strerror})",
                remedy="make room and run again",
            ) from error


def _unmade(error: OSError, path: Path) -> FluxbatchError:
    return trouble(error, path, "cannot be made", remedy="check the folder's permissions")


def is_alive(ledger: Path, run_id: str) -> bool:
    """Whether a run of this ledger is on: its file is there, and locked.

    Raises:
        OutputError: It cannot be seen; "dead" would be a guess.
    """
    path = folder_of(ledger) / run_id
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise OutputError(
            f"{path}: it cannot be seen whether that run is on ({error.strerror})", remedy="check its permissions"
        ) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two that look at once do not see each other
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def ask_to_stop(ledger: Path, run_id: str) -> bool:
    """Send SIGTERM to the process of a run that is on, if it is this user's and on this machine; whether it was sent.

    The lock on its file proves that the process which signed it lives, so that the number is still its own.
    """
    path = folder_of(ledger) / run_id
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        said = json.loads(os.pread(handle, 4096, 0).partition(b"\n")[0])
        ours = os.fstat(handle).st_uid == os.getuid() and said["host"] == socket.gethostname()
        if not ours or not isinstance(said["pid"], int) or said["pid"] <= 1 or not is_alive(ledger, run_id):
            return False
        os.kill(said["pid"], signal.SIGTERM)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False
    finally:
        os.close(handle)
    return True


def sweep(ledger: Path) -> None:
    """Remove the files of runs that died. Inside the ledger's write transaction only."""
    for run_id in _names(ledger):
        if not is_alive(ledger, run_id):
            with suppress(OSError):
                (folder_of(ledger) / run_id).unlink()


def holders(ledger: Path) -> list[str]:
    """Who is running on the ledger, a few words each, for people."""
    return [_read(folder_of(ledger) / run_id) for run_id in _names(ledger) if is_alive(ledger, run_id)]


def signature(purpose: str) -> bytes:
    """Who this process is and what it is about, as the first line of a lock file."""
    since = datetime.now().astimezone().isoformat(timespec="seconds")
    text = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since, "purpose": purpose})
    return text.encode() + b"\n"


def told(text: bytes) -> str:
    """A signature in words; of one that cannot be read, that."""
    try:
        said = json.loads(text.partition(b"\n")[0])
        return f"process {said['pid']} on {said['host']} since {said['since']}: {said['purpose']}"
    except (ValueError, KeyError, TypeError, RecursionError):
        return "it has not said who it is"


def _names(ledger: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder_of(ledger)))  # noqa: PTH208 - names are what is wanted
    except OSError:
        return []


def _read(path: Path) -> str:
    try:
        with path.open("rb") as handle:
            return told(handle.read(4096))
    except OSError:
        return told(b"")
