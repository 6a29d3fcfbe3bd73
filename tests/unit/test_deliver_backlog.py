"""Back-pressure: when another picture may be bought, and what is said when it may not."""

import math

import anyio
import pytest

from pipeline.deliver import Backlog
from pipeline.deliver.rate import REMEMBERED_S
from tests.unit.deliver_doubles import FakeClock

WINDOW_S = 400.0
MIB = 1_000_000


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def backlog(clock: FakeClock, *, workers: int = 2, window_s: float = WINDOW_S, handful: int | None = None) -> Backlog:
    return Backlog(workers=workers, window_s=window_s, clock=clock, handful=handful)


async def admitted(backlog: Backlog) -> int:
    """How many places are given before a producer has to wait."""
    before = backlog.outstanding

    async def produce() -> None:
        while True:
            await backlog.admit()

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(produce)
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
    return backlog.outstanding - before


async def fetch(backlog: Backlog, clock: FakeClock, *, takes_s: float, making_s: float, counts: bool = True) -> None:
    """One picture from leave to settled, coming evenly."""
    await backlog.admit()
    clock.now += making_s
    backlog.bought()
    flight = backlog.started()
    for step in range(1, 21):
        clock.now += takes_s / 20
        flight.progress(step * MIB // 20, MIB)
    backlog.finished(flight, measured=counts)


async def measured(clock: FakeClock, *, rate: float, making_s: float, window_s: float = WINDOW_S) -> Backlog:
    """A backlog with nothing outstanding that has seen this rate for longer than it remembers."""
    books = backlog(clock, window_s=window_s)
    for _ in range(max(3, math.ceil(2 * REMEMBERED_S * rate))):
        await fetch(books, clock, takes_s=1 / rate, making_s=making_s)
    return books


@pytest.mark.parametrize(("workers", "handful", "places"), [(2, None, 4), (6, None, 6), (32, None, 8), (8, 3, 3)])
async def test_only_a_handful_before_a_rate_is_measured(
    clock: FakeClock, workers: int, handful: int | None, places: int
) -> None:
    assert await admitted(backlog(clock, workers=workers, handful=handful)) == places


@pytest.mark.parametrize(
    ("rate", "making_s", "places"),
    [
        (1.0, 9.1, 9 + 2 * 3 + 1),  # by Little's law nine are on order, give or take three
        (4.0, 9.1, 36 + 2 * 6 + 1),
        (1.0, 4.1, 4 + 2 * 2 + 1),
        (0.1, 10.5, 1 + 2 * 1 + 1),
    ],
)
async def test_as_much_is_ahead_as_keeps_the_downloads_busy(
    clock: FakeClock, rate: float, making_s: float, places: int
) -> None:
    assert await admitted(await measured(clock, rate=rate, making_s=making_s)) == places


async def test_never_more_than_drains_in_a_quarter_of_the_window(clock: FakeClock) -> None:
    # Making counts as a tenth of the window at most, 1.8 s: 1.8 + 2 * sqrt(1.8) + 1 would be five.
    books = await measured(clock, rate=1.0, making_s=9.0, window_s=18)
    assert await admitted(books) == 4
    drain_s = books.drain_s()
    assert drain_s is not None
    assert drain_s <= 18 / 4 < drain_s + 1


async def test_requests_in_flight_count_like_what_is_bought(clock: FakeClock) -> None:
    books = await measured(clock, rate=1.0, making_s=9.1)
    assert await admitted(books) == 16
    clock.now += 9.1
    for _ in range(16):
        books.bought()
    assert await admitted(books) == 0


async def test_downloads_at_work_are_not_ahead(clock: FakeClock) -> None:
    books = await measured(clock, rate=1.0, making_s=9.1)
    places = await admitted(books)
    clock.now += 9.1
    for _ in range(places):
        books.bought()
    for _ in range(3):
        books.started()
    assert await admitted(books) == 3


async def test_a_collapse_stops_the_buying_within_seconds(clock: FakeClock) -> None:
    books = await measured(clock, rate=10.0, making_s=9.0)
    await books.admit()
    books.bought()
    flight = books.started()
    flight.progress(MIB // 2, MIB)
    room = await admitted(books)
    clock.now += REMEMBERED_S + 1
    flight.progress(MIB // 2 + MIB // 100, MIB)
    assert room > 90
    assert await admitted(books) == 0
    drain_s = books.drain_s()
    assert drain_s is not None
    assert drain_s > WINDOW_S


async def test_a_standstill_is_felt_while_it_lasts(clock: FakeClock) -> None:
    books = await measured(clock, rate=1.0, making_s=9.0)
    for _ in range(4):
        await books.admit()
    books.bought()
    books.started()
    clock.now += REMEMBERED_S + 1
    assert books.drain_s() == math.inf
    assert await admitted(books) == 0


async def test_recovery_lets_a_waiter_go_on_before_anything_is_settled(clock: FakeClock) -> None:
    books = await measured(clock, rate=1.0, making_s=9.0)
    for _ in range(10):
        await books.admit()
    clock.now += 9
    flights = []
    for _ in range(4):
        books.bought()
        flights.append(books.started())
    clock.now += REMEMBERED_S + 1
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(books.admit)
            await anyio.wait_all_tasks_blocked()
            assert books.outstanding == 10
            for step in range(1, 10):
                clock.now += 0.1
                for flight in flights:
                    flight.progress(step * MIB // 10, MIB)
        assert books.outstanding == 11


async def test_waiting_out_a_back_off_says_nothing_of_the_rate(clock: FakeClock) -> None:
    books = await measured(clock, rate=1.0, making_s=9.0)
    await books.admit()
    books.bought()
    flight = books.started()
    with flight.idle():
        clock.now += 100
        assert books.drain_s() == pytest.approx(1, rel=0.05)


async def test_what_is_fetched_twice_counts_once(clock: FakeClock) -> None:
    books = await measured(clock, rate=1.0, making_s=9.0)
    await books.admit()
    books.bought()
    flight = books.started()
    for _ in range(20):  # nine tenths of it, again and again, a second each
        for step in range(1, 10):
            clock.now += 0.1
            flight.progress(step * MIB // 10, MIB)
    assert books.drain_s() == math.inf


async def test_a_picture_of_unknown_length_counts_by_what_is_usual(clock: FakeClock) -> None:
    books = await measured(clock, rate=1.0, making_s=9.0)
    await books.admit()
    books.bought()
    flight = books.started()
    for step in range(1, 21):
        clock.now += 0.05
        flight.progress(step * MIB // 20, None)
    assert books.drain_s() == pytest.approx(1, rel=0.1)
    books.finished(flight)
    assert books.outstanding == 0


async def test_pictures_that_came_with_their_answers_make_a_rate_too(clock: FakeClock) -> None:
    books = backlog(clock)
    for _ in range(20):
        await books.admit()
        clock.now += 4
        books.bought()
        flight = books.started()
        clock.now += 0.5
        books.finished(flight)
    assert await admitted(books) == 8 + math.floor(2 * math.sqrt(8)) + 1


async def test_trouble_of_this_machine_is_no_measurement(clock: FakeClock) -> None:
    books = backlog(clock)
    await fetch(books, clock, takes_s=1, making_s=1, counts=False)
    assert books.drain_s() is None
    assert await admitted(books) == 4


async def test_with_nothing_outstanding_one_place_is_given_however_slow(clock: FakeClock) -> None:
    books = await measured(clock, rate=0.001, making_s=9.0)
    assert await admitted(books) == 1


async def test_a_purchase_that_came_to_nothing_gives_its_place_back(clock: FakeClock) -> None:
    books = backlog(clock)
    assert await admitted(books) == 4
    books.release()
    assert books.outstanding == 3
    assert await admitted(books) == 1


async def test_refusals_do_not_make_pictures_seem_quickly_made(clock: FakeClock) -> None:
    books = backlog(clock, window_s=4000)
    for _ in range(40):
        await books.admit()
        clock.now += 8.8
        await books.admit()
        clock.now += 0.2
        books.release()  # the younger of the two
        books.bought()
        flight = books.started()
        clock.now += 1
        books.finished(flight)
    assert await admitted(books) == 9 + 2 * 3 + 1


async def test_pictures_of_an_earlier_run_are_fetched_before_new_ones_are_bought(clock: FakeClock) -> None:
    books = backlog(clock)
    for _ in range(4):
        books.adopt()
    assert await admitted(books) == 0


async def test_waiters_go_on_in_their_order_when_a_picture_is_settled(clock: FakeClock) -> None:
    books = backlog(clock, handful=1)
    await books.admit()
    clock.now += 9
    books.bought()
    flight = books.started()
    went_on: list[int] = []

    async def produce(number: int) -> None:
        await books.admit()
        went_on.append(number)

    with anyio.fail_after(5):
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
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(books.admit)
            await anyio.wait_all_tasks_blocked()
            assert books.waiting == "waiting for the first downloads: 2 pictures bought or on order and not fetched"
            books.bought()
            flight = books.started()
            clock.now += 150
            books.finished(flight)
            assert books.waiting == "downloads are slow: 1 picture bought or on order and not fetched"
            books.release()
            assert books.waiting is None


def test_whatever_comes_of_pictures_is_counted_over_all_tries(clock: FakeClock) -> None:
    one = backlog(clock)
    for early in (True, False):
        one.adopt()
        flight = one.started(early=early)
        for received in (100, 300, 50):  # the last: a try begins anew
            flight.progress(received, 1000)
        flight.progress(250, None)
        one.finished(flight)
    assert one.received_bytes == 2 * (300 + 200)
