"""What is promised of the pace, on providers whose limits it does not know, on a clock of events."""

import pytest

from benchmarks.pace import JOBS, measure, meets
from benchmarks.pace_gates import AllOf, Bucket, FixedWindow, Gate, InFlight, SlidingWindow
from benchmarks.pace_grid import grid

#: One of each kind; the others take their turn in ``make torture``.
USUAL = (
    "24 in flight",
    "24 in flight, Retry-After 1 s",
    "12, then 24 in flight",
    "24, then 12 in flight",
    "60 a minute, burst 1",
    "120 a minute, burst 120",
    "60, then 30 a minute, burst 5",
    "60, then 120 a minute, burst 60",
    "60 in each minute",
    "60 in any minute",
    "24 in flight, 120 a minute",
    "60 a minute, burst 60, headers",
)


@pytest.mark.dose(1, 3)
def test_it_comes_close_to_one_who_knows_the_limits_and_is_hardly_ever_refused(seeds: range, torture: bool) -> None:
    providers = [provider for provider in grid(JOBS) if torture or provider.name in USUAL]
    assert len(providers) >= (36 if torture else len(USUAL))
    told = {(each.name, seed): measure(each, seed=seed) for each in providers for seed in seeds}
    assert {case: figures for case, figures in told.items() if not meets(figures)} == {}


# --- the gates it is measured against ------------------------------------------------------------------------------


def let_in(gate: Gate, *, until: float, step_s: float = 0.05) -> int:
    """How many a client that asks all the time gets in, none of whom ever leaves."""
    count, now = 0, 0.0
    while now < until:
        if gate.opens_at(now) <= now:
            gate.enter(now)
            count += 1
        now += step_s
    return count


def test_a_bucket_lets_in_its_burst_and_its_rate() -> None:
    assert let_in(Bucket(((0.0, 60.0),), burst=10.0), until=120.0) == pytest.approx(10 + 120, abs=1)


def test_a_window_lets_in_its_number_at_each_border() -> None:
    assert let_in(FixedWindow(((0.0, 30.0),), begun_s=50.0), until=9.9) == 30
    assert let_in(FixedWindow(((0.0, 30.0),), begun_s=50.0), until=11.0 + 60.0) >= 60


def test_any_minute_lets_in_its_number() -> None:
    assert let_in(SlidingWindow(((0.0, 30.0),)), until=59.9) == 30
    assert let_in(SlidingWindow(((0.0, 30.0),)), until=119.9) == 60


def test_a_limit_that_changes_changes_when_it_says() -> None:
    gate = InFlight(((0.0, 2.0), (10.0, 4.0)))
    assert let_in(gate, until=9.0) == 2
    assert let_in(Bucket(((0.0, 60.0), (60.0, 120.0)), burst=1.0), until=120.0) == pytest.approx(180, abs=2)


def test_of_several_limits_the_tightest_holds() -> None:
    gate = AllOf([InFlight(((0.0, 5.0),)), Bucket(((0.0, 60.0),), burst=3.0)])
    assert let_in(gate, until=1.5) == 4
    assert let_in(gate, until=60.0) == 1
    gate.leave()
    assert gate.opens_at(61.0) == 61.0
