"""The comparison of ledger and log: each planted difference is found, and nothing else is."""

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.ledger import AttemptMoney, AttemptRecord
from pipeline.provider import Billed
from pipeline.reconcile import Finding, Period, Reconciliation, compare

PRO, MAX = "flux-kontext-pro", "flux-kontext-max"
PRICES = {PRO: 35_000, MAX: 70_000}
DAY = date(2026, 11, 23)
NOON = datetime(2026, 11, 23, 12).astimezone().timestamp()
PERIOD = Period(since=DAY, until=DAY)


def attempt(number: int, money: str = "spent", *, at: float = NOON, took_s: float = 8.0, **more: Any) -> AttemptRecord:
    kept: dict[str, Any] = {
        "key": f"{number:064x}",
        "model": PRO,
        "day": datetime.fromtimestamp(at).astimezone().date().isoformat(),
        "price_microusd": PRICES[more.get("model", PRO)],
        "started_at": at,
        "ended_at": at + took_s,
        "troubled": money != "spent",
        "open_of_job": int(money in {"unknown", "reserved"}),
    }
    return AttemptRecord(**kept | {"id": number, "money": AttemptMoney(money)} | more)


def billed(at: float = NOON + 8, *, model: str = PRO, microusd: int | None = None, request_id: str = "") -> Billed:
    amount = PRICES.get(model, 1_000) if microusd is None else microusd
    return Billed(at=int(at), model=model, microusd=amount, request_id=request_id)


def held(attempts: list[AttemptRecord], entries: list[Billed], **more: Any) -> Reconciliation:
    told: dict[str, Any] = {"period": PERIOD, "models": PRICES, "read_at": NOON + 86_400}
    return compare(attempts, entries, **told | more)


def kinds(found: Reconciliation) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for finding in found.findings:
        counts[finding.kind] += finding.count
    return dict(counts)


def only(found: Reconciliation) -> Finding:
    (finding,) = found.findings
    return finding


def keys(*numbers: int) -> tuple[str, ...]:
    return tuple(f"{number:064x}" for number in numbers)


# --- by name -------------------------------------------------------------------------------------------------------


def test_what_is_in_both_agrees() -> None:
    found = held([attempt(1, request_id="a"), attempt(2)], [billed(request_id="a"), billed()])
    assert found.findings == ()
    (line,) = found.lines
    assert (line.spent, line.billed, line.difference, line.difference_microusd) == (2, 2, 0, 0)
    assert (found.by_name, found.by_time) == (1, 1)


def test_a_lost_answer_that_the_log_has_by_name_was_billed() -> None:
    finding = only(held([attempt(1, "unknown", request_id="a")], [billed(request_id="a")]))
    assert (finding.kind, finding.count, finding.microusd) == ("billed", 1, 35_000)
    assert (finding.billed, finding.not_billed) == (keys(1), ())


def test_a_name_goes_before_the_time() -> None:
    """The named entry is hours away, and another is at the very second."""
    attempts = [attempt(1, "unknown", request_id="a"), attempt(2, request_id="b")]
    found = held(attempts, [billed(NOON + 9_000, request_id="a"), billed(request_id="c"), billed(request_id="b")])
    assert kinds(found) == {"billed": 1, "unrecorded": 1}


def test_a_named_request_is_no_entry_of_another_name() -> None:
    attempts = [attempt(1, request_id="a"), attempt(2, request_id="b"), attempt(3, "unknown", request_id="c")]
    found = held(attempts, [billed(request_id="a"), billed(request_id="x"), billed(request_id="y")])
    assert kinds(found) == {"missing": 1, "not_billed": 1, "unrecorded": 2}


def test_where_no_name_is_in_both_the_log_has_names_of_its_own() -> None:
    attempts = [attempt(1, request_id="a"), attempt(2, at=NOON + 5_000, request_id="b")]
    found = held(attempts, [billed(request_id="x"), billed(NOON + 5_008, request_id="y")])
    assert (found.findings, found.by_name, found.by_time) == ((), 0, 2)


def test_an_entry_twice_for_one_request_is_one_too_many() -> None:
    found = held([attempt(1, request_id="a")], [billed(request_id="a"), billed(request_id="a")])
    assert kinds(found) == {"unrecorded": 1}


