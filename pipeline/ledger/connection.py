"""The only module that knows SQLite's driver: opens the file, sets it up, and translates the driver's errors.

The driver is ``apsw`` because its wheel carries a current SQLite: up to 3.51.2 two connections that checkpoint at the
same instant can corrupt a WAL database, and an interpreter's own SQLite is often that old.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import apsw

from pipeline.errors import FluxbatchError, LedgerBusyError, LedgerCorruptError, OutputError, StorageError
from pipeline.ledger.founding import found, refuse_empty
from pipeline.ledger.schema import APPLICATION_ID, MIGRATIONS
from pipeline.ledger.trouble import trouble

Connection = apsw.Connection

#: Milliseconds a statement waits for another process's short write before it gives up.
BUSY_TIMEOUT_MS = 10_000

_SETUP = f"""
PRAGMA busy_timeout = {BUSY_TIMEOUT_MS};
PRAGMA foreign_keys = ON;
PRAGMA trusted_schema = OFF;
PRAGMA temp_store = MEMORY;
"""

#: Where the header says which versions may write and read the file, and what it says in WAL mode (its format, 1.3.3).
_VERSIONS = slice(18, 20)
_WAL = b"\2\2"

_CORRUPT = "restore it from a copy, or move it aside to start a new one (its pictures are then no longer known)"


def sqlite_version() -> str:
    """The release of SQLite that ledgers are kept with, such as ``3.53.0``."""
    return apsw.sqlite_lib_version()


def translate(error: apsw.Error, path: Path) -> FluxbatchError:
    """Say in this program's terms what SQLite reports about the ledger at ``path``."""
    match error:
        case apsw.FullError():
            return StorageError(f"{path}: the disk is full", remedy="make room and run again")
        case apsw.NotADBError():
            return LedgerCorruptError(f"{path}: not a ledger", remedy="name another with --ledger")
        case apsw.CorruptError() | apsw.FormatError():
            return LedgerCorruptError(f"{path}: the ledger is damaged", remedy=_CORRUPT)
        case apsw.BusyError() | apsw.LockedError():
            return LedgerBusyError(f"{path}: another program is writing to the ledger", remedy="try again later")
        case apsw.CantOpenError() | apsw.ReadOnlyError() | apsw.PermissionsError() | apsw.AuthError():
            return OutputError(
                f"{path}: the ledger cannot be opened or written", remedy="check the folder's permissions"
            )
        case apsw.IOError() | apsw.NoLFSError() | apsw.ProtocolError():
            return StorageError(f"{path}: the disk fails ({error})", remedy="check the disk")
        case _:
            return FluxbatchError(f"{path}: SQLite says {type(error).__name__}: {error}")


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raise the driver's errors as this program's."""
    try:
        str(path).encode()
        yield
    except apsw.Error as error:
        raise translate(error, path) from error
    except UnicodeEncodeError as error:
        raise OutputError(f"{str(path)!a}: not a UTF-8 path", remedy="name another with --ledger") from error
    except OSError as error:
        what = "the ledger cannot be opened or written"
        raise trouble(error, path, what, remedy="check the folder's permissions") from error


def open_writing(path: Path) -> Connection:
    """Open the ledger for writing, made where there is none, migrated as needed, every commit durable.

    Raises:
        OutputError: It cannot be made or written.
        StorageError: The disk is full or fails.
        LedgerCorruptError: It is damaged, empty, not a ledger, or of a newer version.
        LedgerBusyError: Another program holds it for longer than BUSY_TIMEOUT_MS.
    """
    with translated(path):
        found(path, _image)
        # Without leave to create: SQLite would begin with an empty file, which a crash would leave behind.
        connection = apsw.Connection(str(path.absolute()), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            connection.execute(_SETUP).fetchall()  # a statement that answers holds up the ones behind it
            version = _check_identity(connection, path)
            connection.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL").fetchall()
            # A URL carries its signature; once it is let go, no trace of it may stay in the file's free space.
            connection.execute("PRAGMA secure_delete = ON").fetchall()
            _require(connection, path, "journal_mode", "wal")
            _require(connection, path, "synchronous", 2)
            if version < len(MIGRATIONS):
                _migrate(connection)
        except BaseException:  # closed or undone, whatever it is, and raised again
            connection.close()
            raise
        return connection


def open_reading(path: Path) -> Connection:
    """Open an existing ledger for reading only; sees what is committed, never blocks a writer.

    Raises:
        As ``open_writing``.
    """
    with translated(path):
        refuse_empty(path)
        connection = apsw.Connection(str(path.absolute()), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            connection.execute(_SETUP).fetchall()  # a statement that answers holds up the ones behind it
            if _check_identity(connection, path) < len(MIGRATIONS):
                raise LedgerCorruptError(
                    f"{path}: the ledger is of an older version",
                    remedy="any `fluxbatch run` on it brings it up to date",
                )
        except BaseException:  # closed or undone, whatever it is, and raised again
            connection.close()
            raise
        return connection


def _check_identity(connection: Connection, path: Path) -> int:
    """The schema's version; refuses what is not a ledger or is newer than this program."""
    connection.execute("BEGIN")  # one view of the file for both: another process may be migrating it right now
    application = connection.pragma("application_id")
    version = connection.pragma("user_version")
    connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()  # neither pragma reads beyond the header
    connection.execute("COMMIT")
    if application != APPLICATION_ID:
        raise LedgerCorruptError(f"{path}: a database, but not a ledger", remedy="name another with --ledger")
    if version > len(MIGRATIONS):
        raise LedgerCorruptError(f"{path}: made by a newer fluxbatch", remedy="upgrade fluxbatch")
    return int(version)


def _image() -> bytes:
    """A new ledger, as the bytes of its file.

    It is in WAL mode from the first: turned into that later, it would need a rollback journal, and a run that died just
    then would leave a ledger that nobody could read before another had written it.
    """
    with closing(apsw.Connection(":memory:")) as connection:
        _migrate(connection)
        image = connection.serialize("main")
    return image[: _VERSIONS.start] + _WAL + image[_VERSIONS.stop :]


def _migrate(connection: Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for number in range(int(connection.pragma("user_version")), len(MIGRATIONS)):
            connection.execute(MIGRATIONS[number])
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}; PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("COMMIT")
    except BaseException:  # closed or undone, whatever it is, and raised again
        if connection.in_transaction:  # SQLite rolls back by itself after some errors
            connection.execute("ROLLBACK")
        raise


def _require(connection: Connection, path: Path, pragma: str, value: object) -> None:
    if connection.pragma(pragma) != value:
        raise StorageError(
            f"{path}: this file system does not allow {pragma} = {value}", remedy="keep the ledger on a local disk"
        )
