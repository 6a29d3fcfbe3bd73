"""What a report, a live page and a scraper get out of a ledger: plain frozen values, no SQL."""

from dataclasses import dataclass
from typing import Any

from pipeline.ledger.records import Tally
from pipeline.ledger.states import JobState


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a report is about: one run, one manifest with all its editions, or, with neither, the whole ledger."""

    manifest: str | None = None
    run: str | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """One row of a manifest, as a report shows it; in the order of the query.

    Attributes:
        id: The ledger's number for the row, which stays the same.
        asked: The other parameters, by name.
        attempts: Requests of the job that counted.
        spent_microusd: What was paid for this row; nothing where it shares another row's picture.
        path: Relative to the ledger's folder; ``provider`` is who was asked last.
        open: Whether it is not as it should be, and nobody has accepted that.
    """

    id: int
    key: str
    manifest: str
    edition: str
    simulated: bool
    index: int
    model: str
    prompt: str
    ratio: str | None
    seed: int | None
    asked: dict[str, Any]
    state: JobState
    duplicate: bool
    settled: bool
    passing: bool
    attempts: int
    spent_microusd: int
    unknown_microusd: int
    path: str | None
    sha256: str | None
    bytes: int | None
    width: int | None
    height: int | None
    format: str | None
    verdict: str | None
    bought_at: float | None
    stored_at: float | None
    url_age_s: float | None
    error_kind: str | None
    error_message: str | None
    request_id: str | None
    provider: str | None
    open: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StateCount:
    """How many rows are in a state, and how many of those are open (see ``Shown``)."""

    simulated: bool
    state: JobState
    rows: int
    open: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyLine:
    """What one day and model came to; ``unknown_microusd`` holds what is reserved, too."""

    simulated: bool
    day: str
    model: str
    pictures: int
    spent_microusd: int
    unknown_microusd: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AgeBar:
    """How many pictures' URLs were so old, in seconds, when they were stored; ``to_s`` is None for the last bar."""

    simulated: bool
    from_s: int
    to_s: int | None
    pictures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetLine:
    """One budget, and what is used of it.

    Attributes:
        kind: ``batch``, ``daily``, ``monthly`` or ``total``.
        name: Of the manifest and edition, the day or the month.
    """

    kind: str
    name: str
    simulated: bool
    cap_microusd: int
    spent_microusd: int
    unknown_microusd: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLine:
    """One run; without an end it is on, or died."""

    run_id: str
    manifest: str
    edition: str
    simulated: bool
    started_at: float
    ended_at: float | None
    exit_code: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run has come.

    Attributes:
        states: How many of the rows it has seen are in which state.
        stored_lately: Pictures it stored in the last minute.
    """

    run_id: str
    started_at: float
    ended_at: float | None
    exit_code: int | None
    states: dict[JobState, int]
    stored_lately: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where the last run of a manifest stands.

    Attributes:
        on: Its process lives; one that is not on and has no end died.
        last_ended_at: When the last run ended that did, be another on since; None where the last one died.
        exit_code: What that run ended with.
        buying: Rows it has asked for and waits to hear of; the tally counts them as unknown.
        fetching: Rows whose picture it has paid and not stored; the tally counts them as lost.
        budget_microusd: Of the manifest and edition; None where there is none.
    """

    manifest: str
    on: bool
    started_at: float
    ended_at: float | None
    last_ended_at: float | None
    exit_code: int | None
    buying: int
    fetching: int
    budget_microusd: int | None
    tally: Tally

    @property
    def knows_duration(self) -> bool:
        """Whether it can be told how long it took, or has taken; of one that died it cannot."""
        return self.on or self.ended_at is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """Everything a report shows, from one moment."""

    counts: tuple[StateCount, ...]
    rows: tuple[Shown, ...]
    money: tuple[MoneyLine, ...]
    ages: tuple[AgeBar, ...]
    budgets: tuple[BudgetLine, ...]
    runs: tuple[RunLine, ...]

    @property
    def total(self) -> int:
        """All rows, whether they are among ``rows`` or not."""
        return sum(count.rows for count in self.counts)