def test_a_refusal_that_was_billed_is_told() -> None:
    finding = only(held([attempt(1, "released", request_id="a")], [billed(request_id="a")]))
    assert (finding.kind, finding.keys) == ("given_back", keys(1))
    assert "was billed" in finding.message


# --- by time -------------------------------------------------------------------------------------------------------


def test_a_lost_answer_with_an_entry_of_its_time_was_probably_billed() -> None:
    finding = only(held([attempt(1, "unknown")], [billed(NOON + 200)]))
    assert (finding.kind, finding.billed) == ("probably_billed", keys(1))


@pytest.mark.parametrize(
    "entry", [billed(NOON - 3_000), billed(NOON + 3_000), billed(model=MAX)], ids=["before", "after", "other model"]
)
def test_an_entry_of_another_time_or_model_says_nothing_of_a_lost_answer(entry: Billed) -> None:
    assert kinds(held([attempt(1, "unknown")], [entry])) == {"not_billed": 1, "unrecorded": 1}


def test_of_lost_answers_at_one_time_the_log_cannot_tell_which_was_billed() -> None:
    """For the money it is all one: as many are settled as billed as were."""
    finding = only(held([attempt(n, "unknown", at=NOON + n) for n in (1, 2, 3)], [billed()]))
    assert (finding.kind, finding.count) == ("perhaps_billed", 3)
    assert (len(finding.billed), len(finding.not_billed)) == (1, 2)
    assert {*finding.billed, *finding.not_billed} == {*keys(1, 2, 3)}


def test_what_surely_was_billed_takes_its_entry_before_what_was_lost() -> None:
    found = held([attempt(1, "unknown"), attempt(2)], [billed()])
    assert kinds(found) == {"not_billed": 1}


def test_in_a_crowd_without_names_a_lost_answers_entry_stays_its_own() -> None:
    """Were it given to the next answered request, and that one's to the next, the last entries would be nobody's."""
    crowd = [attempt(n, "unknown" if n < 40 else "spent", at=NOON + 3 * n) for n in range(400)]
    found = held(crowd, [billed(each.started_at + 8) for each in crowd])
    assert kinds(found) == {"probably_billed": 40}


def test_a_request_of_a_run_that_died_ended_long_before_somebody_noticed() -> None:
    dead = attempt(1, "unknown", took_s=50_000)
    assert kinds(held([dead], [billed(NOON + 20_000)])) == {"not_billed": 1, "unrecorded": 1}
    assert kinds(held([dead], [billed(NOON + 60)])) == {"probably_billed": 1}
    assert kinds(held([replace(dead, ended_at=None, money=AttemptMoney.RESERVED)], [])) == {"not_billed": 1}


def test_what_a_person_settled_as_billed_has_its_entry_late_too() -> None:
    assert held([attempt(1, "spent", troubled=True, judged=True)], [billed(NOON + 200)]).findings == ()


def test_what_a_person_settled_as_not_billed_and_the_log_has_is_told() -> None:
    found = held([attempt(1, "released", judged=True)], [billed()])
    assert kinds(found) == {"given_back": 1}
    assert "probably billed" in only(found).message
    assert kinds(held([attempt(1, "released")], [billed()])) == {"unrecorded": 1}


# --- what else -----------------------------------------------------------------------------------------------------


def test_lost_answers_of_one_job_that_differ_cannot_be_settled_apart() -> None:
    two = [attempt(n, "unknown", key="f" * 64, open_of_job=2, at=NOON + 5_000 * n) for n in (0, 1)]
    finding = only(held(two, [billed()]))
    assert (finding.kind, finding.billed, finding.not_billed) == ("mixed", (), ())
    assert "1 was probably billed" in finding.message
    alike = held(two, [billed(), billed(NOON + 5_008)])
    assert (only(alike).kind, only(alike).billed) == ("probably_billed", ("f" * 64,))


def test_lost_answers_of_one_job_are_only_as_sure_as_the_least_sure() -> None:
    two = [attempt(n, "unknown", key="f" * 64, open_of_job=2, at=NOON + 5_000 * n) for n in (0, 1)]
    named = [replace(two[0], request_id="a"), two[1]]
    assert only(held(named, [billed(request_id="a"), billed(NOON + 5_008)])).kind == "probably_billed"


