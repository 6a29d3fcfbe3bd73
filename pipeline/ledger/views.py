"""What those who read a ledger get out of it: plain frozen values, no SQL."""

from dataclasses import dataclass, field, fields

from pipeline.ledger.states import AttemptMoney, JobState


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchName:
    """What people call a batch: one manifest and edition, of real or make-believe money."""

    manifest: str
    edition: str
    simulated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the ledger knows of a job key: nothing where ``state``, as a run would find it, is None.

    Attributes:
        passing: A failure that a rerun tries again by itself.
        in_last_run: Whether the last run of the manifest asked about had it.
    """

    state: JobState | None
    passing: bool
    in_last_run: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of an export: the contract's columns in the contract's order (see ``docs/design.md``).

    Attributes:
        key: What identifies the picture, 64 hexadecimal digits; equal rows have equal keys.
        manifest: The manifest's name.
        edition: Its edition; empty when it has none.
        index: The row's place in the manifest, from 1.
        model: The model that was asked for.
        prompt: The whole prompt, its placeholders filled.
        ratio: Width to height, as asked.
        seed: The seed, where one was given.
        state: What became of it: planned, buying, bought, stored, failed, unknown, lost or spoiled.
        attempts: Requests that were made for this row.
        spend_usd: What this row is known to have cost, in dollars, as text so that no cent is rounded.
        unknown_usd: What it may have cost besides: answers were lost.
        path: The picture, relative to the ledger's folder.
        sha256: The file's digest, 64 hexadecimal digits.
        bytes: The file's size.
        width: In pixels.
        height: In pixels.
        format: What the bytes are: jpeg, png or webp.
        verdict: ``ok``, or ``wrong_shape`` for a whole picture that is not of the ratio asked for.
        bought_at: When it was paid for; like every time here ISO 8601, in UTC.
        deadline: When its URL dies.
        stored_at: When the picture was proven and durable.
        url_age_s: How old the URL was then, in seconds.
        error_kind: What went wrong last, in a word.
        error_message: The same in a sentence.
        request_id: The provider's own name for the request.
    """

    key: str
    manifest: str
    edition: str
    index: int
    model: str
    prompt: str
    ratio: str | None
    seed: int | None
    state: str
    attempts: int
    spend_usd: str
    unknown_usd: str
    path: str | None
    sha256: str | None
    bytes: int | None
    width: int | None
    height: int | None
    format: str | None
    verdict: str | None
    bought_at: str | None
    deadline: str | None
    stored_at: str | None
    url_age_s: float | None
    error_kind: str | None
    error_message: str | None
    request_id: str | None
    provider: str | None


#: The contract's columns, in the contract's order.
COLUMNS: tuple[str, ...] = tuple(field.name for field in fields(Row))


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendLine:
    """One group of a spend report; micro-dollars.

    Attributes:
        simulated: Whether the money is make-believe; real and make-believe money never share a line.
        models: How many pictures were paid for, by model.
        providers: What was spent, by provider.
    """

    group: str
    simulated: bool
    models: dict[str, int]
    spent_microusd: int
    unknown_microusd: int
    reserved_microusd: int
    providers: dict[str, int] = field(default_factory=dict)

    @property
    def pictures(self) -> int:
        """How many were paid for."""
        return sum(self.models.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchStatus:
    """One manifest and edition, as ``status`` shows it."""

    manifest: str
    edition: str
    simulated: bool
    states: dict[JobState, int]
    spent_microusd: int
    unknown_microusd: int
    reserved_microusd: int
    last_run: str | None
    last_started_at: float | None
    last_exit_code: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRecord:
    """One request that may have cost money, as a bill is held against it.

    Attributes:
        key: Of its job.
        day: The local date it counts in.
        started_at: When its price was reserved, in seconds since 1970.
        ended_at: When its outcome was written down; of a run that died, whenever somebody noticed. None: not yet.
        request_id: The provider's name for it, or "".
        troubled: Whether it ended without a picture.
        judged: Whether somebody has said since what became of the money.
        under_way: Whether a run that is on waits for its answer.
        open_of_job: How many requests of the same job have unknown or reserved money.
    """

    id: int
    key: str
    model: str
    day: str
    money: AttemptMoney
    price_microusd: int
    started_at: float
    ended_at: float | None
    request_id: str = ""
    troubled: bool = False
    judged: bool = False
    under_way: bool = False
    open_of_job: int = 0
