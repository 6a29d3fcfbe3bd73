"""The ledger as people and scripts read it: open it, ask it, export it, prove it. Never writes."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from pipeline.clock import Clock, SystemClock
from pipeline.errors import NotFoundError
from pipeline.ledger import bills, lookup, pruning, reading
from pipeline.ledger import survey as surveying
from pipeline.ledger.address import Address, address_of
from pipeline.ledger.export import ExportFormat, export
from pipeline.ledger.opening import ask_to_stop, life_of, open_reading, require_folder, translated
from pipeline.ledger.ownership import refuse_ours
from pipeline.ledger.pruning import Bounds, Pruned
from pipeline.ledger.runs import RunNews, run_news
from pipeline.ledger.shown import (
    Progress,
    Scope,
    Shown,
    Standing,
    Survey,
)
from pipeline.ledger.standings import standings
from pipeline.ledger.stories import Story, story
from pipeline.ledger.verification import Finding, Verification, verify
from pipeline.ledger.views import (
    AttemptRecord,
    BatchName,
    BatchStatus,
    Known,
    Row,
    SpendLine,
)


class Ledger:
    """A ledger, opened for reading; safe beside a run that writes it.

    Example:
        >>> with Ledger("output/ledger.db") as ledger:  # doctest: +SKIP
        ...     stored = [row.path for row in ledger.rows() if row.state == "stored"]

    Args:
        path: Its file, or ``postgresql://HOST/DATABASE``.
        output: The folder that such a database's pictures are recorded relative to, or one within it.

    Raises:
        NotFoundError: There is no such ledger.
        LedgerCorruptError: It is damaged, not a ledger, or of another version.
    """

    def __init__(self, path: str | Address, *, output: str | Path = "output") -> None:
        self.path = address_of(path, Path(output))
        self._connection = open_reading(self.path)
        self._alive = life_of(self.path, self._connection)

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

    def export(self, *, to: Path | None, form: ExportFormat, stdout: IO[str]) -> None:
        """Write one row a job to a file, or to ``stdout`` when there is none.

        Raises:
            UsageError: The file is the ledger's or one of its pictures; or Parquet without a file.
            OutputError: The file cannot be written; what was there is left as it was.
            ConfigurationError: Parquet's optional library is not installed.
        """
        if to is not None:
            with translated(self.path):
                refuse_ours(self._connection, self.path, to)
        export(self.rows(), to=to, form=form, stdout=stdout)

    def survey(self, scope: Scope, *, limit: int, prompts: int, clock: Clock | None = None) -> Survey:
        """Everything a report shows; see ``survey.survey``.

        Raises:
            NotFoundError: The ledger does not know the run or manifest.
        """
        now = (clock or SystemClock()).wall()
        with translated(self.path):
            if not surveying.has(self._connection, scope):
                what = f"no run {scope.run}" if scope.run is not None else f"no manifest named {scope.manifest}"
                raise NotFoundError(self.path, f"{what} in this ledger", remedy="`fluxbatch status` lists them")
            return surveying.survey(self._connection, scope, limit=limit, prompts=prompts, now=now)

    def marks(self, scope: Scope, *, limit: int) -> dict[int, str]:
        """What to tell by whether a row has changed; see ``survey.marks``."""
        with translated(self.path):
            return surveying.marks(self._connection, scope, limit=limit)

    def rows_of(self, numbers: Sequence[int]) -> list[Shown]:
        """Rows by the ledger's numbers for them."""
        with translated(self.path):
            return surveying.rows_of(self._connection, numbers)

    def progress(self, scope: Scope, *, clock: Clock | None = None) -> Progress | None:
        """How far the last run has come; see ``survey.progress``."""
        with translated(self.path):
            return surveying.progress(self._connection, scope, now=(clock or SystemClock()).wall())

    def standings(self) -> list[Standing]:
        """Where the last run of each manifest stands, the one run last first."""
        with translated(self.path):
            return standings(self._connection, alive=self._alive)

    def is_on(self, run_id: str) -> bool:
        """Whether that run's process lives."""
        with translated(self.path):
            return self._alive(run_id)

    def ask_to_stop(self, run_id: str) -> bool:
        """Ask a run of this user's on this machine to stop buying; whether it could be asked. Asked twice, it leaves.

        Raises:
            OutputError: It cannot be seen whether it is on.
        """
        with translated(self.path):
            return ask_to_stop(self.path, self._connection, run_id)

    def refuse_ours(self, target: Path) -> None:
        """Refuse to let something else be written where the ledger or one of its pictures is.

        Raises:
            UsageError: It is.
        """
        with translated(self.path):
            refuse_ours(self._connection, self.path, target)

    def spend(self, by: reading.SpendBy = "day") -> list[SpendLine]:
        """Money by ``day``, ``month``, ``model``, ``manifest`` or ``provider``."""
        with translated(self.path):
            return reading.spend(self._connection, by)

    def status(self) -> list[BatchStatus]:
        """Every manifest and edition, the one run last first."""
        with translated(self.path):
            return reading.status(self._connection)

    def known(self, batch: BatchName, keys: Sequence[str]) -> list[Known]:
        """What is known of each job key, in their order; see ``Known``."""
        with translated(self.path):
            return reading.known(self._connection, batch, keys, folder=self._folder())

    def last_run_rows(self, batch: BatchName) -> int:
        """How many rows the last run of a batch saw."""
        with translated(self.path):
            return reading.last_run_rows(self._connection, batch)

    def committed(self, batch: BatchName) -> int:
        """Micro-dollars spent, unknown and reserved for a batch over all its runs."""
        with translated(self.path):
            return reading.committed(self._connection, batch)

    def attempts(self, *, provider: str, simulated: bool, since: str, until: str) -> list[AttemptRecord]:
        """Every request to a provider that counts in these days, local dates and both included; the first first."""
        with translated(self.path):
            return bills.attempts(
                self._connection,
                provider=provider,
                simulated=simulated,
                since=since,
                until=until,
                alive=self._alive,
            )

    def first_day(self, *, provider: str, simulated: bool) -> str | None:
        """The local date of the first request to a provider; None when there is none."""
        with translated(self.path):
            return bills.first_day(self._connection, provider=provider, simulated=simulated)

    def providers(self) -> list[tuple[str, bool]]:
        """Every provider that runs named, and whether the money was make-believe; real money first."""
        with translated(self.path):
            return bills.providers(self._connection)

    def run_news(self, run_id: str) -> RunNews | None:
        """What a run did, beside the one before it; None where it is not known."""
        with translated(self.path):
            return run_news(self._connection, run_id)

    def stories(self, named: str) -> list[Story]:
        """The whole story of what a picture's file, or the first digits of a key, names; a file may be several jobs'.

        Raises:
            UsageError: Several keys begin so.
            NotFoundError: No job is meant.
        """
        file = Path(named)
        with translated(self.path):
            if lookup.is_key(named) and not file.is_file():
                keys = [lookup.key_of(self._connection, self.path, named)]
            else:
                keys = lookup.keys_of_file(self._connection, self.path, file)
            return [story(self._connection, self._folder(), key) for key in keys]

    def prunable(self, bounds: Bounds) -> Pruned:
        """What pruning would let go; changes nothing."""
        with translated(self.path):
            self._folder()
            return pruning.prunable(self._connection, self.path, bounds)

    def verify(self, *, clock: Clock | None = None, endpoint: str | None = None) -> Verification:
        """Prove every stored file and every sum; reads every file.

        Args:
            clock: For the age of what is unknown.
            endpoint: The server of pictures in buckets; None: as the ledger has heard, or as the environment says.
        """
        now = (clock or SystemClock()).wall()
        with translated(self.path):
            self._folder()
            return verify(self._connection, self.path, now=now, alive=self._alive, endpoint=endpoint)

    def _folder(self) -> Path:
        """What recorded paths are relative to; refuses another folder than the one with the ledger's pictures."""
        require_folder(self.path, self._connection)
        return self.path.parent


__all__ = ["Finding", "Ledger", "Verification"]
