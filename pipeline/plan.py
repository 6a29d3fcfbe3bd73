"""What a run would buy and cost, held against the ledger; buys and writes nothing."""

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import Any

from pipeline.catalog import models
from pipeline.inputs import Finder
from pipeline.job import Job, UnfitRow
from pipeline.ledger import BatchName, JobState, Known, Ledger, Policy
from pipeline.manifest import Manifest
from pipeline.money import format_usd, saving_percent

#: Rows that do not fit, told one by one.
SHOWN_PROBLEMS = 20
_CHUNK = 1_000
_UNSEEN = Known(state=None, passing=False, in_last_run=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCost:
    """What one model's part of a run costs; micro-dollars.

    Attributes:
        official_microusd: The same pictures at the model's vendor, or None where it publishes no price.
        typical_s: Seconds a picture usually takes.
    """

    model: str
    pictures: int
    cost_microusd: int
    official_microusd: int | None
    typical_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run would do, were it started now.

    Attributes:
        new: Rows whose picture was never asked for.
        changed: Of the rows to buy, those that stand in for rows of the last run that are gone.
        again: Rows to buy once more, because they failed for a passing reason or an option says so.
        kept: Rows whose picture is stored, bought and waiting to be fetched, or the same as an earlier row.
        held: Rows that stay as they are: refused, unknown, lost or spoiled.
        unfit: Rows that make no job.
        problems: Why, of the first of them, with the place of each.
        resends_microusd: What lost answers may cost once more, where the manifest says so.
        committed_microusd: Spent, unknown and reserved by this manifest and edition so far.
        credit_factor: What a dollar topped up is credited as, by the profile.
    """

    manifest: str
    edition: str
    jobs: int
    new: int
    changed: int
    again: int
    kept: int
    held: int
    unfit: int
    models: tuple[ModelCost, ...]
    committed_microusd: int
    budget_microusd: int | None
    concurrency: int
    credit_factor: Decimal
    resends_microusd: int = 0
    problems: tuple[str, ...] = ()

    @property
    def to_buy(self) -> int:
        """Pictures a run would buy."""
        return sum(line.pictures for line in self.models)

    @property
    def cost_microusd(self) -> int:
        """Every picture once."""
        return sum(line.cost_microusd for line in self.models)

    @property
    def worst_case_microusd(self) -> int:
        """The most a run can cost: every picture once, and lost answers asked again. Refusals cost nothing."""
        return self.cost_microusd + (self.resends_microusd if self.models else 0)

    @property
    def official_microusd(self) -> int | None:
        """The same pictures at the vendors' own prices; None when one of them publishes none."""
        prices = [line.official_microusd for line in self.models]
        return None if None in prices else sum(price for price in prices if price is not None)

    @property
    def with_bonus_microusd(self) -> int:
        """What the pictures cost in dollars paid, when topped up with the bonus."""
        return round(self.cost_microusd / self.credit_factor)

    @property
    def affordable(self) -> bool:
        """Whether the whole of it fits the manifest's budget."""
        return (
            self.budget_microusd is None or self.committed_microusd + self.worst_case_microusd <= self.budget_microusd
        )

    @property
    def estimate_s(self) -> float:
        """About how long buying takes at the full concurrency, in seconds."""
        if not self.to_buy:
            return 0.0
        work_s = sum(line.pictures * line.typical_s for line in self.models)
        return max(work_s / self.concurrency, *(line.typical_s for line in self.models))

    def as_json(self) -> dict[str, Any]:
        """The plan as plain values; money is a string of US dollars."""
        official = self.official_microusd
        return {
            "manifest": self.manifest,
            "edition": self.edition,
            "jobs": self.jobs,
            "to_buy": self.to_buy,
            "new": self.new,
            "changed": self.changed,
            "again": self.again,
            "kept": self.kept,
            "held": self.held,
            "unfit": self.unfit,
            "problems": list(self.problems),
            "models": [
                {
                    "model": line.model,
                    "pictures": line.pictures,
                    "cost_usd": format_usd(line.cost_microusd),
                    "official_usd": None if line.official_microusd is None else format_usd(line.official_microusd),
                }
                for line in self.models
            ],
            "resends_usd": format_usd(self.resends_microusd),
            "worst_case_usd": format_usd(self.worst_case_microusd),
            "official_usd": None if official is None else format_usd(official),
            "saving_usd": None if official is None else format_usd(official - self.cost_microusd),
            "saving_percent": None if official is None else saving_percent(self.cost_microusd, official),
            "with_bonus_usd": format_usd(round(self.with_bonus_microusd, -3)),
            "committed_usd": format_usd(self.committed_microusd),
            "budget_usd": None if self.budget_microusd is None else format_usd(self.budget_microusd, places=2),
            "affordable": self.affordable,
            "estimate_s": round(self.estimate_s, 1),
        }


class _Keys:
    """Job keys, of which the different ones are counted at the end: eight bytes each, for a million rows have as many.

    Their first 64 bits tell them apart: among a million, the chance that two are alike is one in 30 million.
    """

    def __init__(self) -> None:
        self._parts = [array("Q") for _ in range(256)]

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def add(self, key: str) -> None:
        """Take one, as 64 hex digits."""
        mark = int(key[:16], 16)
        self._parts[mark & 0xFF].append(mark)

    def different(self) -> int:
        """How many are different; one part after the other, so that few are held twice."""
        return sum(len(set(part)) for part in self._parts)


def make_plan(
    manifest: Manifest,
    ledger: Ledger | None,
    *,
    policy: Policy,
    budget_microusd: int | None,
    concurrency: int,
    limit: int | None = None,
    resends_microusd: int = 0,
    finder: Finder | None = None,
) -> Plan:
    """Read the whole manifest and hold it against the ledger.

    Args:
        ledger: None when there is none yet.
        budget_microusd: Of this manifest and edition, or None.
        limit: Only the first so many jobs.
        resends_microusd: What lost answers may cost once more.
        finder: What looks at input images: keys are made of their digests.
    """
    counts: Counter[str] = Counter()
    bought: Counter[str] = Counter()
    wanted: defaultdict[tuple[str, str], _Keys] = defaultdict(_Keys)
    in_last_run, problems = 0, list[str]()
    batch = BatchName(manifest=manifest.name, edition=manifest.edition, simulated=manifest.profile.simulated)
    for row, known in _held_against(islice(manifest.jobs(placed=False, finder=finder), limit), batch, ledger):
        in_last_run += known.in_last_run
        verdict = _verdict(row, known, policy)
        if verdict in {"new", "again"} and isinstance(row, Job):
            wanted[verdict, row.request.model].add(row.key)
        else:
            counts[verdict] += 1
            if isinstance(row, UnfitRow) and len(problems) < SHOWN_PROBLEMS:
                problems.append(f"{row.source}: {row.message}")
    for (verdict, model), keys in wanted.items():
        different = keys.different()
        counts[verdict] += different
        counts["kept"] += len(keys) - different  # the same as an earlier row
        bought[model] += different
    gone = ledger.last_run_rows(batch) - in_last_run if ledger else 0
    changed = max(0, min(counts["new"], gone))
    return Plan(
        manifest=manifest.name,
        edition=manifest.edition,
        jobs=counts.total(),
        new=counts["new"] - changed,
        changed=changed,
        again=counts["again"],
        kept=counts["kept"],
        held=counts["held"],
        unfit=counts["unfit"],
        problems=tuple(problems),
        models=tuple(_cost(manifest, model, pictures) for model, pictures in sorted(bought.items())),
        committed_microusd=ledger.committed(batch) if ledger else 0,
        budget_microusd=budget_microusd,
        concurrency=concurrency,
        credit_factor=manifest.profile.credit_factor,
        resends_microusd=resends_microusd,
    )


def _held_against(
    rows: Iterable[Job | UnfitRow], batch: BatchName, ledger: Ledger | None
) -> Iterator[tuple[Job | UnfitRow, Known]]:
    source = iter(rows)
    while chunk := list(islice(source, _CHUNK)):
        keys = [row.key for row in chunk]
        known = ledger.known(batch, keys) if ledger else [_UNSEEN] * len(chunk)
        yield from zip(chunk, known, strict=True)


def _verdict(row: Job | UnfitRow, known: Known, policy: Policy) -> str:
    # What a dead run had under way is unknown by the time the next one buys.
    match JobState.UNKNOWN if known.state is JobState.BUYING else known.state:
        case _ if isinstance(row, UnfitRow):
            return "unfit"
        case None | JobState.PLANNED:
            return "new"
        case JobState.STORED | JobState.BOUGHT:
            return "kept"
        case state if policy.buys(state, passing=known.passing):
            return "again"
        case _:
            return "held"


def _cost(manifest: Manifest, model: str, pictures: int) -> ModelCost:
    spec = models()[model]
    official = spec.official_usd
    return ModelCost(
        model=model,
        pictures=pictures,
        cost_microusd=pictures * manifest.prices[model],
        official_microusd=None if official is None else pictures * official,
        typical_s=spec.typical_s,
    )
