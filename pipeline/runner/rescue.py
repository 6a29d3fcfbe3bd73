"""What earlier runs left: their bought pictures are fetched, and their tasks asked after, before anything is bought."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import anyio

from pipeline.deliver import Backlog, Caption, Courier, Crew, DeliveryQueue, Purchase, run_pool
from pipeline.ledger import LedgerWriter, Run, Submitted, Unfetched
from pipeline.produce import Producer, Seller
from pipeline.provider import Ticket
from pipeline.ratio import parse_ratio
from pipeline.report.events import EventName, Notice
from pipeline.runner.desk import secure
from pipeline.runner.places import Places


class Rescue:
    """Takes over what runs that are over have paid for.

    Attributes:
        elsewhere: What is bought and not stored, where this run cannot keep it.
    """

    def __init__(
        self,
        *,
        run: Run,
        ledger: LedgerWriter,
        sellers: Sequence[Seller],
        producer: Producer,
        places: Places,
        output: Path,
        backlog: Backlog,
        courier: Courier,
        crew: Crew,
        notice: Callable[[str], None],
        captions: bool,
    ) -> None:
        """Take what the shift works with.

        Args:
            notice: Told what is found.
            captions: Whether files carry their prompt.
        """
        self.elsewhere = 0
        self._run = run
        self._ledger = ledger
        self._sellers = sellers
        self._producer = producer
        self._places = places
        self._output = output
        self._backlog = backlog
        self._courier = courier
        self._crew = crew
        self._notice = notice
        self._captions = captions

    async def fetch(self, whose: str, *, own: bool = False) -> None:
        """Fetch what another run bought and did not store, before anything new is bought; ask after its tasks.

        Args:
            own: This run's, too: a process of it ended early, and none buys any more.
        """
        lefts, self.elsewhere = await self._ledger.adopt(
            self._run, lambda wanted: self._places.in_output(wanted) is not None, own=own
        )
        waiting = [
            Purchase(
                job_key=left.key,
                attempt=left.attempt,
                url=left.url,
                bought_at=left.bought_at,
                deadline=left.deadline,
                path=path,
                ratio=parse_ratio(left.ratio) if left.ratio else None,
                caption=self._caption(left),
            )
            for left in lefts
            if (path := self._places.in_output(left.wanted)) is not None
        ]
        tasks = await self._ledger.adopt_tasks(
            self._run,
            [seller.name for seller in self._sellers if seller.desk is not None],
            lambda wanted: self._places.in_output(wanted) is not None,
            own=own,
        )
        pictures = len(waiting) + len(tasks)
        if not pictures:
            return
        told = f"{pictures} bought and not stored by {whose}"
        self._notice(Notice.of(EventName.RESCUE_BEGUN, told, pictures=pictures))
        queue = DeliveryQueue(pictures)
        async with anyio.create_task_group() as fetching:
            fetching.start_soon(partial(run_pool, queue, self._courier, crew=self._crew))
            for purchase in waiting:
                self._backlog.adopt()
                await queue.put(purchase)
            async with anyio.create_task_group() as asking:
                for task in tasks:
                    asking.start_soon(self._ask_after, task, queue)
            queue.close()

    async def _ask_after(self, task: Submitted, queue: DeliveryQueue) -> None:
        """See what has come of a task that another run submitted; nothing is paid for that."""
        desk = next(seller.desk for seller in self._sellers if seller.name == task.provider)
        path = self._places.in_output(task.wanted)
        assert desk is not None, "only tasks of those that take tickets are adopted"  # noqa: S101
        assert path is not None, "only what can be kept here is adopted"  # noqa: S101
        ticket = Ticket(task=task.task, polling_url=task.polling_url, submitted_at=task.submitted_at)
        answer = await self._producer.collect(desk, ticket, task.reservation)
        if answer is None:
            return
        url = answer.url
        if url is None:
            url = await secure(self._output, task.key, path, answer.image or b"")
        with anyio.CancelScope(shield=True):
            await self._ledger.answer(
                task.reservation,
                url=url,
                bought_at=answer.answered_at,
                deadline=answer.deadline,
                request_id=answer.request_id,
            )
        self._backlog.adopt()
        await queue.put(
            Purchase(
                job_key=task.key,
                attempt=task.reservation.attempt,
                url=url,
                bought_at=answer.answered_at,
                deadline=answer.deadline,
                path=path,
                ratio=parse_ratio(task.ratio) if task.ratio else None,
                caption=self._caption(task),
            )
        )

    def _caption(self, left: Unfetched | Submitted) -> Caption | None:
        if not self._captions:
            return None
        return Caption(prompt=left.prompt, model=left.model, seed=left.seed, key=left.key)
