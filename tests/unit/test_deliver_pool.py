"""The pool of workers: how many, in which order, until when."""

import anyio
import pytest

from pipeline.deliver import DeliveryQueue, Outcome, Purchase, pool, run_pool
from pipeline.deliver.rest import Rest


def purchase(name: str, deadline: float = 1.0) -> Purchase:
    return Purchase(
        job_key=name, attempt=1, url="https://cdn.test/", bought_at=0, deadline=deadline, path=name, ratio=None
    )


class FakeCourier:
    """Holds each delivery until told; ``resting`` ones wait inside their rest."""

    def __init__(self, *resting: str) -> None:
        self.begun: list[str] = []
        self.done: list[str] = []
        self.go: dict[str, anyio.Event] = {}
        self._resting = resting

    async def deliver(self, purchase: Purchase, *, rest: Rest) -> Outcome:
        name = purchase.job_key
        self.begun.append(name)
        self.go[name] = anyio.Event()
        if name in self._resting:
            async with rest():
                await self.go[name].wait()
        else:
            await self.go[name].wait()
        self.done.append(name)
        return Outcome.LEFT if name == "trouble" else Outcome.STORED


async def filled(*names: str) -> DeliveryQueue:
    queue = DeliveryQueue(100)
    for at, name in enumerate(names):
        await queue.put(purchase(name, deadline=at))
    queue.close()
    return queue


async def test_no_more_are_at_work_than_there_are_workers() -> None:
    courier, queue = FakeCourier(), await filled(*"abcd")
    with anyio.fail_after(2):
        async with anyio.create_task_group() as group:
            group.start_soon(_pool, queue, courier, 2)
            await anyio.wait_all_tasks_blocked()
            assert courier.begun == ["a", "b"]
            courier.go["b"].set()
            await anyio.wait_all_tasks_blocked()
            assert courier.begun == ["a", "b", "c"]
            group.cancel_scope.cancel()


async def test_it_returns_when_the_queue_is_closed_and_all_is_settled() -> None:
    courier, queue = FakeCourier(), await filled("a", "trouble", "c")
    with anyio.fail_after(2):
        async with anyio.create_task_group() as group:
            group.start_soon(_pool, queue, courier, 1)
            for name in ("a", "trouble", "c"):
                await anyio.wait_all_tasks_blocked()
                courier.go[name].set()
    assert courier.done == ["a", "trouble", "c"]


async def test_a_delivery_that_waits_lends_its_worker() -> None:
    courier, queue = FakeCourier("slow"), await filled("slow", "quick")
    with anyio.fail_after(2):
        async with anyio.create_task_group() as group:
            group.start_soon(_pool, queue, courier, 1)
            await anyio.wait_all_tasks_blocked()
            assert courier.begun == ["slow", "quick"]
            courier.go["slow"].set()
            await anyio.wait_all_tasks_blocked()
            assert courier.done == []  # it wants its worker back first
            courier.go["quick"].set()
    assert courier.done == ["quick", "slow"]


async def test_only_so_many_may_wait_without_a_worker() -> None:
    names = [str(number) for number in range(pool.RESTING_PER_WORKER + 5)]
    courier, queue = FakeCourier(*names), await filled(*names)
    with anyio.fail_after(2):
        async with anyio.create_task_group() as group:
            group.start_soon(_pool, queue, courier, 1)
            await anyio.wait_all_tasks_blocked()
            assert len(courier.begun) == pool.RESTING_PER_WORKER + 1
            for name in names:
                await anyio.wait_all_tasks_blocked()
                courier.go[name].set()
    assert sorted(courier.done) == sorted(names)


async def test_an_idle_queue_keeps_no_worker_from_a_delivery_that_waited() -> None:
    courier, queue = FakeCourier("slow"), DeliveryQueue(1)
    await queue.put(purchase("slow"))
    with anyio.fail_after(2):
        async with anyio.create_task_group() as group:
            group.start_soon(_pool, queue, courier, 1)
            await anyio.wait_all_tasks_blocked()
            courier.go["slow"].set()
            await anyio.wait_all_tasks_blocked()
            assert courier.done == ["slow"]
            queue.close()


@pytest.mark.parametrize("resting", [(), ("a",)])
async def test_cancelled_it_ends_at_once(resting: tuple[str, ...]) -> None:
    courier, queue = FakeCourier(*resting), await filled("a", "b")
    with anyio.fail_after(2):
        async with anyio.create_task_group() as group:
            group.start_soon(_pool, queue, courier, 1)
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
    assert courier.done == []


async def _pool(queue: DeliveryQueue, courier: FakeCourier, workers: int) -> None:
    await run_pool(queue, courier, workers=workers)
