"""The small parts of the pace: the latency brake, the blame, the lessons, the quota for retries."""

from random import Random

import pytest

from pipeline.produce.pace import LONGEST_BACK_OFF_S, PASSING_COST, THROTTLED_COST, Lesson, RetryQuota, back_off_s
from pipeline.produce.pace.blame import DOUBTS, SOON, Blame
from pipeline.produce.pace.latency import ANSWERS, Brake
from pipeline.produce.pace.lesson import HALF_LIFE_S, LIFE_S, RATE_LIFE_S
from pipeline.produce.pace.level import START
from pipeline.produce.pace.retries import CAPACITY
from pipeline.produce.pace.start import Start


def start(at: float = 0.0, *, level: int = 1, least: int | None = None, trial: bool = False) -> Start:
    return Start(at=at, gap_s=1.0, level=level, least=level if least is None else least, pace=None, trial=trial)


# --- the back-off and the quota -----------------------------------------------------------------------------------


def test_the_back_off_doubles_up_to_the_longest() -> None:
    assert [back_off_s(number, lambda: 1.0) for number in range(7)] == [1.0, 2.0, 4.0, 8.0, 16.0, 20.0, 20.0]
    assert back_off_s(10_000, lambda: 1.0) == LONGEST_BACK_OFF_S


def test_the_back_off_is_jittered_over_its_whole_length() -> None:
    assert back_off_s(3, lambda: 0.0) == 0.0
    assert back_off_s(3, lambda: 0.5) == 4.0


@pytest.mark.parametrize(("cost", "retries"), [(THROTTLED_COST, 100), (PASSING_COST, 35)])
def test_retries_end_when_nothing_succeeds(cost: int, retries: int) -> None:
    quota = RetryQuota()
    assert [quota.take(cost) for _ in range(retries + 1)] == [True] * retries + [False]


def test_a_retry_that_succeeds_puts_back_what_it_took_and_any_success_a_little() -> None:
    quota = RetryQuota()
    while quota.take(PASSING_COST):
        pass
    quota.put_back(PASSING_COST)
    assert quota.take(PASSING_COST)
    for _ in range(PASSING_COST - CAPACITY % PASSING_COST):
        assert not quota.take(PASSING_COST)
        quota.put_back(0)
    assert quota.take(PASSING_COST)


def test_the_quota_has_a_bound() -> None:
    quota = RetryQuota()
    for _ in range(1000):
        quota.put_back(0)
    assert sum(quota.take(THROTTLED_COST) for _ in range(1000)) == CAPACITY // THROTTLED_COST


# --- lessons ------------------------------------------------------------------------------------------------------


def lesson(*, level: int = 64, wall: int | None = 65, rate: float | None = 2.0, at: float = 1_000_000.0) -> Lesson:
    return Lesson(level=level, wall=wall, rate=rate, learned_at=at)


def test_a_fresh_lesson_is_kept_as_it_is() -> None:
    assert lesson().aged(wall_clock=1_000_001.0) == lesson()


def test_half_of_what_is_above_the_beginning_is_forgotten_in_a_half_life() -> None:
    aged = lesson().aged(wall_clock=1_000_000.0 + HALF_LIFE_S)
    assert aged is not None
    assert aged.level == round(START * (64 / START) ** 0.5)
    assert aged.wall == 65


def test_a_level_below_the_beginning_comes_back_up_to_it() -> None:
    aged = lesson(level=1, wall=2).aged(wall_clock=1_000_000.0 + 20 * HALF_LIFE_S)
    assert aged is not None
    assert aged.level == START


def test_an_old_rate_is_forgotten() -> None:
    aged = lesson().aged(wall_clock=1_000_000.0 + RATE_LIFE_S + 1)
    assert aged is not None
    assert aged.rate is None


@pytest.mark.parametrize("away_s", [LIFE_S + 1, -LIFE_S - 1])
def test_a_lesson_of_long_ago_is_forgotten_even_when_the_clock_was_set_back(away_s: float) -> None:
    assert lesson().aged(wall_clock=1_000_000.0 + away_s) is None


# --- the latency brake --------------------------------------------------------------------------------------------


def answer(brake: Brake, *latencies_s: float) -> int:
    cuts = 0
    for latency_s in latencies_s:
        one = start()
        brake.started(one)
        cuts += brake.answered(one, latency_s)
    return cuts


def test_it_holds_at_twice_the_latency_at_its_best_and_lets_go_again() -> None:
    brake = Brake()
    answer(brake, *[8.0] * 200)
    assert not brake.holds
    answer(brake, *[15.5] * ANSWERS)
    assert not brake.holds
    answer(brake, *[16.5] * ANSWERS)
    assert brake.holds
    answer(brake, *[8.0] * ANSWERS)
    assert not brake.holds


