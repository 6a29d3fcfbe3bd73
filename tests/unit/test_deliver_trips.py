"""Work that goes to threads in company."""

import threading
from collections.abc import Sequence
from itertools import chain

import anyio
import pytest

from pipeline.deliver.trips import Trips, each_by_itself

PATIENCE_S = 30


class FakeWork:
    """Doubles numbers, once it is let; negative ones are errors. Remembers who went together."""

    def __init__(self) -> None:
        self.let = threading.Event()
        self.trips: list[list[int]] = []

    def __call__(self, pieces: Sequence[int]) -> list[int | Exception]:
        self.trips.append(list(pieces))
        assert self.let.wait(PATIENCE_S)
        return [ValueError(piece) if piece < 0 else 2 * piece for piece in pieces]


async def _do(trips: Trips[int, int], piece: int, results: dict[int, object]) -> None:
    try:
        results[piece] = await trips.do(piece)
    except ValueError as error:
        results[piece] = str(error)


async def _all(work: FakeWork, pieces: Sequence[int], *, at_once: int = 1, most: int = 3) -> dict[int, object]:
    trips, results = Trips(work, at_once=at_once, most=most), dict[int, object]()
    with anyio.fail_after(PATIENCE_S):
        async with anyio.create_task_group() as group:
            for piece in pieces:
                group.start_soon(_do, trips, piece, results)
            await anyio.wait_all_tasks_blocked()
            work.let.set()
    return results


async def test_what_waits_goes_together_and_what_comes_first_waits_for_nobody() -> None:
    work = FakeWork()
    results = await _all(work, [1, 2, 3, 4, 5])

    assert results == {1: 2, 2: 4, 3: 6, 4: 8, 5: 10}
    assert work.trips == [[1], [2, 3, 4], [5]]


async def test_so_many_trips_are_under_way_and_no_more() -> None:
    work = FakeWork()
    await _all(work, [1, 2, 3, 4], at_once=2)

    assert sorted(work.trips) == [[1], [2], [3, 4]]


async def test_an_error_is_for_the_piece_that_ended_with_it() -> None:
    assert await _all(FakeWork(), [1, -2, 3]) == {1: 2, -2: "-2", 3: 6}


async def test_work_that_breaks_down_as_a_whole_is_told_to_each_and_the_next_still_goes() -> None:
    def work(pieces: Sequence[int]) -> list[int | Exception]:
        if pieces == [1]:
            raise ValueError("broken down")
        return list(pieces)

    trips, results = Trips(work, at_once=1, most=2), dict[int, object]()
    with anyio.fail_after(PATIENCE_S):
        await _do(trips, 1, results)
        await _do(trips, 2, results)
    assert results == {1: "broken down", 2: 2}


async def test_cancelled_before_it_sets_out_it_is_left_undone() -> None:
    work = FakeWork()
    trips, results = Trips(work, at_once=1, most=3), dict[int, object]()
    with anyio.fail_after(PATIENCE_S):
        async with anyio.create_task_group() as first:
            first.start_soon(_do, trips, 1, results)
            await anyio.wait_all_tasks_blocked()
            async with anyio.create_task_group() as second:
                second.start_soon(_do, trips, 2, results)
                await anyio.wait_all_tasks_blocked()
                second.cancel_scope.cancel()
            work.let.set()
    assert work.trips == [[1]]
    assert results == {1: 2}


async def test_cancelled_under_way_it_is_waited_for() -> None:
    work = FakeWork()
    trips, results = Trips(work, at_once=1, most=3), dict[int, object]()
    ended = False

    async def watched() -> None:
        nonlocal ended
        try:
            await _do(trips, 1, results)
        finally:
            ended = True

    with anyio.fail_after(PATIENCE_S):
        async with anyio.create_task_group() as group:
            group.start_soon(watched)
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await anyio.wait_all_tasks_blocked()
                assert not ended
                work.let.set()
    assert ended
    assert results == {}


async def test_a_call_s_error_is_its_own() -> None:
    calls: list[object] = each_by_itself([lambda: 1, lambda: int("x"), lambda: 3])

    assert calls[0::2] == [1, 3]
    assert isinstance(calls[1], ValueError)


@pytest.mark.parametrize("number", [1, 9])
async def test_nothing_waits_when_all_is_done(number: int) -> None:
    work = FakeWork()
    await _all(work, list(range(number)), at_once=2, most=4)

    assert sorted(chain.from_iterable(work.trips)) == list(range(number))
