"""The deadline queue: order, bound, and the end."""

import anyio
import pytest

from pipeline.deliver import INLINE, DeliveryQueue, Purchase


def purchase(name: str, deadline: float | None) -> Purchase:
    url = INLINE if deadline is None else f"https://cdn.test/{name}"
    return Purchase(job_key=name, attempt=1, url=url, bought_at=0, deadline=deadline, path=name, ratio=None)


async def drain(queue: DeliveryQueue) -> list[str]:
    taken = []
    while (found := await queue.get()) is not None:
        taken.append(found.job_key)
    return taken


async def test_the_earliest_deadline_comes_first_and_none_last() -> None:
    queue = DeliveryQueue(9)
    for name, deadline in [("late", 30.0), ("inline", None), ("soon", 10.0), ("later", 40.0), ("mid", 20.0)]:
        await queue.put(purchase(name, deadline))
    queue.close()
    assert await drain(queue) == ["soon", "mid", "late", "later", "inline"]


async def test_equal_deadlines_keep_the_order_of_arrival() -> None:
    queue = DeliveryQueue(9)
    for name in "abc":
        await queue.put(purchase(name, 5.0))
    queue.close()
    assert await drain(queue) == ["a", "b", "c"]


async def test_a_full_queue_makes_the_putter_wait_until_one_is_taken() -> None:
    queue = DeliveryQueue(1)
    await queue.put(purchase("a", 1.0))
    with anyio.fail_after(2):
        async with anyio.create_task_group() as group:
            group.start_soon(queue.put, purchase("b", 2.0))
            await anyio.wait_all_tasks_blocked()
            assert queue.queued == 1
            assert await queue.get() == purchase("a", 1.0)
        assert await queue.get() == purchase("b", 2.0)


async def test_closing_never_waits_for_room_and_ends_every_getter() -> None:
    queue = DeliveryQueue(1)
    await queue.put(purchase("a", 1.0))
    queue.close()
    queue.close()
    ends: list[list[str]] = []

    async def get_all() -> None:
        ends.append(await drain(queue))

    with anyio.fail_after(2):
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(get_all)
    assert sorted(ends) == [[], [], ["a"]]


async def test_the_end_mark_is_not_counted() -> None:
    queue = DeliveryQueue(2)
    await queue.put(purchase("a", None))
    queue.close()
    assert queue.queued == 1
    await queue.get()
    assert queue.queued == 0
    await queue.get()
    assert queue.queued == 0


async def test_a_closed_queue_takes_nothing_more() -> None:
    queue = DeliveryQueue(1)
    queue.close()
    for _ in range(2):
        with pytest.raises(anyio.ClosedResourceError):
            await queue.put(purchase("a", 1.0))


async def test_a_getter_that_was_waiting_sees_the_end() -> None:
    queue = DeliveryQueue(1)
    with anyio.fail_after(2):
        async with anyio.create_task_group() as group:
            group.start_soon(drain, queue)
            await anyio.wait_all_tasks_blocked()
            queue.close()
