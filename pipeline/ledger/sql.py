"""What the ledger's questions need of a database's connection: SQLite's driver has it, PostgreSQL's is given it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

#: Values for the question marks, or for the names, of a statement.
Bindings = Sequence[Any] | Mapping[str, Any]


class Answer(Protocol):
    """The rows that a statement came to."""

    @property
    def get(self) -> Any:
        """The first row, or its only value; None where there is none."""

    def fetchall(self) -> list[Any]:
        """All rows that are left."""

    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """One connection; outside a transaction each statement is one by itself."""

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""

    def execute(self, statements: str, bindings: Any = None, /) -> Answer:
        """Run one statement."""

    def executemany(self, statements: str, sequenceofbindings: Iterable[Any], /) -> Any:
        """Run one statement with one set of values after the other."""

    def changes(self) -> int:
        """How many rows the last statement changed."""

    def close(self) -> None:
        """Let go of it."""
