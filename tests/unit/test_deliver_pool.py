"""The pool and its crew: how many at once, at which host, in which order, until when."""

import anyio
import pytest

from pipeline.deliver import Crew, DeliveryQueue, Outcome, Purchase, run_pool
from pipeline.deliver.crew import IN_HAND_PER_WORKER, REMEMBERED_HOSTS
from pipeline.deliver.host import START
from pipeline.deliver.rest import Worker
from tests.unit.deliver_doubles import FakeClock, purchase


class FakeCourier:
    """Holds each delivery until told; ``resting`` ones wait inside their rest."""

    def __init__(self, *resting: str, setback: str = "gone") -> None:
        self.begun: list[str] = []
        self.done: list[str] = []
        self.go: dict[str, anyio.Event] = {}
        self._resting = resting
        self._setback = setback

    async def deliver(self, purchase: Purchase, *, worker: Worker) -> Outcome:
        name = purchase.job_key
        self.begun.append(name)
        self.go[name] = anyio.Event()
        if name in self._resting:
            async with worker.rest(self._setback):
                await self.go[name].wait()
        else:
            await self.go[name].wait()
        self.done.append(name)
        return Outcome.LEFT if name == "trouble" else Outcome.STORED


def crew(workers: int) -> Crew:
    return Crew(workers=workers, clock=FakeClock())


async def filled(*names: str) -> DeliveryQueue:
    return await queue_of(*(purchase(name, deadline=at) for at, name in enumerate(names)))


async def queue_of(*purchases: Purchase) -> DeliveryQueue:
    queue = DeliveryQueue(10_000)
    for each in purchases:
        await queue.put(each)
    queue.close()
    return queue


async def run(queue: DeliveryQueue, courier: FakeCourier, workers: Crew) -> None:
    await run_pool(queue, courier, crew=workers)


async def test_no_more_are_at_work_than_there_are_workers() -> None:
    courier, queue = FakeCourier(), await filled(*"abcd")
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(run, queue, courier, crew(2))
            await anyio.wait_all_tasks_blocked()
            assert courier.begun == ["a", "b"]
            courier.go["b"].set()
            await anyio.wait_all_tasks_blocked()
            assert courier.begun == ["a", "b", "c"]
            group.cancel_scope.cancel()


async def test_the_url_that_dies_first_is_next_whenever_it_came() -> None:
    courier, queue = FakeCourier(), DeliveryQueue(9)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(run, queue, courier, crew(1))
            for name, deadline in (("first", 5.0), ("late", 9.0), ("soon", 1.0), ("later", 10.0)):
                await queue.put(purchase(name, deadline))
                await anyio.wait_all_tasks_blocked()
            queue.close()
            for name in ("first", "soon", "late", "later"):
                await anyio.wait_all_tasks_blocked()
                courier.go[name].set()
    assert courier.begun == ["first", "soon", "late", "later"]


async def test_it_returns_when_the_queue_is_closed_and_all_is_settled() -> None:
    courier, queue = FakeCourier(), await filled("a", "trouble", "c")
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(run, queue, courier, crew(1))
            for name in ("a", "trouble", "c"):
                await anyio.wait_all_tasks_blocked()
                courier.go[name].set()
    assert courier.done == ["a", "trouble", "c"]


async def test_a_delivery_that_waits_lends_its_worker() -> None:
    courier, queue = FakeCourier("slow"), await filled("slow", "quick")
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(run, queue, courier, crew(1))
            await anyio.wait_all_tasks_blocked()
            assert courier.begun == ["slow", "quick"]
            courier.go["slow"].set()
            await anyio.wait_all_tasks_blocked()
            assert courier.done == []  # it wants its worker back first
            courier.go["quick"].set()
    assert courier.done == ["quick", "slow"]


async def test_one_that_comes_back_has_its_place_by_its_deadline() -> None:
    courier, queue = FakeCourier("a"), await filled("a", "b", "c")
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(run, queue, courier, crew(1))
            await anyio.wait_all_tasks_blocked()
            courier.go["a"].set()  # which dies before c
            await anyio.wait_all_tasks_blocked()
            courier.go["b"].set()
            await anyio.wait_all_tasks_blocked()
            courier.go["c"].set()
    assert courier.done == ["b", "a", "c"]