def test_a_job_with_a_lost_answer_outside_the_period_is_not_settled_by_what_is_inside() -> None:
    assert kinds(held([attempt(1, "unknown", open_of_job=2)], [billed()])) == {"mixed": 1}


def test_another_price_is_told_by_model() -> None:
    attempts = [attempt(n, request_id=str(n)) for n in range(3)]
    entries = [billed(request_id=str(n), microusd=28_000) for n in range(3)]
    finding = only(held(attempts, entries))
    assert (finding.kind, finding.count, finding.microusd) == ("price", 3, -21_000)
    assert "$0.028, not $0.035" in finding.message
    assert "-$0.021" in finding.message
    assert finding.advice.endswith("provider: {prices: {flux-kontext-pro: 0.028}}")


def test_what_is_finer_than_a_unit_of_the_log_is_rounding() -> None:
    assert held([attempt(1)], [billed(microusd=34_999)], unit_microusd=2).findings == ()
    assert kinds(held([attempt(1)], [billed(microusd=34_998)], unit_microusd=2)) == {"price": 1}


def test_models_that_nobody_here_buys_are_counted_and_not_compared() -> None:
    found = held([attempt(1)], [billed(), billed(model="a-language-model"), billed(model="a-language-model")])
    assert (found.findings, found.others) == ((), {"a-language-model": (2, 2_000)})
    mine = held([attempt(1, model=PRO)], [billed(), billed(model="old")], models=[])
    assert mine.others == {"old": (1, 1_000)}


def test_across_midnight_an_entry_counts_on_its_requests_day() -> None:
    midnight = datetime(2026, 11, 24).astimezone().timestamp()
    late = attempt(1, at=midnight - 4)
    entry = billed(midnight + 4)
    for since, until, spent in ((DAY, DAY, 1), (DAY + timedelta(days=1), DAY + timedelta(days=1), 0)):
        found = held([late], [entry], period=Period(since=since, until=until))
        assert found.findings == ()
        assert sum(line.spent for line in found.lines) == sum(line.billed for line in found.lines) == spent


def test_what_was_under_way_when_the_log_was_read_is_not_compared() -> None:
    on = [attempt(1, "reserved", ended_at=None, under_way=True), attempt(2, at=NOON + 100), attempt(3, at=NOON - 900)]
    found = held(on, [billed(NOON - 892)], read_at=NOON + 50)
    assert (found.findings, found.under_way) == ((), 2)
    assert sum(line.spent + line.unknown for line in found.lines) == 1


def test_nothing_on_either_side_agrees() -> None:
    found = held([], [])
    assert (found.lines, found.findings) == ((), ())


# --- worlds --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Fate:
    """What may become of a request, and what the comparison must say of it; "" for nothing.

    Attributes:
        money: In the ledger; "" where it is not there.
        logged: Whether an entry is there.
        nameless: Whether the ledger never learnt its name.
        dearer: By how much it was billed above its price.
        more: What else the ledger knows of it.
    """

    money: str = "spent"
    logged: bool = True
    nameless: bool = False
    always_named: bool = False
    dearer: int = 0
    more: tuple[tuple[str, bool], ...] = ()
    finding: str = ""


SETTLED = (("troubled", True), ("judged", True))
FATES = {
    "fine": Fate(),
    "refused": Fate(money="released", logged=False),
    "lost, billed, named": Fate(money="unknown", always_named=True, finding="billed"),
    "lost, billed": Fate(money="unknown", nameless=True, finding="probably_billed"),
    "lost, not billed": Fate(money="unknown", logged=False, finding="not_billed"),
    "spent, not logged": Fate(logged=False, finding="missing"),
    "refused, billed": Fate(money="released", always_named=True, finding="given_back"),
    "bought by somebody else": Fate(money="", finding="unrecorded"),
    "dearer": Fate(dearer=500, finding="price"),
    "settled as billed": Fate(nameless=True, more=SETTLED),
    "settled as not billed": Fate(money="released", nameless=True, logged=False, more=SETTLED),
}


