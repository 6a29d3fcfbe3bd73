"""Which entry of the log is which request: by its name where both have one, else by model and time."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from heapq import heappop, heappush

from pipeline.ledger import AttemptMoney, AttemptRecord
from pipeline.provider import Billed

#: How far the provider's clock and ours may be apart, in seconds; an entry's time is in whole ones.
SKEW_S = 60.0
#: How long after we stopped waiting a gateway may still bring a request to its end, and bill it.
LATE_S = 300.0
#: No request is waited for longer. One of a run that died ends, in the ledger, whenever somebody noticed.
LONGEST_S = 600.0
#: Entries of answered requests are looked for this near to the answer first, in seconds. In a crowd without names the
#: wide search alone would give each lost answer's entry to the next answered request, and so on, up to the last.
NEAR_S = (2.0, 10.0, SKEW_S)
#: Farther from its request no entry is.
REACH_S = LONGEST_S + LATE_S + SKEW_S


#: From when to when an entry of a request is looked for, in seconds since 1970.
When = Callable[[AttemptRecord], tuple[float, float]]


class Verdict(StrEnum):
    """What the log says of a request whose answer was lost."""

    BILLED = "billed"  # its name is in the log
    PROBABLY = "probably"  # an entry of its model and time is there that nothing else explains
    PERHAPS = "perhaps"  # so are some, but fewer than requests that they may be of
    ABSENT = "absent"  # nothing there can be of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A request and its entry.

    Attributes:
        named: Whether by its name, and so for certain.
    """

    attempt: AttemptRecord
    entry: Billed
    named: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Matching:
    """The outcome.

    Attributes:
        pairs: What belongs together.
        missing: Requests that are spent and have no entry.
        verdicts: Of each request with unknown money, by its number.
        strange: Entries that no request explains; the oldest first.
    """

    pairs: tuple[Pair, ...]
    missing: tuple[AttemptRecord, ...]
    verdicts: dict[int, Verdict]
    strange: tuple[Billed, ...]


def match(attempts: Sequence[AttemptRecord], entries: Iterable[Billed]) -> Matching:
    """Match each request to at most one entry, and each entry to at most one request.

    Names count only where at least one is in both, for some gateways' logs have names of their own. What was answered
    is matched by time before what was lost: it surely was billed. What a person has settled as not billed comes last.
    """
    pairs, entries = _by_name(attempts, entries)
    agree = bool(pairs)
    left = _without(attempts, pairs)
    searches: list[tuple[Callable[[AttemptRecord], bool], When]] = [
        *((_answered, partial(_near, within_s=near)) for near in NEAR_S),
        (_paid, window),
    ]
    for wanted, when in searches:
        pairs += _by_time([each for each in left if wanted(each)], entries, agree=agree, when=when)
        left, entries = _without(left, pairs), _unused(entries, pairs)
    missing = tuple(each for each in left if _paid(each))
    lost = [each for each in left if _is_open(each)]
    verdicts = {pair.attempt.id: Verdict.BILLED for pair in pairs if _is_open(pair.attempt)}
    by_time = _by_time(lost, entries, agree=agree)
    verdicts |= _judged(lost, entries, by_time, agree=agree)
    entries = _unused(entries, by_time)
    released = [each for each in left if each.judged and each.money is AttemptMoney.RELEASED]
    by_time += _by_time(released, entries, agree=agree)
    strange = tuple(_unused(entries, by_time))
    return Matching(pairs=tuple(pairs + by_time), missing=missing, verdicts=verdicts, strange=strange)


def _answered(attempt: AttemptRecord) -> bool:
    return attempt.money is AttemptMoney.SPENT and not attempt.troubled


def _paid(attempt: AttemptRecord) -> bool:
    return attempt.money is AttemptMoney.SPENT


def _is_open(attempt: AttemptRecord) -> bool:
    return attempt.money in {AttemptMoney.UNKNOWN, AttemptMoney.RESERVED}


def window(attempt: AttemptRecord) -> tuple[float, float]:
    """When the entry of a request may have been written, in seconds since 1970."""
    longest = attempt.started_at + LONGEST_S
    ended = longest if attempt.ended_at is None else min(max(attempt.ended_at, attempt.started_at), longest)
    late = 0.0 if _answered(attempt) else LATE_S
    return attempt.started_at - SKEW_S, ended + late + SKEW_S


