"""The rate: none at first, found from what is admitted between refusals, closed in on."""

from math import inf

import pytest

from pipeline.produce.pace.history import MEMORY, MINUTE_S, History
from pipeline.produce.pace.rate import ENOUGH, LEAST, OVERSHOOT, PLATEAU, STEP, Rate


def bought(rate: Rate, *, since: float, until: float, every_s: float, held: bool = True) -> None:
    """Let requests go, one every so often; the pace stays what it is."""
    at = since
    while at < until:
        rate.started(at, held=held)
        at += every_s


def climb(rate: Rate, starts: int) -> list[float]:
    """Let in so many that the pace held up; the pace after each."""
    paces = []
    for _ in range(starts):
        rate.admitted(rate.pace)
        paces.append(rate.pace or 0.0)
    return paces


def known(per_s: float) -> Rate:
    """A rate that an earlier run has found."""
    return Rate(pace=per_s)


# --- how many there were ------------------------------------------------------------------------------------------


def history(*starts: float, held: bool = True) -> History:
    made = History()
    for at in starts:
        made.started(at, held=held)
    return made


def test_the_minute_before_is_counted() -> None:
    made = history(*(float(at) for at in range(200)))
    assert made.rate_before(199.5) == 1.0


def test_slow_starts_are_counted_over_more_minutes() -> None:
    made = history(*(float(at) for at in range(0, 600, 4)))
    assert made.rate_before(600.0) == pytest.approx(0.25, rel=0.02)


def test_what_was_refused_does_not_count() -> None:
    made = history(1.0, 2.0, 3.0)
    made.forget(2.0)
    made.forget(7.0)
    assert made.between(0.0, 10.0) == 2


def test_the_share_that_the_rate_held_up_is_told() -> None:
    made = history(1.0, 2.0, 3.0)
    made.started(4.0, held=False)
    assert made.held_share(0.0, 10.0) == 0.75
    assert made.held_share(20.0, 30.0) == 1.0


def test_the_memory_is_bounded() -> None:
    made = history(*(at / 100 for at in range(MEMORY * 2)))
    assert made.between(-1.0, inf) == MEMORY


# --- the pace -----------------------------------------------------------------------------------------------------


def test_nothing_is_held_up_before_anything_was_refused() -> None:
    rate = Rate()
    rate.started(5.0, held=False)
    assert (rate.pace, rate.opens_at, rate.known, rate.found) == (None, -inf, False, None)


def test_a_stated_rate_is_kept_from_the_beginning_and_never_exceeded() -> None:
    rate = Rate(most=0.5)
    rate.started(10.0, held=True)
    assert rate.opens_at == 12.0
    climb(rate, 1000)
    assert rate.pace == 0.5


def test_starts_are_spread_evenly() -> None:
    rate = known(2.0)
    rate.started(10.0, held=True)
    assert rate.opens_at == 10.5


def test_the_first_rate_is_between_what_came_in_at_last_and_the_average() -> None:
    rate = Rate()
    rate.refused(10.0, pause_s=0.0)
    rate.find(12.0, average=2.0, dead_s=0.0)
    assert rate.pace == pytest.approx((0.5 * 2.0) ** 0.5)
    assert rate.known


def test_a_window_that_was_used_up_tells_its_rate_at_once() -> None:
    rate = Rate()
    for number in range(60):
        rate.started(number / 10, held=False)
    rate.refused(6.0, pause_s=0.0)
    rate.find(60.0, average=1.0, dead_s=30.0)
    assert rate.pace == 1.0


def test_a_rate_that_was_never_refused_grows_by_rounds() -> None:
    rate = Rate()
    rate.refused(1.0, pause_s=0.0)
    rate.find(2.0, average=1.0, dead_s=0.0)
    for _ in range(10):
        rate.admitted(1.0)
    assert rate.pace == 1.5, "ten of one round are one step"
    rate.admitted(1.5)
    assert rate.pace == 2.25


def test_what_the_rate_did_not_hold_up_does_not_make_it_grow() -> None:
    rate = known(1.0)
    for _ in range(10_000):
        rate.admitted(None)
    assert rate.pace == 1.0


