"""The comparison, day by day and model by model, and what it comes to."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

from pipeline.ledger import AttemptMoney, AttemptRecord
from pipeline.provider import Billed
from pipeline.reconcile import findings
from pipeline.reconcile.findings import Finding
from pipeline.reconcile.matching import REACH_S, Matching, match

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """Calendar days, local time, the last included."""

    since: date
    until: date

    def __contains__(self, day: str) -> bool:
        return self.since.isoformat() <= day <= self.until.isoformat()

    @property
    def around(self) -> "Period":
        """With a day more at each end, for requests that are billed across midnight."""
        return Period(since=self.since - _DAY, until=self.until + _DAY)

    @property
    def moments(self) -> tuple[float, float]:
        """From when to when entries of its requests may be written, in seconds since 1970."""
        return _midnight(self.since) - REACH_S, _midnight(self.until + _DAY) + REACH_S


@dataclass(slots=True, kw_only=True)
class DayLine:
    """One day's requests of one model, on both sides; micro-dollars.

    An entry that belongs to a request counts on the request's day, though it was written after midnight.
    """

    day: str
    model: str
    spent: int = 0
    spent_microusd: int = 0
    unknown: int = 0
    unknown_microusd: int = 0
    billed: int = 0
    billed_microusd: int = 0

    @property
    def difference(self) -> int:
        """How many requests were billed that the ledger does not have as spent."""
        return self.billed - self.spent

    @property
    def difference_microusd(self) -> int:
        """How much was billed that the ledger does not have as spent."""
        return self.billed_microusd - self.spent_microusd


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """What the comparison came to.

    Attributes:
        lines: By day, then model; only those with something on either side.
        findings: What a person must look at, the surest first; none when both sides agree.
        by_name: How many pairs were told by name.
        by_time: How many by time.
        under_way: Requests whose answer was still to come when the log was read; not compared.
        others: Entries of models that this provider's profile does not buy: by model, how many and how much.
    """

    period: Period
    lines: tuple[DayLine, ...]
    findings: tuple[Finding, ...]
    by_name: int
    by_time: int
    under_way: int = 0
    others: dict[str, tuple[int, int]] = field(default_factory=dict)


def compare(
    attempts: Iterable[AttemptRecord],
    entries: Iterable[Billed],
    *,
    period: Period,
    models: Collection[str],
    read_at: float,
    unit_microusd: int = 1,
    token_name: str = "",
) -> Reconciliation:
    """Hold requests against entries.

    Args:
        attempts: Those of ``period.around``, of one provider and one kind of money.
        entries: Those of ``period.moments``.
        period: The days to tell of.
        models: What the profile buys. Entries of other models, that the ledger does not know either, are only counted.
        read_at: When the log began to be read, in seconds since 1970: what ended later may not be in it yet.
        unit_microusd: What one of the log's units is worth, at least 1.
        token_name: What the log was narrowed to.
    """
    attempts, entries = list(attempts), list(entries)
    bought = {*models, *(each.model for each in attempts)}
    matching = match(attempts, [each for each in entries if each.model in bought])
    found = {pair.attempt.id for pair in matching.pairs}
    late = {each.id for each in attempts if _is_late(each, read_at) and each.id not in found}
    told = [each for each in attempts if each.day in period]
    compared = [each for each in told if each.id not in late]
    differences = tuple(_findings(compared, matching, period, unit_microusd=unit_microusd, token_name=token_name))
    here = [pair for pair in matching.pairs if pair.attempt.day in period]
    return Reconciliation(
        period=period,
        lines=_lines(compared, matching, period),
        findings=differences,
        by_name=sum(pair.named for pair in here),
        by_time=sum(not pair.named for pair in here),
        under_way=sum(each.id in late and each.money is not AttemptMoney.RELEASED for each in told),
        others=_others(each for each in entries if each.model not in bought and _day(each) in period),
    )


def _findings(
    compared: Sequence[AttemptRecord], matching: Matching, period: Period, *, unit_microusd: int, token_name: str
) -> Iterable[Finding]:
    numbers = {each.id for each in compared}
    pairs = [pair for pair in matching.pairs if pair.attempt.id in numbers]
    lost = [each for each in compared if each.id in matching.verdicts]
    yield from findings.strange([each for each in matching.strange if _day(each) in period], token_name)
    yield from findings.given_back([pair for pair in pairs if pair.attempt.money is AttemptMoney.RELEASED])
    yield from findings.missing([each for each in matching.missing if each.id in numbers])
    yield from findings.lost_answers(lost, matching.verdicts, frozenset(pair.attempt.id for pair in pairs))
    yield from findings.prices(pairs, unit_microusd=unit_microusd)


def _lines(compared: Sequence[AttemptRecord], matching: Matching, period: Period) -> tuple[DayLine, ...]:
    lines: dict[tuple[str, str], DayLine] = {}

    def line(day: str, model: str) -> DayLine:
        return lines.setdefault((day, model), DayLine(day=day, model=model))

    for attempt in compared:
        if attempt.money is AttemptMoney.RELEASED:
            continue
        of = line(attempt.day, attempt.model)
        if attempt.money is AttemptMoney.SPENT:
            of.spent += 1
            of.spent_microusd += attempt.price_microusd
        else:
            of.unknown += 1
            of.unknown_microusd += attempt.price_microusd
    days = [(pair.attempt.day, pair.entry) for pair in matching.pairs]
    for day, entry in (*days, *((_day(each), each) for each in matching.strange)):
        if day in period:
            of = line(day, entry.model)
            of.billed += 1
            of.billed_microusd += entry.microusd
    return tuple(lines[place] for place in sorted(lines))


def _is_late(attempt: AttemptRecord, read_at: float) -> bool:
    return attempt.under_way or (attempt.ended_at or attempt.started_at) > read_at


def _others(entries: Iterable[Billed]) -> dict[str, tuple[int, int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for entry in entries:
        found[entry.model].append(entry.microusd)
    return {model: (len(amounts), sum(amounts)) for model, amounts in sorted(found.items())}


def _day(entry: Billed) -> str:
    return datetime.fromtimestamp(entry.at).astimezone().date().isoformat()


def _midnight(day: date) -> float:
    return datetime.combine(day, time()).astimezone().timestamp()