@dataclass
class World:
    """A ledger and a log, made request by request; far enough apart in time for times to tell."""

    attempts: list[AttemptRecord] = field(default_factory=list)
    entries: list[Billed] = field(default_factory=list)
    expected: Counter[str] = field(default_factory=Counter)

    def add(self, fate: Fate, number: int, *, named: bool, took_s: float) -> None:
        at = NOON + 1_500 * number
        model = MAX if number % 3 == 0 else PRO
        name = f"req-{number}" if named or fate.always_named else ""
        if fate.money:
            known = "" if fate.nameless else name
            more: dict[str, Any] = {"model": model, "request_id": known, **dict(fate.more)}
            self.attempts.append(attempt(number, fate.money, at=at, took_s=took_s, **more))
        if fate.logged:
            amount = PRICES[model] + fate.dearer
            self.entries.append(billed(at + took_s, model=model, microusd=amount, request_id=name))
        if fate.finding:
            self.expected[fate.finding] += 1


FATE = st.tuples(st.sampled_from(sorted(FATES)), st.booleans(), st.floats(min_value=0, max_value=180))


@settings(max_examples=150, deadline=None)
@given(fates=st.lists(FATE, max_size=24), order=st.randoms(use_true_random=False))
def test_the_differences_found_are_exactly_those_planted(fates: list[tuple[str, bool, float]], order: Any) -> None:
    world = World()
    world.add(FATES["fine"], 0, named=True, took_s=8)  # one name in both, so that names count
    for number, (fate, named, took_s) in enumerate(fates, start=1):
        world.add(FATES[fate], number, named=named, took_s=took_s)
    order.shuffle(world.attempts)
    order.shuffle(world.entries)
    period = Period(since=DAY, until=DAY + timedelta(days=2))
    found = held(world.attempts, world.entries, period=period, read_at=NOON + 10 * 86_400)
    assert kinds(found) == dict(world.expected)
    _assert_sums(found, world)


CROWD = st.lists(
    st.tuples(st.sampled_from(["spent", "unknown", "released"]), st.booleans(), st.integers(0, 900)), max_size=20
)


@settings(max_examples=150, deadline=None)
@given(crowd=CROWD, strangers=st.lists(st.integers(0, 900), max_size=5))
def test_where_times_do_not_tell_nothing_is_lost_or_made_up(
    crowd: list[tuple[str, bool, int]], strangers: list[int]
) -> None:
    """Nobody can say which is which in a crowd without names; but each entry and each request counts exactly once."""
    world = World()
    for number, (money, logged, offset) in enumerate(crowd):
        world.attempts.append(attempt(number, money, at=NOON + offset))
        if logged and money != "released":
            world.entries.append(billed(NOON + offset + 8))
    world.entries += [billed(NOON + offset) for offset in strangers]
    found = held(world.attempts, world.entries)
    counts = kinds(found)
    _assert_sums(found, world)
    unknown = sum(each.money is AttemptMoney.UNKNOWN for each in world.attempts)
    of_lost = [each for each in found.findings if each.kind.endswith("billed")]
    assert sum(each.count for each in of_lost) == unknown
    spent = sum(each.money is AttemptMoney.SPENT for each in world.attempts)
    explained = spent - counts.get("missing", 0) + sum(len(each.billed) for each in of_lost)
    assert len(world.entries) == explained + counts.get("unrecorded", 0)
    named = [key for each in of_lost for key in (*each.billed, *each.not_billed)]
    assert len(named) == len(set(named)) == unknown


def _assert_sums(found: Reconciliation, world: World) -> None:
    """The lines add up to what is in the world, on either side."""
    spent = [each.price_microusd for each in world.attempts if each.money is AttemptMoney.SPENT]
    unknown = [each.price_microusd for each in world.attempts if each.money is AttemptMoney.UNKNOWN]
    logged = [each.microusd for each in world.entries if each.model in PRICES]
    assert (sum(line.spent for line in found.lines), sum(line.spent_microusd for line in found.lines)) == (
        len(spent),
        sum(spent),
    )
    assert (sum(line.unknown for line in found.lines), sum(line.unknown_microusd for line in found.lines)) == (
        len(unknown),
        sum(unknown),
    )
    assert (sum(line.billed for line in found.lines), sum(line.billed_microusd for line in found.lines)) == (
        len(logged),
        sum(logged),
    )
