"""What a run puts into the ledger and gets out of it: plain frozen values, no SQL."""

from dataclasses import dataclass, field
from enum import StrEnum
from math import inf

from pipeline.clock import uptime
from pipeline.job import Job, UnfitRow
from pipeline.ledger.states import JobState


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What the ledger keeps of a proven picture.

    Attributes:
        sha256: Of the file's bytes, hex.
        format: ``jpeg``, ``png`` or ``webp``: what the bytes are.
        verdict: ``ok``, or ``wrong_shape`` for a picture that is whole but not of the ratio asked for.
        stored_at: Unix seconds.
        url_age_s: From the answer to the durable file.
    """

    sha256: str
    size_bytes: int
    width: int
    height: int
    format: str
    verdict: str
    stored_at: float
    url_age_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Venue:
    """Whose limits were found, besides the model.

    Attributes:
        provider: The profile's name.
        origin: Scheme, host and port of its address; empty for a simulator that is started for each run.
        simulated: Whether it is make-believe.
    """

    provider: str
    origin: str
    simulated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a run has found of a model's limits.

    Attributes:
        level: Requests in flight that were let in.
        wall: The level that was refused; None where none was.
        rate: Starts a second; None where no rate was found.
        learned_at: Unix seconds.
    """

    level: int
    wall: int | None
    rate: float | None
    learned_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """Budgets in micro-dollars; None is no cap. Each bounds spent + unknown + reserved of its scope.

    Attributes:
        batch: This manifest and edition over all its runs.
        daily: The ledger's calendar day, local time.
        monthly: The ledger's calendar month, local time.
        total: The whole ledger.
        resend: What this manifest and edition may spend, over all its runs, on asking again for lost answers by
            itself, each once; None: that is up to ``Policy.resend_unknown`` alone, which has no such bounds.
    """

    batch: int | None = None
    daily: int | None = None
    monthly: int | None = None
    total: int | None = None
    resend: int | None = None

    @property
    def bounds_spending(self) -> bool:
        """Whether any of them bounds what is spent on the whole."""
        return any(cap is not None for cap in (self.batch, self.daily, self.monthly, self.total))


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Which settled jobs a run may buy again; what failed for a passing reason always may."""

    retry_failed: bool = False
    resend_unknown: bool = False
    rebuy_lost: bool = False

    def buys(self, state: JobState, *, passing: bool) -> bool:
        """Whether a job found in that state is to be bought."""
        match state:
            case JobState.PLANNED:
                return True
            case JobState.FAILED:
                return passing or self.retry_failed
            case JobState.UNKNOWN:
                return self.resend_unknown
            case JobState.LOST | JobState.SPOILED:
                return self.rebuy_lost
            case JobState.BUYING | JobState.BOUGHT | JobState.STORED:
                return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What a run does of a fleet's work: it buys a shard, by the ledger's number, or submits them (None)."""

    shard: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run that has begun: what it counts its money in.

    Attributes:
        id: The ledger's number for it.
        run_id: What people see: start time and a random tail.
        batch: The ledger's number for its manifest and edition.
    """

    id: int
    run_id: str
    batch: int
    manifest: str
    edition: str
    simulated: bool
    caps: Caps = field(default_factory=Caps)


class Verdict(StrEnum):
    """What admission says of a row."""

    BUY = "buy"
    PLACE = "place"  # stored, but not where this row wants it: placed at the end of the run
    SETTLED = "settled"  # nothing to do: stored, failed for good, unknown, lost, or under way


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """A manifest's row, held against the ledger.

    Attributes:
        placement: The ledger's number for the row.
        stored_path: For PLACE: where the picture is, relative to the ledger's folder.
    """

    row: Job | UnfitRow
    placement: int
    verdict: Verdict
    state: JobState
    stored_path: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """The right to send one request: durable, its price counted against every budget.

    Attributes:
        good_until: By ``clock.uptime``: from then on another run may have taken it for given up.
    """

    attempt: int
    price_microusd: int
    good_until: float = field(default=inf, compare=False)

    @property
    def is_late(self) -> bool:
        """Whether no request may be sent for it any more: this machine or process slept, or the ledger was away."""
        return uptime() > self.good_until


class HeldForPerson:
    """The job is unknown, and what may be spent on asking again by itself is used up, or was used for it before."""


class InOtherHands:
    """Another run that is on buys or fetches the same picture: wait for what comes of it, then ask again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What a person's word has done to a job.

    Attributes:
        accepted: The job is paid for and has no picture, and nobody is told of it any more.
    """

    key: str
    before: JobState
    after: JobState
    amount_microusd: int
    accepted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CapReached:
    """No reservation: one more picture would pass a budget.

    Attributes:
        scope: Which budget, in words: ``this manifest``, ``day 2026-11-23``, ``month 2026-11``, ``the whole ledger``.
    """

    scope: str
    cap_microusd: int
    committed_microusd: int
    price_microusd: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfetched:
    """A picture that is bought and not stored.

    Attributes:
        holder: The ledger's number of the run that fetches it, or should have.
        batch: The ledger's number for the manifest and edition of the row it was bought for.
        seen_by: The ledger's number of the run that saw that row last.
    """

    key: str
    attempt: int
    url: str
    bought_at: float
    deadline: float | None
    ratio: str | None
    wanted: str
    holder: int | None
    batch: int
    seen_by: int
    model: str
    prompt: str
    seed: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """A task that a provider has taken, and that no run that is on asks after.

    Attributes:
        provider: Who has it.
        wanted: As in ``Unfetched``, like the others.
    """

    key: str
    reservation: Reservation
    provider: str
    task: str
    polling_url: str
    submitted_at: float
    ratio: str | None
    wanted: str
    model: str
    prompt: str
    seed: int | None
    holder: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unplaced:
    """A row whose picture is stored, but not yet where the row wants it.

    Attributes:
        stored: Where the picture is, relative to the ledger's folder, with its suffix.
        wanted: Where it is wanted too, relative to the same, without one.
        sha256: Of the picture, hex.
        index: The row's, in the manifest.
    """

    placement: int
    stored: str
    wanted: str
    sha256: str
    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What has become of the rows a run has seen, and of its money."""

    stored: int = 0
    reused: int = 0
    failed: int = 0
    unknown: int = 0
    lost: int = 0
    spoiled: int = 0
    planned: int = 0
    settled: int = 0  # of lost and spoiled: those a person has accepted
    passing: int = 0  # of failed: those a rerun tries again by itself
    unfit: int = 0  # of failed: rows of rows files that make no job
    pruned: int = 0  # of reused: those whose file a person has let go
    bought: int = 0  # of lost: those a rerun inside the window may fetch, equal rows counted once
    wrong_shape: int = 0
    spend_microusd: int = 0
    unknown_microusd: int = 0
    batch_spend_microusd: int = 0
    batch_unknown_microusd: int = 0
    url_age_max_s: float | None = None
    providers: dict[str, tuple[int, int]] = field(default_factory=dict)  # by name: pictures paid for, micro-dollars


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A row of a run that is not as it should be, and why."""

    index: int
    state: JobState
    prompt: str
    message: str
