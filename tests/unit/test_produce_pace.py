"""The lane and its pacer: who may go when, and what each outcome means for the others."""

from itertools import pairwise
from math import inf

import anyio
import pytest

from pipeline.produce.pace import Lane, Lesson
from pipeline.produce.pace.level import START
from pipeline.produce.pace.pacer import FIRST_PAUSE_S, HUSH_S, LONGEST_PAUSE_S, SURE_S, Pacer
from pipeline.produce.pace.start import Start
from pipeline.provider import Allowance
from tests.unit.produce_doubles import FakeClock, settle


def pacer(
    *, ceiling: int = 64, most_per_s: float | None = None, lesson: Lesson | None = None, jitter: float = 1.0
) -> Pacer:
    return Pacer(ceiling=ceiling, now=0.0, jitter=lambda: jitter, most_per_s=most_per_s, lesson=lesson)


def go(made: Pacer, now: float) -> tuple[Start, float]:
    """Let the next one go as soon as it may; it, and when."""
    while (opens := made.opens_at(now)) > now:
        assert opens < inf, "nothing may go"
        now = opens
    return made.start(now), now


def fill(made: Pacer, now: float = 0.0) -> tuple[list[Start], float]:
    """Let as many go as may be in flight."""
    starts = []
    while made.in_flight < made.level.limit:
        start, now = go(made, now)
        starts.append(start)
    return starts, now


def lesson(*, level: int = 20, wall: int | None = None, rate: float | None = None) -> Lesson:
    return Lesson(level=level, wall=wall, rate=rate, learned_at=0.0)


# --- the pacer ----------------------------------------------------------------------------------------------------


def test_it_begins_with_few_spread_over_a_moment() -> None:
    made = pacer()
    starts, _ = fill(made)
    assert len(starts) == START
    gaps = {round(later.at - earlier.at, 3) for earlier, later in pairwise(starts)}
    assert gaps == {round(SURE_S / 2 / START, 3)}


def test_what_is_not_refused_for_a_while_counts_as_let_in_before_it_is_answered() -> None:
    made = pacer()
    _, now = fill(made)
    assert made.opens_at(now) == SURE_S, "the first is sure then"
    go(made, now)
    assert made.level.limit == START + 1


def test_an_answer_makes_room_at_once() -> None:
    made = pacer()
    starts, now = fill(made)
    made.succeeded(starts[0], now)
    _, later = go(made, now)
    assert later < now + 1.0
    assert made.in_flight == START


def test_a_burst_of_refusals_is_one_episode() -> None:
    made = pacer(lesson=lesson(level=24))
    starts, now = fill(made)
    for start in starts[:-1]:
        made.succeeded(start, now + 8.0)
    starts, now = fill(made, now + 8.0)
    for start in reversed(starts[-5:]):
        made.refused(start, now + 0.1, retry_after_s=None)
    first = made.level.limit
    made.refused(starts[-6], now + 0.11, retry_after_s=None)
    assert made.level.limit >= first - 1
    assert made.paused_until <= now + 0.1 + HUSH_S


def test_a_refusal_at_a_new_level_leaves_just_less_in_flight_and_hushes_for_a_moment() -> None:
    made = pacer(lesson=lesson(level=24))
    starts, now = fill(made)
    made.refused(starts[-1], now + 0.1, retry_after_s=None)
    assert made.level.limit == 23
    assert made.paused_until == now + 0.1 + HUSH_S


def test_the_providers_own_word_pauses_all_once() -> None:
    made = pacer(lesson=lesson(level=24))
    starts, now = fill(made)
    for number, start in enumerate(reversed(starts[-4:])):
        made.refused(start, now + 0.1 + number / 100, retry_after_s=(5.0, 9.0, 2.0, 1.0)[number])
    assert made.paused_until == now + 0.11 + 9.0


def test_while_nothing_is_let_in_one_at_a_time_is_sent_and_the_waits_grow_to_a_bound() -> None:
    made = pacer(ceiling=4)
    now, waits = 0.0, []
    for _ in range(12):
        start, now = go(made, now)
        assert made.opens_at(now) > now, "no other beside it"
        now += 0.1
        made.refused(start, now, retry_after_s=None)
        waits.append(round(made.paused_until - now, 6))
    assert waits[0] == FIRST_PAUSE_S
    assert waits == sorted(waits)
    assert waits[3] >= LONGEST_PAUSE_S
    assert waits[-1] <= 60.0


def test_it_goes_on_after_however_many_refusals() -> None:
    made = pacer()
    now = 0.0
    for _ in range(100):
        start, now = go(made, now)
        made.refused(start, now + 0.1, retry_after_s=None)
        now += 0.1
    start, now = go(made, now)
    made.succeeded(start, now + 8.0)
    assert made.level.limit >= 1
    assert made.opens_at(now + 8.0) < now + 400.0


def test_a_stated_rate_spaces_all_starts() -> None:
    made = pacer(most_per_s=0.5)
    at = [go(made, 0.0)[1]]
    for _ in range(3):
        at.append(go(made, at[-1])[1])
    assert at == [0.0, 2.0, 4.0, 6.0]


def test_a_lesson_is_where_it_begins() -> None:
    made = pacer(lesson=lesson(level=20, wall=21, rate=2.0))
    assert (made.level.limit, made.level.wall) == (20, 21)
    assert made.rate.pace == 2.0


def test_a_lesson_never_lifts_it_above_its_ceiling() -> None:
    assert pacer(ceiling=3, lesson=lesson(level=20)).level.limit == 3


