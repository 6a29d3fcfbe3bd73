"""One buyer at a time, or several that agreed to share: a lock file beside the ledger, held for a run's length."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from pipeline.errors import LedgerBusyError, OutputError
from pipeline.ledger import runfile
from pipeline.ledger.address import Address, Server
from pipeline.ledger.trouble import trouble

#: Whoever has only just taken the lock is given so many looks, and so many seconds between two, to say who it is.
_LOOKS = 20
_BETWEEN_LOOKS_S = 0.01


@contextmanager
def hold(ledger: Address, *, purpose: str, shared: bool = False) -> Iterator[int]:
    """Hold the ledger, or say who does; gives the lock's descriptor.

    Runs on a server always share, and hold nothing here, which is -1: their rows say so there. For a file, a process
    that inherits the descriptor holds the lock, too, until it ends.

    The lock is the kernel's (``flock``): it ends with its process, however that dies. The file is never unlinked; its
    text is for people. Only its owner may open it, or anybody could lock it and keep every run waiting.

    Args:
        purpose: What holds it, in a few words, for whoever comes second.
        shared: Beside others that share it, too; none of them begins while one holds it alone, and the other way round.

    Raises:
        LedgerBusyError: Another process holds it.
        OutputError: The lock file cannot be made, or what is named is a folder or a device, beside which there is no
            place for one; failing to lock is never "go on without".
        StorageError: The disk is full or fails.
    """
    if isinstance(ledger, Server):
        from pipeline.ledger.postgres.holding import alone

        with nullcontext() if shared else alone(ledger):
            yield -1
        return
    with _locked(ledger, purpose, shared=shared) as handle:
        yield handle


@contextmanager
def _locked(ledger: Path, purpose: str, *, shared: bool) -> Iterator[int]:
    if ledger.exists() and not ledger.is_file():
        raise OutputError(f"{ledger}: not an ordinary file", remedy="name another with --ledger")
    path = runfile.beside(ledger, ".lock")
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise trouble(error, path, "cannot make the lock file", remedy="check the folder's permissions") from error
    try:
        try:
            fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LedgerBusyError(
                f"{ledger}: another run holds this ledger ({_holder(ledger, handle)})",
                remedy="let it end (--wait SECONDS), or name another ledger with --ledger",
            ) from None
        except OSError as error:
            raise OutputError(
                f"{path}: this file system does not lock ({error.strerror})", remedy="keep the ledger on a local disk"
            ) from error
        try:
            _sign(handle, purpose)
        except OSError as error:
            raise trouble(error, path, "cannot write the lock file", remedy="check the disk") from error
        yield handle
    finally:
        os.close(handle)


def _sign(handle: int, purpose: str) -> None:
    text = runfile.signature(purpose)
    os.pwrite(handle, text, 0)
    os.ftruncate(handle, len(text))


def _holder(ledger: Path, handle: int) -> str:
    """Whoever holds it: the runs that are on, or what the lock file says of one that is not there yet."""
    for _ in range(_LOOKS):
        if said := "; ".join(runfile.holders(ledger)) or os.pread(handle, 4096, 0):
            return said if isinstance(said, str) else runfile.told(said)
        time.sleep(_BETWEEN_LOOKS_S)
    return runfile.told(b"")
