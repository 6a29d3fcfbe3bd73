"""One buyer at a time: a lock file beside the ledger, held for the length of a run and never unlinked."""

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from pipeline.errors import LedgerBusyError, OutputError


@contextmanager
def hold(ledger: Path, *, purpose: str) -> Iterator[None]:
    """Hold the ledger, or say who does.

    The lock is the kernel's (``flock``): it ends with its process, however that dies. The file's text is for people.

    Args:
        purpose: What holds it, in a few words, for whoever comes second.

    Raises:
        LedgerBusyError: Another process holds it.
        OutputError: The lock file cannot be made; failing to lock is never "go on without".
    """
    path = ledger.with_name(ledger.name + ".lock")
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot make the lock file ({error.strerror})", remedy="check the folder's permissions"
        ) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LedgerBusyError(
                f"{ledger}: another run holds this ledger ({_holder(handle)})",
                remedy="wait for it to end, or name another ledger with --ledger",
            ) from None
        except OSError as error:
            raise OutputError(
                f"{path}: this file system does not lock ({error.strerror})", remedy="keep the ledger on a local disk"
            ) from error
        try:
            _sign(handle, purpose)
        except OSError as error:
            raise OutputError(f"{path}: cannot write the lock file ({error.strerror})", remedy="make room") from error
        yield
    finally:
        os.close(handle)


def _sign(handle: int, purpose: str) -> None:
    since = datetime.now().astimezone().isoformat(timespec="seconds")
    text = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since, "purpose": purpose})
    os.ftruncate(handle, 0)
    os.pwrite(handle, text.encode(), 0)


def _holder(handle: int) -> str:
    try:
        told = json.loads(os.pread(handle, 4096, 0))
        return f"process {told['pid']} on {told['host']} since {told['since']}: {told['purpose']}"
    except (ValueError, KeyError, TypeError, RecursionError):
        return "it has not said who it is"
