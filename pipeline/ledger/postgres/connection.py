"""The only module that knows PostgreSQL's driver: connects, bounds every wait, and translates the driver's errors."""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from pipeline.errors import (
    ConfigurationError,
    FluxbatchError,
    LedgerBusyError,
    LedgerCorruptError,
    StorageError,
    UsageError,
)
from pipeline.ledger.address import Server
from pipeline.ledger.postgres.translation import cleaned, translated_statement

if TYPE_CHECKING:
    from psycopg import Connection as Driver

#: The schema of the ledger's tables and functions, in whatever database.
SCHEMA = "fluxbatch"
#: libpq's bounds: a connection is made, or given up, within these seconds; a peer that is gone is noticed within
#: ``keepalives_idle`` + ``interval`` * ``count``, and with something sent, within ``tcp_user_timeout`` milliseconds.
_BOUNDS = {
    "connect_timeout": 10,
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
    "application_name": "fluxbatch",
}
#: Milliseconds that a statement of a run may take, its waits for locks included; what a person asks for may have to
#: read a million rows.
_STEP_MS = 30_000
_QUESTION_MS = 600_000
#: Milliseconds after which the server ends a transaction whose client sleeps.
_IDLE_MS = 15_000
_SETUP = f"""
SELECT set_config('search_path', '{SCHEMA}', FALSE), set_config('statement_timeout', '%d', FALSE),
    set_config('idle_in_transaction_session_timeout', '{_IDLE_MS}', FALSE),
    set_config('client_min_messages', 'error', FALSE), set_config('timezone', 'UTC', FALSE),
    -- A server that waits for more than its own disk keeps doing so.
    set_config('synchronous_commit', CASE WHEN current_setting('synchronous_commit') IN ('off', 'local') THEN 'on'
        ELSE current_setting('synchronous_commit') END, FALSE)
"""
_READ_ONLY = "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
#: How a server says that it will not let somebody in, whatever happens next.
_SHUT = re.compile(r"authentication failed|does not exist|no pg_hba.conf entry|no password supplied|permission denied")
#: SQLSTATEs of statements that were undone and may be sent again: serialization, deadlock, and a time-out.
_UNDONE = {"40001", "40P01", "57014", "55P03", "25P03"}
#: Rows that are fetched at once where there may be a million.
_CHUNK = 2_000


class Answer:
    """What a statement came to, as ``sql.Answer``."""

    def __init__(self, rows: list[Any]) -> None:
        self._rows = rows

    @property
    def get(self) -> Any:
        """The first row, or its only value."""
        if not self._rows:
            return None
        return self._rows[0][0] if len(self._rows[0]) == 1 else self._rows[0]

    def fetchall(self) -> list[Any]:
        """All rows."""
        return self._rows

    def __iter__(self) -> Iterator[Any]:
        return iter(self._rows)


