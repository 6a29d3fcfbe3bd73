"""How a ledger comes into being on a server, is brought up to date, and knows its folder again."""

import os
from collections.abc import Callable
from contextlib import suppress
from importlib.resources import files
from pathlib import Path

from pipeline.errors import LedgerBusyError, LedgerCorruptError, NotFoundError, OutputError
from pipeline.ledger.address import MARK, Server
from pipeline.ledger.postgres import lives
from pipeline.ledger.postgres.connection import SCHEMA, Connection, translated
from pipeline.ledger.trouble import trouble

#: ``tables_N.sql`` brings a ledger from version N - 1 to N. An old one is never changed.
VERSION = 2
#: What may be said anew at any version, and is after every migration.
_SAID_ANEW = ("words.sql", "steps.sql", "fleet.sql")
#: Whether pictures are in the folder; those in a bucket are nobody's folder's.
_HAS_FILES = "SELECT EXISTS (SELECT 1 FROM placements WHERE path IS NOT NULL AND NOT starts_with(path, 's3://'))"
#: Held while tables are made or changed.
_MIGRATING = 7378717155330818051


def open_writing(server: Server, *, lost: Callable[[Exception], None] | None = None) -> Connection:
    """Open a server's ledger for writing; made where the database has none.

    Raises:
        ConfigurationError: The server lets nobody in, or psycopg is not installed.
        StorageError: It cannot be reached.
        LedgerCorruptError: The ledger is of another version.
    """
    with translated(server):
        connection = Connection(server, writing=True, lost=lost)
        try:
            if version_of(connection) == 0:
                migrate(connection)
            require_version(connection, server)
        except BaseException:  # closed, whatever it is, and raised again
            connection.close()
            raise
        return connection


def open_reading(server: Server) -> Connection:
    """Open an existing ledger for reading only.

    Raises:
        NotFoundError: The database has none.
        ConfigurationError, StorageError, LedgerCorruptError: As ``open_writing``.
    """
    with translated(server):
        connection = Connection(server, writing=False)
        try:
            if version_of(connection) == 0:
                raise NotFoundError(server, "no such ledger", remedy="a run makes one; name another with --ledger")
            require_version(connection, server)
        except BaseException:  # closed, whatever it is, and raised again
            connection.close()
            raise
        return connection


def exists(server: Server) -> bool:
    """Whether the database has a ledger."""
    try:
        open_reading(server).close()
    except NotFoundError:
        return False
    return True


def version_of(connection: Connection) -> int:
    """The version of the ledger's tables; 0 where there are none."""
    there = connection.call("SELECT to_regclass(%s) IS NOT NULL", f"{SCHEMA}.about")
    return int(connection.call("SELECT version FROM about")) if there else 0


def require_version(connection: Connection, server: Server) -> None:
    """Refuse a ledger of another version: other programs may be at work on it."""
    version = version_of(connection)
    if version > VERSION:
        raise LedgerCorruptError(f"{server}: made by a newer fluxbatch", remedy="upgrade fluxbatch")
    if version < VERSION:
        raise LedgerCorruptError(
            f"{server}: the ledger is of an older version", remedy="`fluxbatch ledger migrate` brings it up to date"
        )


def migrate(connection: Connection) -> tuple[int, int]:
    """Bring the tables and functions to this version, all or nothing; several may try at once.

    Returns:
        The version before, and now.
    """
    connection.script("BEGIN")
    try:
        connection.call("SELECT pg_advisory_xact_lock(%s)", _MIGRATING)
        connection.script(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
        before = version_of(connection)
        if before <= VERSION:
            for number in range(before + 1, VERSION + 1):
                connection.script(_text(f"tables_{number}.sql"))
                connection.call("UPDATE about SET version = %s", number)
            for name in _SAID_ANEW:
                connection.script(_text(name))
        connection.script("COMMIT")
    except BaseException:  # undone, whatever it is, and raised again
        with suppress(Exception):
            connection.script("ROLLBACK")
        raise
    return before, max(before, VERSION)


def migrated(server: Server) -> tuple[int, int]:
    """Make a ledger, or bring it up to date while no run is on; its pictures are in the folder from here on.

    Returns:
        The version before, 0 where there was none, and now.

    Raises:
        LedgerBusyError: A run is on.
        OutputError: The folder cannot be marked.
    """
    with translated(server):
        connection = Connection(server, writing=True)
        try:
            if version_of(connection) == 0:
                before, now = migrate(connection)
            else:
                claim_alone(connection, server)
                before, now = migrate(connection)
            require_version(connection, server)
            mark_folder(connection, server)
        finally:
            connection.close()
    return before, now


def claim_alone(connection: Connection, server: Server) -> None:
    """Have the ledger alone until the connection ends, or say who is on it.

    An advisory lock of the session, never waited for: no run begins while it is held, and it ends with its process.
    Runs that are on are told by their rows, which outlive a restart of the server.

    Raises:
        LedgerBusyError: A run is on, or somebody else has it alone.
    """
    if not connection.call("SELECT pg_try_advisory_lock(alone_lock())"):
        raise _busy(server, "somebody else has it alone")
    lives.pronounce_dead(connection)
    if on := lives.holders(connection):
        raise _busy(server, "; ".join(on))


def _busy(server: Server, who: str) -> LedgerBusyError:
    return LedgerBusyError(
        f"{server}: another run holds this ledger ({who})",
        remedy="let it end (--wait SECONDS), or name another ledger with --ledger",
    )


def know_folder(connection: Connection, server: Server) -> None:
    """Refuse a folder that is not the one whose pictures the ledger records; a new ledger marks its own.

    By a mark in the folder, not by its name: machines may have it in different places, and it may be moved.

    Raises:
        OutputError: It is another one, or cannot be written.
    """
    mark, said = _mark(connection), _read(server.folder)
    if said == mark:
        return
    if said:
        raise OutputError(
            f"{server.folder}: its pictures belong to another ledger than {server}", remedy="name one with --output"
        )
    if connection.call(_HAS_FILES):
        raise _elsewhere(server)
    mark_folder(connection, server)


def require_folder(connection: Connection, server: Server) -> None:
    """The same for whoever only looks: nothing is written, and a ledger without pictures needs no folder."""
    if _read(server.folder) != _mark(connection) and connection.call(_HAS_FILES):
        raise _elsewhere(server)


def mark_folder(connection: Connection, server: Server) -> None:
    """Say in the folder that the ledger's paths are relative to it."""
    place = server.folder / MARK
    try:
        server.folder.mkdir(parents=True, exist_ok=True)
        spare = place.with_name(f"{MARK}.new-{os.getpid()}")
        spare.write_text(_mark(connection) + "\n")
        spare.replace(place)
    except OSError as error:
        raise trouble(error, place, "cannot be written", remedy="check the folder's permissions") from error


def _elsewhere(server: Server) -> OutputError:
    return OutputError(
        f"{server.folder}: not the folder whose pictures {server} records",
        remedy="name that with --output, or say by `fluxbatch ledger migrate` that this is it",
    )


def _mark(connection: Connection) -> str:
    return str(connection.call("SELECT mark FROM about"))


def _read(folder: Path) -> str:
    try:
        return (folder / MARK).read_text().strip()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise OutputError(f"{folder / MARK}: cannot be read") from error


def _text(name: str) -> str:
    return (files("pipeline.ledger.postgres") / name).read_text("utf-8")