def test_a_refusal_lowers_the_pace_a_little_and_it_comes_back_slowly_and_then_rises_fast() -> None:
    rate = known(1.0)
    bought(rate, since=0.0, until=300.0, every_s=1.0)
    rate.refused(300.0, pause_s=0.0)
    assert rate.pace == pytest.approx(1.0 - STEP)
    paces = climb(rate, 3 * PLATEAU)
    assert paces == sorted(paces)
    early, late = paces[PLATEAU // 2] - paces[0], paces[PLATEAU - 1] - paces[PLATEAU // 2]
    assert early > 5 * late, "concave: fast at first, slow near the rate"
    assert paces[-1] > 1.5 * paces[PLATEAU], "and faster and faster beyond it"


def test_the_pace_overshoots_by_a_bounded_factor() -> None:
    rate = known(1.0)
    climb(rate, 100_000)
    assert rate.pace == pytest.approx(1.0 + OVERSHOOT)


def test_what_was_admitted_in_the_minute_is_the_rate() -> None:
    rate = known(1.0)
    bought(rate, since=0.0, until=300.0, every_s=1.0)
    assert climb(rate, 4 * PLATEAU)[-1] > 2.0
    rate.refused(300.0, pause_s=0.0)
    rate.forget(300.0)
    bought(rate, since=301.0, until=361.0, every_s=1.0)
    rate.refused(361.0, pause_s=0.0)
    assert rate.pace == pytest.approx(1.0, rel=0.05)


def test_refusals_in_quick_succession_bring_it_down_to_half_at_most_each() -> None:
    rate = known(8.0)
    bought(rate, since=0.0, until=60.0, every_s=0.125)
    for number in range(6):
        at = 60.0 + 4 * number
        rate.started(at - 2, held=True)
        before = rate.pace or 0.0
        rate.refused(at, pause_s=0.0)
        assert before * 0.45 <= (rate.pace or 0.0) <= before
    assert (rate.pace or 0.0) < 2.0


def test_a_refusal_that_costs_a_pause_makes_the_next_one_rarer() -> None:
    cheap, dear = known(1.0), known(1.0)
    for rate, pause_s in ((cheap, 0.0), (dear, 20.0)):
        bought(rate, since=0.0, until=300.0, every_s=1.0)
        rate.refused(300.0, pause_s=pause_s)
        climb(rate, PLATEAU + 60)
    assert (dear.pace or 0) < 1.0 < (cheap.pace or 0)


def test_it_never_stops_altogether() -> None:
    rate = Rate()
    for number in range(50):
        rate.refused(1000.0 * number, pause_s=0.0)
        if not rate.known:
            rate.find(1000.0 * number + 900.0, average=0.0, dead_s=900.0)
    assert (rate.pace or 0.0) >= LEAST


# --- what the provider says ---------------------------------------------------------------------------------------


def test_a_providers_word_holds_from_its_first_refusal_on() -> None:
    rate = Rate()
    rate.state(1.0)
    assert rate.pace is None or rate.pace == 1.0
    rate.refused(10.0, pause_s=0.0)
    rate.find(10.5, average=9.0, dead_s=0.0)
    assert rate.pace == 1.0
    climb(rate, 10_000)
    assert rate.pace == 1.0


def test_a_providers_word_holds_once_it_says_that_none_are_left() -> None:
    rate = Rate()
    rate.keep(5.0)
    assert not rate.known
    rate.state(1.0)
    rate.keep(6.0)
    assert (rate.known, rate.pace) == (True, 1.0)


def test_a_new_word_replaces_the_old_one() -> None:
    rate = Rate()
    rate.state(1.0)
    rate.keep(0.0)
    rate.state(0.5)
    assert rate.pace == 0.5


def test_a_window_that_opens_again_is_aimed_at_as_it_was_counted() -> None:
    rate = known(1.0)
    bought(rate, since=0.0, until=60.0, every_s=1.0)
    rate.refused(60.0, pause_s=0.0)
    rate.reopened(dead_s=20.0)
    assert rate.pace == pytest.approx(1.0 * (1 - STEP))
    assert MINUTE_S == 60.0


def test_a_moment_without_admissions_is_no_window() -> None:
    rate = known(1.0)
    bought(rate, since=0.0, until=60.0, every_s=1.0)
    rate.refused(60.0, pause_s=0.0)
    before = rate.pace
    rate.reopened(dead_s=0.5)
    assert rate.pace == before


def test_a_few_starts_and_a_pause_are_no_window_that_is_used_up() -> None:
    rate = known(1.0)
    bought(rate, since=0.0, until=ENOUGH - 2, every_s=1.0)
    rate.refused(60.0, pause_s=0.0)
    before = rate.pace
    rate.reopened(dead_s=20.0)
    assert rate.pace == before


def test_the_first_rate_is_not_told_by_a_few_starts_and_a_pause() -> None:
    rate = Rate()
    bought(rate, since=0.0, until=2.0, every_s=1.0)
    rate.refused(2.0, pause_s=0.0)
    rate.find(4.0, average=2.0, dead_s=2.0)
    assert rate.pace == pytest.approx((0.5 * 2.0) ** 0.5)


def test_the_slowest_pace_is_one_in_ten_seconds() -> None:
    rate = known(1.0)
    for number in range(20):
        rate.refused(100.0 * number, pause_s=0.0)
    assert rate.pace == pytest.approx(LEAST) == pytest.approx(0.1)
