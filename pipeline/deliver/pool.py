"""The only module that knows how many downloads run at once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

import anyio

from pipeline.deliver.deadline_queue import DeliveryQueue
from pipeline.deliver.purchase import Outcome, Purchase
from pipeline.deliver.rest import Rest

#: Deliveries that may wait out a back-off for each worker; more than that wait on their worker's time.
RESTING_PER_WORKER = 32


class Deliverer(Protocol):
    """Who settles one purchase: ``Courier`` or a double."""

    async def deliver(self, purchase: Purchase, *, rest: Rest) -> Outcome:
        """Settle one purchase; trouble with it is an outcome, not an exception."""
        ...


async def run_pool(queue: DeliveryQueue, courier: Deliverer, *, workers: int) -> None:
    """Deliver what the queue gives, most urgent first, until it is closed and drained and all is settled.

    A delivery that waits out a back-off lends its worker to the next purchase: a few URLs that fail for minutes must
    not keep the others, whose windows close just as soon, from being fetched.

    Args:
        queue: Where purchases come from.
        courier: Who settles them.
        workers: How many may be at work at once; at least 1.
    """
    crew = _Crew(workers)
    async with anyio.create_task_group() as group:
        while True:
            # A worker is only taken when there is work, or it would be kept from those that come back from a rest;
            # and the purchase only when there is a worker, so that it is the most urgent at that moment.
            await queue.wait()
            await crew.free.acquire()
            purchase = await queue.get()
            if purchase is None:
                crew.free.release()
                return
            group.start_soon(_work, courier, purchase, _Shift(crew))


class _Crew:
    def __init__(self, workers: int) -> None:
        self.free = anyio.Semaphore(workers)
        self.may_rest = RESTING_PER_WORKER * workers


class _Shift:
    """One delivery's hold on a worker."""

    def __init__(self, crew: _Crew) -> None:
        self._crew = crew
        self._holds = True

    def end(self) -> None:
        if self._holds:
            self._holds = False
            self._crew.free.release()

    @asynccontextmanager
    async def rest(self) -> AsyncIterator[None]:
        if not self._crew.may_rest:
            yield
            return
        self._crew.may_rest -= 1
        self.end()
        try:
            yield
            await self._crew.free.acquire()
            self._holds = True
        finally:
            self._crew.may_rest += 1


async def _work(courier: Deliverer, purchase: Purchase, shift: _Shift) -> None:
    try:
        await courier.deliver(purchase, rest=shift.rest)
    finally:
        shift.end()
