"""What one run did, and how the one before it ended: whether there is news. Never writes."""

from dataclasses import dataclass
from typing import Any

from pipeline.ledger.sql import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class RunNews:
    """One run beside the last one of the same manifest, whatever its edition.

    Attributes:
        attempts: How many requests it made.
        exit_code: How it ended; None while it has not, or died.
        before: How the one before it ended; None where there is none, or it died.
        first: Whether there is none before it.
    """

    attempts: int
    exit_code: int | None
    before: int | None
    first: bool

    @property
    def any(self) -> bool:
        """Whether something was asked for, or it ended otherwise than the one before; a first run should end well."""
        return self.attempts > 0 or self.exit_code != (0 if self.first else self.before)


def run_news(connection: Connection, run_id: str) -> RunNews | None:
    """Look at a run; None where it is not known."""
    found = connection.execute(
        "SELECT r.id, b.manifest, b.simulated, r.exit_code, (SELECT count(*) FROM attempts WHERE run = r.id)"
        " FROM runs r JOIN batches b ON b.id = r.batch WHERE r.run_id = ?",
        (run_id,),
    ).get
    if found is None:
        return None
    run, manifest, simulated, exit_code, attempts = found
    before: list[Any] = connection.execute(
        "SELECT r.exit_code FROM runs r JOIN batches b ON b.id = r.batch"
        " WHERE b.manifest = ? AND b.simulated = ? AND r.id < ? ORDER BY r.id DESC LIMIT 1",
        (manifest, simulated, run),
    ).fetchall()
    return RunNews(attempts=attempts, exit_code=exit_code, before=before[0][0] if before else None, first=not before)
