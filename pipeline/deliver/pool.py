"""The only module that sets deliveries going: each in a task of its own, as many as are in hand."""

from typing import Protocol

import anyio

from pipeline.deliver.crew import Crew
from pipeline.deliver.deadline_queue import DeliveryQueue
from pipeline.deliver.purchase import Outcome, Purchase
from pipeline.deliver.rest import Worker


class Deliverer(Protocol):
    """Who settles one purchase: ``Courier`` or a double."""

    async def deliver(self, purchase: Purchase, *, worker: Worker) -> Outcome:
        """Settle one purchase; trouble with it is an outcome, not an exception."""
        ...


async def run_pool(queue: DeliveryQueue, courier: Deliverer, *, crew: Crew) -> None:
    """Deliver what the queue gives, most urgent first, until it is closed and drained and all is settled.

    More deliveries are in hand than at work, so that a host without room, or URLs that fail for minutes, do not keep
    the others, whose windows close just as soon, from being fetched. How many may be in hand is bounded, too.

    Args:
        queue: Where purchases come from.
        courier: Who settles them.
        crew: Who may be at work.
    """
    async with anyio.create_task_group() as group:
        while True:
            # Only when it can be taken in hand, so that it is the most urgent at that moment.
            await crew.in_hand.acquire()
            purchase = await queue.get()
            if purchase is None:
                crew.in_hand.release()
                return
            group.start_soon(_work, courier, purchase, crew)


async def _work(courier: Deliverer, purchase: Purchase, crew: Crew) -> None:
    try:
        async with crew.worker(purchase) as shift:
            if await courier.deliver(purchase, worker=shift) is Outcome.STORED:
                shift.served()
    finally:
        crew.in_hand.release()