def test_headers_are_believed_once_none_are_left() -> None:
    made = pacer()
    first, now = go(made, 0.0)
    made.told(first, Allowance(limit=60, remaining=59, reset_s=1.0), now)
    assert made.rate.known is False
    made.told(first, Allowance(limit=60, remaining=0, reset_s=60.0), now)
    assert made.rate.pace == 1.0


def test_what_was_let_go_since_counts_against_what_headers_say_is_left() -> None:
    made = pacer()
    starts, now = fill(made)
    made.told(starts[0], Allowance(limit=60, remaining=3, reset_s=60.0), now)
    assert made.rate.pace == 1.0


def test_a_limit_without_a_time_is_taken_to_be_one_by_the_minute() -> None:
    made = pacer()
    first, now = go(made, 0.0)
    made.told(first, Allowance(limit=120, remaining=0), now)
    assert made.rate.pace == 2.0


def test_what_is_withdrawn_leaves_no_trace() -> None:
    made = pacer()
    starts, now = fill(made)
    for start in starts:
        made.withdrawn(start, now)
    assert made.in_flight == 0
    assert made.rate.started_since(-1.0) == 0
    assert made.level.limit == START


def until_a_trial(made: Pacer, under_way: list[Start], now: float) -> tuple[Start, float]:
    """Buy on, an answer each two seconds, until one more than the limit is let go: the wall is tried."""
    for _ in range(4_000):
        now += 2.0
        if made.opens_at(now) > now and under_way:
            made.succeeded(under_way.pop(0), now)
        if made.opens_at(now) <= now:
            under_way.append(made.start(now))
            if under_way[-1].trial:
                return under_way[-1], now
    raise AssertionError("the wall was not tried")


def test_a_trial_that_a_refusal_of_the_moment_overtakes_is_not_the_last() -> None:
    made = pacer(lesson=lesson(level=4, wall=5))
    under_way, now = fill(made)
    trial, now = until_a_trial(made, under_way, now)
    made.refused(under_way.pop(-2), now + 0.05, retry_after_s=None)
    made.succeeded(trial, now + 0.1)
    under_way.remove(trial)
    again, _ = until_a_trial(made, under_way, now + 60.0)
    assert again is not trial


def test_ever_slower_answers_lower_the_limit() -> None:
    made = pacer(lesson=lesson(level=20), ceiling=20)
    now = 0.0
    for latency_s in (8.0,) * 10 + (30.0,) * 5:
        starts, now = fill(made, now)
        now += latency_s
        for start in starts:
            made.succeeded(start, now)
    assert made.level.limit < 20


# --- the lane -----------------------------------------------------------------------------------------------------


def lane(*, ceiling: int = 64, clock: FakeClock | None = None, rate: float | None = None) -> Lane:
    return Lane(ceiling=ceiling, clock=clock or FakeClock(), jitter=lambda: 1.0, most_per_s=rate)


async def test_a_place_is_given_only_when_the_pause_is_over() -> None:
    clock = FakeClock()
    made = lane(clock=clock)
    with anyio.fail_after(5):
        made.refused(await made.acquire(), retry_after_s=12.0)
        assert (await made.acquire()).at == 12.0


async def test_a_pause_made_longer_meanwhile_is_waited_out() -> None:
    clock = FakeClock()
    made = lane(clock=clock)
    taken: list[float] = []

    async def take() -> None:
        taken.append((await made.acquire()).at)

    with anyio.fail_after(5):
        first, second = await made.acquire(), await made.acquire()
        now = clock.now
        made.refused(first, retry_after_s=5.0)
        async with anyio.create_task_group() as group:
            group.start_soon(take)
            await anyio.lowlevel.checkpoint()
            made.refused(second, retry_after_s=30.0)
    assert taken == [now + 30.0]


async def test_whoever_waits_gets_the_place_that_is_given_back_first_come_first_served() -> None:
    made = lane(ceiling=1)
    order: list[int] = []

    async def take(number: int) -> None:
        start = await made.acquire()
        order.append(number)
        made.succeeded(start)

    with anyio.fail_after(5):
        first = await made.acquire()
        async with anyio.create_task_group() as group:
            for number in range(5):
                group.start_soon(take, number)
                await anyio.lowlevel.checkpoint()
            await settle()
            assert order == []
            made.succeeded(first)
    assert order == [0, 1, 2, 3, 4]
    assert made.in_flight == 0


async def test_whoever_stops_waiting_leaves_the_others_their_turn() -> None:
    made = lane(ceiling=1)
    with anyio.fail_after(5):
        first = await made.acquire()
        async with anyio.create_task_group() as group:
            group.start_soon(made.acquire)
            await settle()
            group.cancel_scope.cancel()
        made.release(first)
        made.release(first)
        assert (await made.acquire()).level == 1


@pytest.mark.parametrize(("pause_s", "said"), [(30.0, "the provider asked to slow down: 30 s"), (0.2, None)])
async def test_it_says_that_it_is_paused(pause_s: float, said: str | None) -> None:
    made = lane()
    with anyio.fail_after(5):
        made.refused(await made.acquire(), retry_after_s=pause_s)
    assert made.waiting == said


async def test_it_says_that_the_rate_holds_requests_up() -> None:
    made = lane(rate=0.5)
    with anyio.fail_after(5):
        await made.acquire()
        async with anyio.create_task_group() as group:
            group.start_soon(made.acquire)
            await anyio.lowlevel.checkpoint()
            assert made.waiting == "rate: 30 a minute"
    assert made.waiting is None


async def test_it_has_nothing_to_teach_before_anything_was_let_in() -> None:
    made = lane()
    assert made.lesson is None
    with anyio.fail_after(5):
        made.succeeded(await made.acquire())
    taught = made.lesson
    assert taught is not None
    assert (taught.level, taught.wall, taught.rate) == (1, None, None)