def test_it_cuts_at_thrice_once_for_as_many_answers_as_it_looks_at() -> None:
    brake = Brake()
    answer(brake, *[8.0] * 200)
    assert answer(brake, *[25.0] * ANSWERS) == 1
    assert answer(brake, *[25.0] * (3 * ANSWERS)) == 3


def test_widely_spread_latencies_do_not_set_it_off() -> None:
    brake, chance = Brake(), Random(1)
    for _ in range(5_000):
        assert answer(brake, chance.lognormvariate(2.08, 0.8)) == 0
        assert not brake.holds


def test_the_quick_answers_of_a_crowd_do_not_count_before_the_slow_ones() -> None:
    brake = Brake()
    crowd = [start() for _ in range(4 * ANSWERS)]
    for one in crowd:
        brake.started(one)
    for one in crowd[1::2]:
        assert not brake.answered(one, 1.0)
    assert brake.usual_s > 1e9
    for one in crowd[0::2]:
        brake.answered(one, 16.0)
    assert brake.usual_s == pytest.approx(4.0)


def test_what_ends_without_a_picture_holds_nothing_up() -> None:
    brake = Brake()
    lost = start()
    brake.started(lost)
    answer(brake, 5.0)
    assert brake.usual_s > 1e9
    brake.left(lost)
    answer(brake, 5.0)
    assert brake.usual_s == pytest.approx(5.0)


# --- blame --------------------------------------------------------------------------------------------------------


def judge(blame: Blame, one: Start, *, now: float, admitted: int = 100, rate_held: bool = False) -> bool:
    blame.judge(one, now=now, admitted=admitted, rate_held=rate_held, rises=False)
    return blame.moment


def test_a_level_that_never_was_let_in_is_to_blame() -> None:
    blame = Blame()
    blame.admitted(start(1.0, level=24))
    assert not judge(blame, start(2.0, level=25), now=2.1)


def test_a_level_that_was_let_in_lately_is_not() -> None:
    blame = Blame()
    blame.admitted(start(1.0, level=24))
    assert judge(blame, start(2.0, level=24), now=2.1)


def test_a_single_request_is_never_too_many() -> None:
    assert judge(Blame(), start(1.0, level=1), now=1.1)


def test_what_was_let_in_while_an_answer_was_on_its_way_proves_only_the_level_below() -> None:
    blame = Blame()
    blame.admitted(start(1.0, level=25, least=24))
    assert not judge(blame, start(2.0, level=25), now=2.1)


def test_nothing_let_in_since_means_that_it_is_still_the_moment() -> None:
    blame = Blame()
    blame.admitted(start(1.0, level=24))
    judge(blame, start(2.0, level=10), now=2.1, admitted=50)
    goes_on = blame.judge(start(3.0, level=12), now=3.1, admitted=50, rate_held=False, rises=False)
    assert goes_on
    assert blame.moment


def test_where_the_rate_held_it_up_the_level_is_blamed_only_after_doubts() -> None:
    blame = Blame()
    verdicts = [
        judge(blame, start(float(number), level=5 + number), now=number + 0.1, admitted=100 * number, rate_held=True)
        for number in range(1, DOUBTS + 2)
    ]
    assert verdicts == [True] * DOUBTS + [False]


def test_a_level_let_in_again_after_its_refusal_ends_the_doubts() -> None:
    blame = Blame()
    for number in range(1, 10):
        assert judge(
            blame, start(float(number), level=5 + number), now=number + 0.1, admitted=100 * number, rate_held=True
        )
        blame.admitted(start(number + 0.5, level=5 + number))


def test_a_trial_is_the_levels() -> None:
    blame = Blame()
    assert not judge(blame, start(1.0, level=9, trial=True), now=1.1, rate_held=True)


def test_a_second_refusal_soon_puts_in_doubt_what_was_proven_before() -> None:
    blame = Blame()
    blame.admitted(start(1.0, level=24))
    judge(blame, start(2.0, level=20), now=2.1, admitted=100)
    judge(blame, start(3.0, level=13), now=3.1, admitted=100 + SOON - 1)
    assert blame.misplaced(start(4.0, level=5), twins=100) == 13


def test_requests_sent_together_may_have_arrived_in_another_order() -> None:
    blame = Blame()
    blame.admitted(start(1.0, level=24))
    assert blame.misplaced(start(2.0, level=24), twins=0) == 24
    assert blame.misplaced(start(2.0, level=24), twins=3) == 25