async def test_only_so_many_are_in_hand() -> None:
    names = [f"{number:03}" for number in range(IN_HAND_PER_WORKER + 5)]
    courier, queue = FakeCourier(*names), await filled(*names)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(run, queue, courier, crew(1))
            await anyio.wait_all_tasks_blocked()
            assert len(courier.begun) == IN_HAND_PER_WORKER
            assert queue.queued == 5
            for name in names:
                await anyio.wait_all_tasks_blocked()
                courier.go[name].set()
    assert sorted(courier.done) == sorted(names)


async def test_an_idle_queue_keeps_no_worker_from_a_delivery_that_waited() -> None:
    courier, queue = FakeCourier("slow"), DeliveryQueue(1)
    await queue.put(purchase("slow"))
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(run, queue, courier, crew(1))
            await anyio.wait_all_tasks_blocked()
            courier.go["slow"].set()
            await anyio.wait_all_tasks_blocked()
            assert courier.done == ["slow"]
            queue.close()


@pytest.mark.parametrize("resting", [(), ("a",)])
async def test_cancelled_it_ends_at_once_and_nobody_holds_a_worker(resting: tuple[str, ...]) -> None:
    courier, queue, workers = FakeCourier(*resting), await filled("a", "b", "c"), crew(1)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(run, queue, courier, workers)
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
    assert courier.done == []
    with anyio.fail_after(5):
        async with workers.worker(purchase("d")):
            pass
    assert workers.in_hand.value == IN_HAND_PER_WORKER


async def test_a_host_is_given_no_more_than_it_is_good_for() -> None:
    courier, queue = FakeCourier(), await filled(*"abcdefgh")
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(run, queue, courier, crew(32))
            await anyio.wait_all_tasks_blocked()
            assert len(courier.begun) == START
            group.cancel_scope.cancel()


async def test_a_host_without_room_keeps_no_other_waiting() -> None:
    slow = [purchase(f"slow {number}", deadline=number, host="slow.test") for number in range(20)]
    quick = [purchase(f"quick {number}", deadline=100 + number, host="quick.test") for number in range(2)]
    courier, queue = FakeCourier(), await queue_of(*slow, *quick)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(run, queue, courier, crew(8))
            await anyio.wait_all_tasks_blocked()
            assert sorted(courier.begun) == ["quick 0", "quick 1", "slow 0", "slow 1", "slow 2", "slow 3"]
            group.cancel_scope.cancel()


async def test_of_all_hosts_the_url_that_dies_first_is_next() -> None:
    courier, queue = (
        FakeCourier(),
        await queue_of(
            purchase("first", 0), purchase("late", 9, host="one.test"), purchase("soon", 5, host="two.test")
        ),
    )
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(run, queue, courier, crew(1))
            for name in ("first", "soon", "late"):
                await anyio.wait_all_tasks_blocked()
                courier.go[name].set()
    assert courier.done == ["first", "soon", "late"]


async def test_one_that_is_cancelled_just_as_it_is_given_a_worker_gives_it_back() -> None:
    workers = crew(1)

    async def wait() -> None:
        async with workers.worker(purchase("b")):
            raise AssertionError("it was cancelled")

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group, workers.worker(purchase("a")):
            group.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
        async with workers.worker(purchase("c")):
            pass


async def test_no_host_holds_all_workers_while_there_is_another() -> None:
    workers = crew(4)
    slow = [purchase(f"slow {number}", deadline=number, host="slow.test") for number in range(9)]
    courier = FakeCourier()
    queue = await queue_of(*slow, purchase("quick", deadline=100, host="quick.test"))
    workers.host("quick.test")
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(run, queue, courier, workers)
            await anyio.wait_all_tasks_blocked()
            assert courier.begun[3:] == ["quick"]
            group.cancel_scope.cancel()


@pytest.mark.parametrize(("setback", "limit"), [("busy", 2), ("too_slow", 2), ("timeout", 2), ("gone", 4), ("cut", 4)])
async def test_a_setback_tells_of_the_host_or_does_not(setback: str, limit: int) -> None:
    courier, queue, workers = FakeCourier("a", setback=setback), await filled("a"), crew(8)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(run, queue, courier, workers)
            await anyio.wait_all_tasks_blocked()
            assert workers.host("cdn.test").limit == limit
            courier.go["a"].set()


async def test_hosts_are_forgotten_when_there_are_many() -> None:
    workers = crew(2)
    with anyio.fail_after(5):
        async with workers.worker(purchase("kept", host="kept.test")):
            for number in range(3 * REMEMBERED_HOSTS):
                async with workers.worker(purchase("a", host=f"{number}.test")):
                    pass
            assert len(workers._gates) <= REMEMBERED_HOSTS + 1
            assert workers.host("kept.test").active == 1
