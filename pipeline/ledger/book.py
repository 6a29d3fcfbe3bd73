"""The ledger as people and scripts read it: open it, ask it, export it, prove it. Never writes."""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from pipeline.errors import NotFoundError
from pipeline.ledger import reading
from pipeline.ledger.connection import open_reading, translated
from pipeline.ledger.records import BatchStatus, Row, SpendLine
from pipeline.ledger.states import JobState
from pipeline.ledger.verification import Finding, Verification, verify


class Ledger:
    """A ledger, opened for reading; safe beside a run that writes it.

    Example:
        >>> with Ledger("output/ledger.db") as ledger:  # doctest: +SKIP
        ...     stored = [row.path for row in ledger.rows() if row.state == "stored"]

    Raises:
        NotFoundError: There is no such file.
        LedgerCorruptError: It is damaged, not a ledger, or of another version.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise NotFoundError(self.path, "no such ledger", remedy="a run makes one; name another with --ledger")
        self._connection = open_reading(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def rows(self) -> Iterator[Row]:
        """One row a job, in the contract's columns; a path is relative to the ledger's folder."""
        with translated(self.path):
            yield from reading.export_rows(self._connection)

    def spend(self, by: reading.SpendBy = "day") -> list[SpendLine]:
        """Money by ``day``, ``month``, ``model``, ``manifest`` or ``provider``."""
        with translated(self.path):
            return reading.spend(self._connection, by)

    def status(self) -> list[BatchStatus]:
        """Every manifest and edition, the one run last first."""
        with translated(self.path):
            return reading.status(self._connection)

    def states_of(self, keys: list[str]) -> dict[str, tuple[JobState, bool]]:
        """The state of each known job key, and whether a failure was passing."""
        with translated(self.path):
            return reading.states_of(self._connection, keys)

    def committed(self, scope: str) -> int:
        """Micro-dollars spent, unknown and reserved in one budget scope (see ``steps.scopes``)."""
        with translated(self.path):
            return reading.committed(self._connection, scope)

    def verify(self) -> Verification:
        """Prove every stored file and every sum; reads every file."""
        with translated(self.path):
            return verify(self._connection, self.path)


__all__ = ["Finding", "Ledger", "Verification"]