def _near(attempt: AttemptRecord, *, within_s: float) -> tuple[float, float]:
    """When the entry of an answered request most likely was written: as its answer was."""
    ended = attempt.started_at if attempt.ended_at is None else attempt.ended_at
    return ended - within_s, ended + within_s


def _by_name(attempts: Iterable[AttemptRecord], entries: Iterable[Billed]) -> tuple[list[Pair], list[Billed]]:
    """Those that have the same name, and the entries that are left, the oldest first."""
    named = {each.request_id: each for each in attempts if each.request_id}
    pairs, left = [], []
    for entry in sorted(entries, key=lambda each: each.at):
        attempt = named.pop(entry.request_id, None) if entry.request_id else None
        if attempt is None:
            left.append(entry)
        else:
            pairs.append(Pair(attempt=attempt, entry=entry, named=True))
    return pairs, left


def _without(attempts: Iterable[AttemptRecord], pairs: Iterable[Pair]) -> list[AttemptRecord]:
    taken = {pair.attempt.id for pair in pairs}
    return [each for each in attempts if each.id not in taken]


def _unused(entries: Iterable[Billed], pairs: Iterable[Pair]) -> list[Billed]:
    taken = {id(pair.entry) for pair in pairs}  # equal entries are two purchases, so that only identity tells
    return [each for each in entries if id(each) not in taken]


def _by_time(
    attempts: Sequence[AttemptRecord], entries: Sequence[Billed], *, agree: bool, when: When = window
) -> list[Pair]:
    """As many pairs as there can be: each entry, the oldest first, goes to the request whose time is up first.

    Args:
        entries: The oldest first.
        agree: Whether names in log and ledger are of the same kind: then a named request is no other named entry.
        when: From when to when a request's entry is looked for.
    """
    pairs = []
    for model in {each.model for each in attempts}:
        coming = sorted((when(each), each.id, each) for each in attempts if each.model == model)
        coming.reverse()
        waiting: tuple[list[tuple[float, int, AttemptRecord]], ...] = ([], [])  # without a name, and with one
        for entry in (each for each in entries if each.model == model):
            while coming and coming[-1][0][0] <= entry.at:
                (_, until), number, attempt = coming.pop()
                heappush(waiting[bool(agree and attempt.request_id)], (until, number, attempt))
            for queue in waiting:
                while queue and queue[0][0] < entry.at:
                    heappop(queue)
            open_to = [queue for queue in (waiting[:1] if agree and entry.request_id else waiting) if queue]
            if open_to:
                pairs.append(Pair(attempt=heappop(min(open_to))[2], entry=entry, named=False))
    return pairs


def _judged(
    lost: Sequence[AttemptRecord], entries: Sequence[Billed], pairs: Sequence[Pair], *, agree: bool
) -> dict[int, Verdict]:
    """A verdict on each request that was lost and is not named in the log.

    Requests of one model whose times overlap cannot be told apart, so they are judged together: all of them have their
    entry, or only some, and then nobody knows which.
    """
    verdicts = dict.fromkeys((each.id for each in lost), Verdict.ABSENT)
    paired = {pair.attempt.id for pair in pairs}
    moments: dict[tuple[str, bool], list[int]] = defaultdict(list)
    for entry in entries:
        moments[entry.model, bool(agree and entry.request_id)].append(entry.at)
    possible = [each for each in lost if _has_moment(each, moments, agree=agree)]
    for group in _overlapping(possible):
        found = sum(each.id in paired for each in group)
        verdict = Verdict.PROBABLY if found == len(group) else Verdict.PERHAPS
        verdicts |= dict.fromkeys((each.id for each in group), verdict)
    return verdicts


def _has_moment(attempt: AttemptRecord, moments: dict[tuple[str, bool], list[int]], *, agree: bool) -> bool:
    since, until = window(attempt)
    kinds = (False,) if agree and attempt.request_id else (False, True)
    lists = [moments.get((attempt.model, named), []) for named in kinds]
    return any(bisect_left(each, since) < bisect_right(each, until) for each in lists)


def _overlapping(attempts: Iterable[AttemptRecord]) -> Iterator[list[AttemptRecord]]:
    """Requests of one model whose times touch, one group after the other."""
    group: list[AttemptRecord] = []
    until = 0.0
    for attempt in sorted(attempts, key=lambda each: (each.model, window(each))):
        since, end = window(attempt)
        if group and (group[0].model != attempt.model or since > until):
            yield group
            group = []
        until = max(until, end) if group else end
        group.append(attempt)
    if group:
        yield group
