"""The lane: how many requests may be in flight, learned from what is refused."""

import anyio
import pytest

from pipeline.produce.pace import DECREASE, FIRST_PAUSE_S, LONGEST_PAUSE_S, START, Lane, back_off_s
from tests.unit.produce_doubles import FakeClock, settle


def lane(*, ceiling: int = 64, clock: FakeClock | None = None, jitter: float = 0.5) -> Lane:
    return Lane(ceiling=ceiling, clock=clock or FakeClock(), jitter=lambda: jitter)


async def fill(made: Lane) -> float:
    """Take every place there is; the moment of the last."""
    taken_at = await made.acquire()
    while made.in_flight < made.limit:
        taken_at = await made.acquire()
    return taken_at


def test_the_back_off_doubles_up_to_the_longest() -> None:
    assert [back_off_s(number, lambda: 1.0) for number in range(7)] == [1.0, 2.0, 4.0, 8.0, 16.0, 20.0, 20.0]
    assert back_off_s(10_000, lambda: 1.0) == LONGEST_PAUSE_S


def test_the_back_off_is_jittered_over_its_whole_length() -> None:
    assert back_off_s(3, lambda: 0.0) == 0.0
    assert back_off_s(3, lambda: 0.5) == 4.0


@pytest.mark.parametrize(("ceiling", "limit"), [(64, START), (2, 2), (1, 1)])
def test_it_starts_low_and_never_above_its_ceiling(ceiling: int, limit: int) -> None:
    assert lane(ceiling=ceiling).limit == limit


async def test_it_doubles_each_round_until_the_first_refusal() -> None:
    made = lane()

    for limit in (4, 8, 16):
        assert made.limit == limit
        await fill(made)
        for _ in range(limit):
            made.succeeded()
        made.in_flight = 0

    assert made.limit == 32


async def test_after_a_refusal_a_round_of_successes_adds_one() -> None:
    clock = FakeClock()
    made = lane(clock=clock)
    made.refused(sent_at=await fill(made), retry_after_s=0.0)
    before = made.limit
    clock.now += 10
    for _ in range(before + 1):
        made.succeeded()

    assert made.limit == before + 1


async def test_it_never_grows_past_its_ceiling() -> None:
    made = lane(ceiling=6)
    await fill(made)
    for _ in range(100):
        made.succeeded()

    assert made.limit == 6


async def test_it_does_not_grow_while_less_than_half_is_in_use() -> None:
    made = lane()
    await made.acquire()

    made.succeeded()
    assert made.limit == START

    await made.acquire()
    made.succeeded()
    assert made.limit == START + 1


async def test_a_burst_of_refusals_is_one_episode_and_one_decrease() -> None:
    made = lane()
    sent_at = [await made.acquire() for _ in range(4)]
    made._clock.now = 1.0  # type: ignore[attr-defined]

    for at in sent_at:
        made.refused(sent_at=at, retry_after_s=None)

    assert made.limit == int(START * DECREASE)
    assert made.paused_s == 0.5 * FIRST_PAUSE_S


async def test_a_refusal_of_what_was_sent_after_the_decrease_is_a_new_episode() -> None:
    clock = FakeClock()
    made = lane(clock=clock)
    made.refused(sent_at=await made.acquire(), retry_after_s=None)
    made.release()
    clock.now = 100.0

    made.refused(sent_at=await made.acquire(), retry_after_s=None)

    assert made.limit == 1
    assert made.paused_s == 0.5 * 2 * FIRST_PAUSE_S


async def test_a_success_ends_a_row_of_episodes() -> None:
    clock = FakeClock()
    made = lane(clock=clock)
    for _ in range(4):
        clock.now += 100
        made.refused(sent_at=await made.acquire(), retry_after_s=None)
        made.release()
    assert made.paused_s == 4.0

    clock.now += 100
    await made.acquire()
    made.succeeded()
    made.refused(sent_at=clock.now, retry_after_s=None)

    assert made.paused_s == 0.5


async def test_however_often_it_is_refused_one_place_is_left() -> None:
    clock = FakeClock()
    made = lane(clock=clock)
    for _ in range(50):
        clock.now += 100
        made.refused(sent_at=clock.now, retry_after_s=0.0)

    assert made.limit == 1


async def test_a_refusal_of_what_was_sent_at_the_moment_of_the_decrease_belongs_to_it() -> None:
    made = lane()

    for _ in range(3):
        made.refused(sent_at=0.0, retry_after_s=None)

    assert made.limit == int(START * DECREASE)


async def test_it_recovers_slowly_from_however_many_refusals() -> None:
    clock = FakeClock()
    made = lane(clock=clock)
    for _ in range(50):
        clock.now += 100
        made.refused(sent_at=clock.now, retry_after_s=0.0)

    await made.acquire()
    made.succeeded()

    assert made.limit == 2


async def test_the_longest_word_of_the_provider_counts_and_they_do_not_add_up() -> None:
    clock = FakeClock()
    made = lane(clock=clock)

    made.refused(sent_at=0.0, retry_after_s=5.0)
    made.refused(sent_at=0.0, retry_after_s=9.0)
    made.refused(sent_at=0.0, retry_after_s=2.0)

    assert made.paused_s == 9.0
    clock.now = 20.0
    assert made.paused_s == 0.0


async def test_a_place_is_given_only_when_the_pause_is_over() -> None:
    clock = FakeClock()
    made = lane(clock=clock)
    made.refused(sent_at=0.0, retry_after_s=12.0)

    with anyio.fail_after(1):
        assert await made.acquire() == 12.0


async def test_a_pause_made_longer_meanwhile_is_waited_out() -> None:
    clock = FakeClock()
    made = lane(clock=clock)
    made.refused(sent_at=0.0, retry_after_s=5.0)
    taken: list[float] = []

    async def take() -> None:
        taken.append(await made.acquire())

    with anyio.fail_after(1):
        async with anyio.create_task_group() as group:
            group.start_soon(take)
            await anyio.lowlevel.checkpoint()
            made.refused(sent_at=0.0, retry_after_s=30.0)

    assert taken == [30.0]


async def test_whoever_waits_gets_the_place_that_is_given_back() -> None:
    made = lane(ceiling=1)
    await made.acquire()
    taken = anyio.Event()

    async def take() -> None:
        await made.acquire()
        taken.set()

    with anyio.fail_after(1):
        async with anyio.create_task_group() as group:
            group.start_soon(take)
            await settle()
            assert not taken.is_set()
            made.release()

    assert taken.is_set()
    assert made.in_flight == 1


async def test_growth_wakes_whoever_waits() -> None:
    made = lane(ceiling=8)
    await fill(made)
    taken = anyio.Event()

    async def take() -> None:
        await made.acquire()
        taken.set()

    with anyio.fail_after(1):
        async with anyio.create_task_group() as group:
            group.start_soon(take)
            await settle()
            made.succeeded()

    assert made.in_flight == 5
