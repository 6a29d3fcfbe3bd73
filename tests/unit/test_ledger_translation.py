"""Every error of the driver has its place among this program's."""

import errno
import os
from pathlib import Path

import apsw
import pytest

from pipeline.errors import FluxbatchError, LedgerBusyError, LedgerCorruptError, OutputError, StorageError
from pipeline.ledger.connection import translate, translated

PATH = Path("output/ledger.db")

#: What has a remedy of its own; what is left is a misuse of the driver: our bug.
MAPPED: dict[type[FluxbatchError], set[str]] = {
    StorageError: {"FullError", "IOError", "NoLFSError", "ProtocolError"},
    LedgerCorruptError: {"NotADBError", "CorruptError", "FormatError"},
    LedgerBusyError: {"BusyError", "LockedError"},
    OutputError: {"CantOpenError", "ReadOnlyError", "PermissionsError", "AuthError"},
    FluxbatchError: {
        "AbortError",
        "BindingsError",
        "ConnectionClosedError",
        "ConnectionNotClosedError",
        "ConstraintError",
        "CursorClosedError",
        "EmptyError",
        "Error",
        "ExecTraceAbort",
        "ExecutionCompleteError",
        "ExtensionLoadingError",
        "ForkingViolationError",
        "IncompleteExecutionError",
        "InternalError",
        "InterruptError",
        "InvalidContextError",
        "MismatchError",
        "MisuseError",
        "NoFTS5Error",
        "NoMemError",
        "NotFoundError",
        "RangeError",
        "SQLError",
        "SchemaChangeError",
        "ThreadingViolationError",
        "TooBigError",
        "VFSFileClosedError",
        "VFSNotImplementedError",
    },
}

DRIVERS: dict[str, type[apsw.Error]] = {
    name: found for name, found in vars(apsw).items() if isinstance(found, type) and issubclass(found, apsw.Error)
}


def test_every_error_of_the_driver_is_considered() -> None:
    considered = [name for names in MAPPED.values() for name in names]
    assert sorted(considered) == sorted(DRIVERS)


@pytest.mark.parametrize(
    ("name", "expected"), [(name, expected) for expected, names in MAPPED.items() for name in sorted(names)]
)
def test_an_error_of_the_driver_becomes_ours(name: str, expected: type[FluxbatchError]) -> None:
    error = translate(DRIVERS[name]("detail"), PATH)
    assert type(error) is expected
    assert str(error).startswith("output/ledger.db: ")
    assert "\n" not in str(error)


def test_the_drivers_error_is_kept_as_the_cause() -> None:
    cause = apsw.FullError("database or disk is full")
    with pytest.raises(StorageError) as caught, translated(PATH):
        raise cause
    assert caught.value.__cause__ is cause


@pytest.mark.parametrize(
    ("code", "kind", "says"),
    [
        (errno.ENOSPC, StorageError, "the disk is full"),
        (errno.EDQUOT, StorageError, "the disk is full"),
        (errno.EIO, StorageError, "the disk fails"),
        (errno.EFBIG, StorageError, "no file may grow that large"),
        (errno.EACCES, OutputError, "cannot be opened or written"),
        (errno.ENAMETOOLONG, OutputError, "cannot be opened or written"),
    ],
)
def test_what_keeps_a_file_from_being_made_is_said(code: int, kind: type[FluxbatchError], says: str) -> None:
    with pytest.raises(kind, match=says) as caught, translated(PATH):
        raise OSError(code, os.strerror(code))
    assert caught.value.remedy
    assert "\n" not in str(caught.value)
