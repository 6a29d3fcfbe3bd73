"""Opening a ledger of either kind, and what is asked of the two in different ways."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import apsw

from pipeline.errors import FluxbatchError, NotFoundError
from pipeline.ledger import connection as files
from pipeline.ledger import runfile
from pipeline.ledger.address import Address, Server
from pipeline.ledger.hands import Alive
from pipeline.ledger.sql import Connection


def open_reading(address: Address) -> Connection:
    """Open an existing ledger for reading only.

    Raises:
        NotFoundError: There is none.
        FluxbatchError: As ``connection.open_reading``, or ``postgres.opening.open_reading``.
    """
    if isinstance(address, Server):
        from pipeline.ledger.postgres import opening

        return opening.open_reading(address)
    _require_file(address)
    return files.open_reading(address)


def exists(address: Address) -> bool:
    """Whether there is a ledger, or anything else in the place of its file."""
    if isinstance(address, Server):
        from pipeline.ledger.postgres import opening

        return opening.exists(address)
    return address.exists()


def migrate(server: Server) -> tuple[int, int]:
    """Make a server's ledger or bring it up to date, and mark its folder; see ``postgres.opening.migrated``."""
    from pipeline.ledger.postgres import opening

    return opening.migrated(server)


@contextmanager
def changing(address: Address) -> Iterator[Connection]:
    """Change a ledger that is there, in one transaction that ends as the caller says; undone when it was not ended.

    The caller has the ledger alone (``lock.hold``).

    Raises:
        NotFoundError: There is none.
        StorageError: The disk is full or fails, or the server cannot be reached.
    """
    if isinstance(address, Server):
        open_reading(address).close()
    else:
        _require_file(address)  # one of an earlier version is brought up to date below
    with translated(address):
        connection = _open_writing(address)
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
        finally:
            _undo(connection)
            connection.close()


def translated(address: Address) -> AbstractContextManager[None]:
    """Raise the driver's errors as this program's."""
    if isinstance(address, Server):
        from pipeline.ledger.postgres import connection

        return connection.translated(address)
    return files.translated(address)


def life_of(address: Address, connection: Connection) -> Alive:
    """How to tell whether a run of this ledger is on."""
    if isinstance(address, Server):
        from functools import partial

        from pipeline.ledger.postgres import lives

        return partial(lives.is_on, _of_server(connection))
    return lambda run_id: runfile.is_alive(address, run_id)


def ask_to_stop(address: Address, connection: Connection, run_id: str) -> bool:
    """Ask a run's process to stop; see ``runfile.ask_to_stop``."""
    if isinstance(address, Server):
        from pipeline.ledger.postgres import lives

        return lives.ask_to_stop(_of_server(connection), run_id)
    return runfile.ask_to_stop(address, run_id)


def require_folder(address: Address, connection: Connection) -> None:
    """Refuse to look for a server's pictures in a folder that is not theirs; a file's are beside it.

    Raises:
        OutputError: It is another one.
    """
    if isinstance(address, Server):
        from pipeline.ledger.postgres import opening

        opening.require_folder(_of_server(connection), address)


def damage(connection: Connection, *, most: int) -> list[str]:
    """What is wrong with a ledger's file, the first of it; a server looks after its own."""
    if not isinstance(connection, apsw.Connection):
        return []
    rows = connection.execute(f"PRAGMA integrity_check({most:d})")
    return [str(text) for (text,) in rows if text != "ok"]


def shrink(connection: Connection) -> None:
    """Give back the room in a ledger's file that nothing is in; a server does so by itself."""
    if isinstance(connection, apsw.Connection):
        try:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except apsw.FullError:
            return  # then it shrinks another time


def numbers(connection: Connection, table: str, many: int) -> Iterator[int]:
    """Numbers for so many new rows of a table; nobody else is given them."""
    if isinstance(connection, apsw.Connection):
        last = int(connection.execute(f"SELECT coalesce(max(id), 0) FROM {table}").get)  # noqa: S608 - a table's name
        return iter(range(last + 1, last + many + 1))
    sequence = "SELECT nextval(pg_get_serial_sequence(?, 'id')) FROM generate_series(1, ?)"
    return iter([int(number) for (number,) in connection.execute(sequence, (table, many))])


def rows_of(connection: Connection, question: str) -> Iterator[Any]:
    """The rows of a question, of which there may be a million: some at a time."""
    if isinstance(connection, apsw.Connection):
        yield from connection.execute(question)
    else:
        yield from _of_server(connection).stream(question)


def _open_writing(address: Address) -> Connection:
    if isinstance(address, Server):
        from pipeline.ledger.postgres import opening

        return opening.open_writing(address)
    return files.open_writing(address)


def _require_file(path: Path) -> None:
    try:
        found = path.is_file()
    except OSError as error:
        raise NotFoundError(path, f"cannot be read ({error.strerror})", remedy="name another with --ledger") from error
    if not found:
        raise NotFoundError(path, "no such ledger", remedy="a run makes one; name another with --ledger")


def _of_server(connection: Connection) -> Any:
    """The same connection, with what only a server's has."""
    return connection


def _undo(connection: Connection) -> None:
    if connection.in_transaction:
        try:
            connection.execute("ROLLBACK")
        except (apsw.Error, FluxbatchError, OSError):
            return  # nothing was committed, which is what was wanted
