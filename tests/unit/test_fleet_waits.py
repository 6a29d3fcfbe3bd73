"""When a fleet's worker rests and for how long, what it says of an outage, and what becomes of a shard."""

import pytest

from pipeline.errors import ExitCode
from pipeline.fleet.handing import Patience
from pipeline.fleet.outage import Outage, time_told
from pipeline.fleet.rest import Rest
from pipeline.fleet.verdict import verdict_of
from tests.unit.report_samples import snapshot, summary

UNREACHED = {"causes": (ExitCode.UNAVAILABLE,), "notes": ("Stopped: no connection",), "stored": 0}


def test_rests_grow_while_nothing_comes_of_it_and_are_bounded() -> None:
    rest, now, lengths = Rest(shortest_s=5.0, longest_s=60.0), 100.0, []
    for _ in range(7):
        assert rest.after(summary(**UNREACHED), now=now)
        lengths.append(rest.left_s(now))
        now = rest.until
        assert not rest.is_on(now)
    assert lengths == [5, 10, 20, 40, 60, 60, 60]
    assert rest.why == "Stopped: no connection"


def test_a_shard_that_brings_pictures_makes_the_next_rest_the_first() -> None:
    rest = Rest(shortest_s=5.0)
    for now in (0.0, 100.0):
        rest.after(summary(**UNREACHED), now=now)
    assert not rest.after(summary(stored=3, unknown=0), now=200.0)
    rest.after(summary(**UNREACHED), now=300.0)
    assert rest.left_s(300.0) == 5.0


def test_what_shards_in_hand_meet_meanwhile_is_the_same_trouble() -> None:
    rest = Rest(shortest_s=5.0)
    for now in (0.0, 1.0, 2.0):
        rest.after(summary(**UNREACHED), now=now)
    assert rest.until == 5.0
    rest.after(summary(**UNREACHED), now=6.0)
    assert rest.left_s(6.0) == 10.0


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ({"stored": 9}, ""),
        ({"stored": 9, "failed": 3, "lost": 1, "causes": (ExitCode.BUDGET,), "notes": ("Stopped: budget",)}, ""),
        ({"stored": 0, "unknown": 4}, ""),  # another's, held before
        ({"stored": 9, "unknown": 1, "unknown_microusd": 35_000}, "answers were lost: $0.035 may have been billed"),
        ({"stored": 9, "lost": 2, "unfetched": 2}, "2 pictures paid for and not to be fetched from here"),
        ({"stored": 0, "lost": 1, "spoiled": 1}, "2 pictures paid for and not to be had"),
        ({"causes": (ExitCode.BUDGET, ExitCode.UNAVAILABLE), "notes": ("one", "other")}, "other"),
    ],
)
def test_a_worker_rests_for_what_the_next_shard_would_meet_too(what: dict[str, object], why: str) -> None:
    rest = Rest()
    assert rest.after(summary(**what), now=0.0) == bool(why)
    assert rest.why == why


@pytest.mark.parametrize(
    ("causes", "on_order", "again", "leaves", "fault"),
    [
        ((), 0, False, False, False),
        ((ExitCode.UNAVAILABLE,), 0, True, False, False),
        ((ExitCode.TEMPORARY,), 0, True, False, False),
        ((ExitCode.ACCOUNT,), 0, True, False, False),
        ((ExitCode.BUDGET,), 0, False, True, False),
        ((ExitCode.BUDGET,), 1, True, True, False),
        ((ExitCode.STORAGE,), 0, True, False, False),
        ((ExitCode.BUG,), 0, True, False, True),
    ],
)
def test_what_becomes_of_a_shard(
    causes: tuple[ExitCode, ...], on_order: int, again: bool, leaves: bool, fault: bool
) -> None:
    notes = tuple(f"Stopped: {cause.name}" for cause in causes)
    verdict = verdict_of(summary(causes=causes, notes=notes), on_order_microusd=on_order)
    assert (verdict.again_s is not None, verdict.leaves, verdict.fault) == (again, leaves, fault)
    assert verdict.why == "; ".join(notes)


def test_a_shard_whose_provider_cannot_be_reached_is_for_others_at_once() -> None:
    assert verdict_of(summary(**UNREACHED), on_order_microusd=0).again_s == 0.0


def test_an_outage_is_told_of_at_once_and_then_ever_more_seldom() -> None:
    outage = Outage()
    told = [(now, line) for now in range(0, 14_400, 2) if (line := outage.lasts("no route", now=now))]
    times = [now for now, _ in told]
    assert times == [0, 30, 90, 210, 450, 930, 1890, 3690, 5490, 7290, 9090, 10890, 12690]
    assert told[0][1] == "the database does not answer: no route; trying again"
    assert told[3][1] == "the database does not answer for 4 min: no route; trying again"
    assert outage.lasted_s(14_400.0) == 14_400.0
    assert outage.over(now=14_400.0) == "the database answers again, after 4.0 h"
    assert (outage.over(now=14_401.0), outage.lasted_s(14_402.0)) == ("", 0.0)
    assert outage.lasts("again", now=20_000.0) == "the database does not answer: again; trying again"


@pytest.mark.parametrize(("seconds", "told"), [(4.6, "5 s"), (89, "89 s"), (90, "2 min"), (5400, "1.5 h")])
def test_a_length_of_time_is_told(seconds: float, told: str) -> None:
    assert time_told(seconds) == told


def test_what_nothing_comes_of_is_left_to_others_and_never_while_a_request_is_under_way() -> None:
    patience = Patience(30.0)
    waits: dict[str, int] = {"stored": 4, "in_flight": 0, "queued": 2, "received_bytes": 900}
    steps: list[tuple[float, dict[str, int], bool]] = [
        (0, waits | {"in_flight": 1}, False),
        (100, waits | {"in_flight": 1}, False),
        (129, waits, False),
        (140, waits | {"received_bytes": 901}, False),  # slowly, but it comes
        (169, waits | {"received_bytes": 901}, False),
        (170, waits | {"received_bytes": 901, "queued": 0}, False),
        (199, waits | {"received_bytes": 901}, False),
        (200, waits | {"received_bytes": 901}, True),
    ]
    assert [patience.is_over(snapshot(**run), now=now) for now, run, _ in steps] == [over for *_, over in steps]


def test_nothing_is_left_to_others_while_the_database_is_away_or_for_that() -> None:
    patience, waits = Patience(30.0), snapshot(stored=4, in_flight=0, queued=2)
    assert not patience.is_over(waits, now=0)
    assert not patience.is_over(waits, now=40, away=True)
    assert not patience.is_over(waits, now=69)
    assert patience.is_over(waits, now=70)
