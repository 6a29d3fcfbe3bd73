"""Back-pressure: when another picture may be bought, and what is said when it may not."""

import anyio
import pytest

from pipeline.deliver import Backlog


class FakeClock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now + 1_000_000

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def backlog(clock: FakeClock, *, workers: int = 2, window_s: float = 400, handful: int | None = None) -> Backlog:
    return Backlog(workers=workers, window_s=window_s, clock=clock, handful=handful)


async def admitted(backlog: Backlog) -> int:
    """How many places are given before a producer has to wait."""
    before = backlog.outstanding

    async def produce() -> None:
        while True:
            await backlog.admit()

    with anyio.fail_after(2):
        async with anyio.create_task_group() as group:
            group.start_soon(produce)
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
    return backlog.outstanding - before


async def measure(backlog: Backlog, clock: FakeClock, elapsed_s: float, *, counts: bool = True) -> None:
    await backlog.admit()
    flight = backlog.started()
    clock.now += elapsed_s
    backlog.finished(flight, measured=counts)


@pytest.mark.parametrize(("workers", "handful", "places"), [(2, None, 4), (8, None, 8), (8, 3, 3)])
async def test_only_a_handful_before_a_rate_is_measured(
    clock: FakeClock, workers: int, handful: int | None, places: int
) -> None:
    assert await admitted(backlog(clock, workers=workers, handful=handful)) == places


async def test_measured_as_many_as_drain_in_a_quarter_of_the_window(clock: FakeClock) -> None:
    books = backlog(clock)
    await measure(books, clock, 10)
    assert await admitted(books) == 20  # two workers, 10 s each, 100 s


async def test_a_slow_download_weighs_on_the_mean(clock: FakeClock) -> None:
    books = backlog(clock)
    await measure(books, clock, 10)
    await measure(books, clock, 60)
    assert await admitted(books) == 10  # 10 + 0.2 * 50 = 20 s each


async def test_trouble_of_this_machine_is_no_measurement(clock: FakeClock) -> None:
    books = backlog(clock)
    await measure(books, clock, 0, counts=False)
    assert books.drain_s() is None
    assert await admitted(books) == 4


async def test_a_stall_is_felt_while_it_lasts(clock: FakeClock) -> None:
    books = backlog(clock)
    await measure(books, clock, 1)
    for _ in range(4):
        await books.admit()
    books.started()
    books.started()
    clock.now += 39
    assert books.drain_s() == pytest.approx(78)  # 4 pictures at 2 in 39 s
    clock.now += 2
    assert await admitted(books) == 0


async def test_one_stuck_download_leaves_the_rate_of_the_others(clock: FakeClock) -> None:
    books = backlog(clock)
    await measure(books, clock, 1)
    await books.admit()
    books.started()
    clock.now += 300
    assert books.drain_s() == pytest.approx(1, rel=0.01)


async def test_more_deliveries_than_workers_do_not_add_to_the_rate(clock: FakeClock) -> None:
    books = backlog(clock)
    await measure(books, clock, 1)
    for _ in range(10):
        await books.admit()
        books.started()
    clock.now += 50
    assert books.drain_s() == pytest.approx(250)  # 10 pictures, two at a time, 50 s each


async def test_with_nothing_outstanding_one_place_is_given_however_slow(clock: FakeClock) -> None:
    books = backlog(clock)
    await measure(books, clock, 500)
    assert await admitted(books) == 1


async def test_a_purchase_that_came_to_nothing_gives_its_place_back(clock: FakeClock) -> None:
    books = backlog(clock)
    assert await admitted(books) == 4
    books.release()
    assert books.outstanding == 3
    assert await admitted(books) == 1


async def test_pictures_of_an_earlier_run_are_fetched_before_new_ones_are_bought(clock: FakeClock) -> None:
    books = backlog(clock)
    for _ in range(4):
        books.adopt()
    assert await admitted(books) == 0


async def test_a_waiter_goes_on_when_a_picture_is_settled(clock: FakeClock) -> None:
    books = backlog(clock, handful=1)
    await books.admit()
    flight = books.started()
    went_on: list[int] = []

    async def produce(number: int) -> None:
        await books.admit()
        went_on.append(number)

    with anyio.fail_after(2):
        async with anyio.create_task_group() as group:
            for number in range(2):
                group.start_soon(produce, number)
                await anyio.wait_all_tasks_blocked()
            assert went_on == []
            clock.now += 1
            books.finished(flight)
    assert went_on == [0, 1]


async def test_a_cancelled_waiter_takes_no_place(clock: FakeClock) -> None:
    books = backlog(clock, handful=1)
    assert await admitted(books) == 1
    assert await admitted(books) == 0
    assert books.outstanding == 1


async def test_it_says_why_nothing_is_admitted(clock: FakeClock) -> None:
    books = backlog(clock, handful=2)
    assert await admitted(books) == 2
    assert books.waiting is None  # nobody waits yet
    with anyio.fail_after(2):
        async with anyio.create_task_group() as group:
            group.start_soon(books.admit)
            await anyio.wait_all_tasks_blocked()
            assert books.waiting == "waiting for the first downloads: 2 pictures bought or on order and not fetched"
            flight = books.started()
            clock.now += 150
            books.finished(flight)
            assert books.waiting == "downloads are slow: 1 picture bought or on order and not fetched"
            books.release()
            assert books.waiting is None