class Connection:
    """A connection to a server's ledger, as ``sql.Connection``.

    Outside a transaction, a statement that nobody knows the outcome of is sent again once there is a connection: every
    one that is not a numbered call comes to the same the second time.
    """

    def __init__(self, server: Server, *, writing: bool, lost: Callable[[Exception], None] | None = None) -> None:
        """Connect.

        Args:
            server: Where.
            writing: Whether anything may be changed.
            lost: Told when the connection was lost, before it is tried again; raises once it has had enough. None: at
                the first loss.
        """
        self._server = server
        self._writing = writing
        self._lost = lost
        self._changes = 0
        self._driver = self._connected()

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return not self._driver.closed and bool(self._driver.info.transaction_status)  # idle is 0

    def execute(self, statements: str, bindings: Any = None, /) -> Answer:
        """Run one statement, of the SQL for both."""
        return self._insist(translated_statement(statements), cleaned(bindings or ()))

    def executemany(self, statements: str, sequenceofbindings: Iterable[Any], /) -> None:
        """Run one statement with each set of values."""
        for bindings in sequenceofbindings:
            self.execute(statements, bindings)

    def call(self, statement: str, *values: Any) -> Any:
        """Run a statement of PostgreSQL's own words (``%s``); its first row, or that one's only value."""
        return self._insist(statement, values).get

    def script(self, text: str) -> None:
        """Run several statements at once, without values, inside or outside a transaction."""
        self._driver.execute(text.encode())

    def stream(self, statement: str) -> Iterator[Any]:
        """The rows of a question, some thousand at a time."""
        with self._driver.transaction(), self._driver.cursor("rows") as cursor:
            cursor.itersize = _CHUNK
            cursor.execute(translated_statement(statement).encode())
            yield from cursor

    def changes(self) -> int:
        """How many rows the last statement changed."""
        return self._changes

    def close(self) -> None:
        """Let go of it."""
        self._driver.close()

    def _insist(self, statement: str, values: Any) -> Answer:
        import psycopg

        while True:
            inside = self.in_transaction
            try:
                if self._driver.closed:
                    self._driver = self._connected()
                return self._once(statement, values)
            except psycopg.Error as error:
                if inside or self._lost is None or not is_passing(error):
                    raise
                if not undone(error):
                    self._driver.close()
                self._lost(error)

    def _once(self, statement: str, values: Any) -> Answer:
        cursor = self._driver.execute(statement.encode(), values)
        self._changes = max(0, cursor.rowcount)
        return Answer(cursor.fetchall() if cursor.description else [])

    def _connected(self) -> "Driver[Any]":
        made: Driver[Any] = driver().connect(self._server.url, autocommit=True, **_BOUNDS)
        try:
            made.execute((_SETUP % (_QUESTION_MS if self._lost is None else _STEP_MS)).encode())
            if not self._writing:
                made.execute(_READ_ONLY)
        except BaseException:  # closed, whatever it is, and raised again
            made.close()
            raise
        return made


def driver() -> Any:
    """psycopg, which is optional.

    Raises:
        ConfigurationError: It is not installed.
    """
    try:
        import psycopg
    except ImportError as error:
        raise ConfigurationError("PostgreSQL needs psycopg", remedy="pip install 'fluxbatch[fleet]'") from error
    return psycopg


def undone(error: Exception) -> bool:
    """Whether the server has undone the statement, and may be asked again at once."""
    return getattr(error, "sqlstate", None) in _UNDONE


def is_passing(error: Exception) -> bool:
    """Whether the same statement may succeed later: the connection was lost, or the server was busy or going down."""
    import psycopg

    state = getattr(error, "sqlstate", None) or ""
    if undone(error) or state[:2] in {"08", "57"} or state in {"53300", "25006"}:
        return True
    return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) and not state


def translate(error: Exception, server: Server) -> FluxbatchError:
    """Say in this program's terms what PostgreSQL reports; without the password, wherever it stands."""
    import psycopg

    state, said = getattr(error, "sqlstate", None) or "", _said(error, server)
    if state.startswith("28") or (not state and _SHUT.search(said)) or state in {"3D000", "42501"}:
        return ConfigurationError(f"{server}: the database lets nobody in: {said}", remedy="check user and password")
    if isinstance(error, psycopg.ProgrammingError) and not state:
        return UsageError("--ledger: not an address of a PostgreSQL database", remedy="postgresql://HOST/DATABASE")
    if state in {"42P01", "3F000", "42883", "42703"}:
        return LedgerCorruptError(
            f"{server}: its tables are not those of this version ({said})", remedy="fluxbatch ledger migrate"
        )
    if state == "53100":
        return StorageError(f"{server}: the database's disk is full", remedy="make room and run again")
    if state in {"57014", "55P03", "40P01"}:
        return LedgerBusyError(f"{server}: the database is too busy: {said}", remedy="try again later")
    if is_passing(error):
        return StorageError(f"{server}: the database cannot be reached: {said}", remedy="check it and run again")
    return FluxbatchError(f"{server}: PostgreSQL says {type(error).__name__}: {said}")


@contextmanager
def translated(server: Server) -> Iterator[None]:
    """Raise the driver's errors as this program's."""
    psycopg = driver()
    try:
        yield
    except psycopg.Error as error:
        # Not chained to it: libpq's words may repeat an address that it cannot read, with its password.
        raise translate(error, server) from None


def _said(error: Exception, server: Server) -> str:
    """The driver's words on one line."""
    words = re.sub(r"\s+", " ", str(error)).strip() or type(error).__name__
    with suppress(Exception):  # an address that cannot be read; its words are not shown
        secret = driver().conninfo.conninfo_to_dict(server.url).get("password")
        words = words.replace(str(secret), "***") if secret else words
    return words
