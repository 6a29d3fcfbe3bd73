"""The measured rate: what counts as time, what as work, and how soon it tells."""

import pytest

from pipeline.deliver.rate import REMEMBERED_S, Rate
from tests.unit.deliver_doubles import FakeClock


def worked(clock: FakeClock, rate: Rate, *, seconds: float, per_s: float, step_s: float = 0.25) -> None:
    for _ in range(round(seconds / step_s)):
        clock.now += step_s
        rate.add(per_s * step_s)


def test_nothing_done_is_no_rate() -> None:
    assert Rate(FakeClock()).per_s == 0


def test_it_is_the_work_of_a_second() -> None:
    clock = FakeClock()
    rate = Rate(clock)
    rate.begin()
    worked(clock, rate, seconds=20, per_s=3)
    assert rate.per_s == pytest.approx(3)


def test_time_in_which_nobody_is_at_work_is_left_out() -> None:
    clock = FakeClock()
    rate = Rate(clock)
    for _ in range(3):
        rate.begin()
        worked(clock, rate, seconds=1, per_s=3)
        rate.end()
        clock.now += 100
    assert rate.per_s == pytest.approx(3)


def test_a_standstill_counts_while_it_lasts() -> None:
    clock = FakeClock()
    rate = Rate(clock)
    rate.begin()
    worked(clock, rate, seconds=10, per_s=4)
    clock.now += REMEMBERED_S / 2
    assert rate.per_s == pytest.approx(2, rel=0.15)
    clock.now += REMEMBERED_S / 2 + 0.5
    assert rate.per_s == 0


@pytest.mark.parametrize(("before", "after"), [(50.0, 0.5), (0.5, 50.0)])
def test_a_collapse_and_its_end_are_all_there_is_after_the_remembered_time(before: float, after: float) -> None:
    clock = FakeClock()
    rate = Rate(clock)
    rate.begin()
    worked(clock, rate, seconds=60, per_s=before)
    worked(clock, rate, seconds=REMEMBERED_S + 0.5, per_s=after)
    assert rate.per_s == pytest.approx(after)


def test_work_taken_back_was_never_done() -> None:
    clock = FakeClock()
    rate = Rate(clock)
    rate.begin()
    worked(clock, rate, seconds=2, per_s=1)
    rate.add(-2)
    assert rate.per_s == 0


def test_work_in_no_time_has_a_finite_rate() -> None:
    rate = Rate(FakeClock())
    rate.begin()
    rate.add(5)
    assert rate.per_s == 1000


def test_it_knows_how_many_are_at_work() -> None:
    rate = Rate(FakeClock())
    rate.begin()
    rate.begin()
    rate.end()
    assert rate.at_work == 1
