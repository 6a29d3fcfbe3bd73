"""What differs, one kind of difference at a time: how many, how much, which jobs, and what a person can do."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pipeline.ledger import AttemptMoney, AttemptRecord
from pipeline.money import format_usd
from pipeline.provider import Billed
from pipeline.reconcile.matching import Pair, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One kind of difference.

    Attributes:
        kind: One word.
        count: Of requests or entries.
        microusd: What they cost by the side that has them; of ``price``, what the bill has more than the ledger.
        message: What it is, for people.
        advice: What to do where no command of ours does it; "" where ``billed`` and ``not_billed`` say it.
        keys: The jobs it is about.
        billed: Of those, the jobs to settle as billed.
        not_billed: Of those, the jobs to settle as not billed.
        entries: The entries it is about, where no job is.
    """

    kind: str
    count: int
    microusd: int
    message: str
    advice: str = ""
    keys: tuple[str, ...] = ()
    billed: tuple[str, ...] = ()
    not_billed: tuple[str, ...] = ()
    entries: tuple[Billed, ...] = ()


def lost_answers(
    lost: Sequence[AttemptRecord], verdicts: dict[int, Verdict], paired: frozenset[int]
) -> Iterator[Finding]:
    """What the log says of requests with unknown money, by verdict.

    A person settles a job, with all of its unknown money alike. So a job whose requests have different verdicts, or
    some beyond what was compared, is told apart.

    Args:
        paired: The numbers of the requests that have an entry.
    """
    by_job: dict[str, list[AttemptRecord]] = defaultdict(list)
    for attempt in lost:
        by_job[attempt.key].append(attempt)
    sorted_out: dict[Verdict | None, list[AttemptRecord]] = defaultdict(list)
    for attempts in by_job.values():
        found = {verdicts[each.id] for each in attempts}
        if found == {Verdict.BILLED, Verdict.PROBABLY}:
            found = {Verdict.PROBABLY}
        whole = len(attempts) == attempts[0].open_of_job and len(found) == 1
        whole = whole and (found != {Verdict.PERHAPS} or len(attempts) == 1)
        sorted_out[found.pop() if whole else None] += attempts
    for verdict in (Verdict.BILLED, Verdict.PROBABLY, Verdict.PERHAPS, Verdict.ABSENT, None):
        if sorted_out[verdict]:
            yield _lost(verdict, sorted_out[verdict], paired)


#: What each verdict is called, and how it is told of so many lost answers.
_TOLD: dict[Verdict | None, tuple[str, str]] = {
    Verdict.BILLED: ("billed", "{answers} {were} billed: named in the log"),
    Verdict.PROBABLY: (
        "probably_billed",
        "{answers} {were} probably billed: nothing else explains what the log has then",
    ),
    Verdict.PERHAPS: (
        "perhaps_billed",
        "{answers}, of which {hits} {hits_were} probably billed: the log cannot tell which, and the sum is the same",
    ),
    Verdict.ABSENT: ("not_billed", "{answers} {were} probably not billed: nothing in the log fits"),
    None: (
        "mixed",
        "{answers}, of which {hits} {hits_were} probably billed, of jobs with others that cannot be settled apart",
    ),
}


def _lost(verdict: Verdict | None, attempts: list[AttemptRecord], paired: frozenset[int]) -> Finding:
    count, amount = len(attempts), sum(each.price_microusd for each in attempts)
    hits = sum(each.id in paired for each in attempts)
    kind, words = _TOLD[verdict]
    keys, with_entry = _keys(attempts), _keys(each for each in attempts if each.id in paired)
    mixed = "a job's lost answers are settled all alike: say for each job what is nearer to the truth"
    return Finding(
        kind=kind,
        count=count,
        microusd=amount,
        message=words.format(
            answers=f"{counted(count, 'lost answer')} (${format_usd(amount)})",
            were=_were(count),
            hits=hits,
            hits_were=_were(hits),
        ),
        advice="" if verdict else mixed,
        keys=keys,
        billed=with_entry if verdict else (),
        not_billed=tuple(key for key in keys if key not in with_entry) if verdict else (),
    )


def missing(attempts: Sequence[AttemptRecord]) -> Iterator[Finding]:
    """Requests that the ledger counts as spent and the log does not have."""
    if attempts:
        count, amount = len(attempts), sum(each.price_microusd for each in attempts)
        yield Finding(
            kind="missing",
            count=count,
            microusd=amount,
            message=f"{counted(count, 'request')} (${format_usd(amount)})"
            f" {'is' if count == 1 else 'are'} spent in the ledger, and not in the log",
            advice="the log may be late: look again in some minutes; then ask the provider",
            keys=_keys(attempts),
        )


def given_back(pairs: Sequence[Pair]) -> Iterator[Finding]:
    """Requests that the ledger has as not billed, and the log has."""
    if pairs:
        count, amount = len(pairs), sum(pair.entry.microusd for pair in pairs)
        sure = "" if all(pair.named for pair in pairs) else "probably "
        yield Finding(
            kind="given_back",
            count=count,
            microusd=amount,
            message=f"{counted(count, 'request')} (${format_usd(amount)}) that the ledger has as not billed"
            f" {_were(count)} {sure}billed",
            advice="the provider's word to the request was no, or a person's: ask the provider for the money",
            keys=_keys(pair.attempt for pair in pairs),
        )


def strange(entries: Sequence[Billed], token_name: str) -> Iterator[Finding]:
    """Entries that no request of the ledger explains."""
    if entries:
        count, amount = len(entries), sum(each.microusd for each in entries)
        only = "" if token_name else " (--token-name NAME compares one API key's requests only)"
        yield Finding(
            kind="unrecorded",
            count=count,
            microusd=amount,
            message=f"{counted(count, 'request')} (${format_usd(amount)}) in the log that this ledger knows nothing of",
            advice=f"find out what else buys with this account{only}",
            entries=tuple(entries),
        )


def prices(pairs: Sequence[Pair], *, unit_microusd: int) -> Iterator[Finding]:
    """Requests that were billed at another price than the ledger's; one finding for each model and pair of prices.

    Args:
        unit_microusd: What one of the log's units is worth, at least 1: finer than that is rounding, and no difference.
    """
    groups: dict[tuple[str, int, int], list[Pair]] = defaultdict(list)
    for pair in pairs:
        ours, theirs = pair.attempt.price_microusd, pair.entry.microusd
        if abs(ours - theirs) >= unit_microusd and pair.attempt.money is not AttemptMoney.RELEASED:
            groups[pair.entry.model, ours, theirs].append(pair)
    for (model, ours, theirs), group in sorted(groups.items()):
        count = len(group)
        yield Finding(
            kind="price",
            count=count,
            microusd=count * (theirs - ours),
            message=f"{counted(count, 'request')} of {model} billed at ${format_usd(theirs)}, not ${format_usd(ours)}:"
            f" {signed_usd(count * (theirs - ours))} in all",
            advice=f"set the price that holds for you: provider: {{prices: {{{model}: {format_usd(theirs)}}}}}",
            keys=_keys(pair.attempt for pair in group),
        )


def counted(number: int, what: str) -> str:
    """A number and what it is of."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def signed_usd(microusd: int) -> str:
    """A difference in dollars, with its sign; nothing has none."""
    sign = "+" if microusd > 0 else "-" if microusd < 0 else ""
    return f"{sign}${format_usd(abs(microusd))}"


def _were(number: int) -> str:
    return "was" if number == 1 else "were"


def _keys(attempts: Iterable[AttemptRecord]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each.key for each in attempts))
