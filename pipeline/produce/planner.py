"""Reading the manifest's rows, holding them against the ledger, and ordering what is to be bought."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Protocol

import anyio
import anyio.to_thread
from anyio.streams.memory import MemoryObjectSendStream

from pipeline.errors import FluxbatchError
from pipeline.job import Job, UnfitRow
from pipeline.ledger import Admission, Policy, Run, Verdict
from pipeline.produce.halt import Halt
from pipeline.produce.partners import Order

#: Rows read and admitted at once: one commit for all of them, a few milliseconds of work.
CHUNK = 256

Row = Job | UnfitRow


class Register(Protocol):
    """Where rows are held against what is known; see ``LedgerWriter``."""

    async def admit(self, run: Run, rows: Sequence[tuple[Row, str]], policy: Policy) -> list[Admission]:
        """Record that the run has seen these rows, and say of each what is to be done."""
        ...


class Planner:
    """Turns a manifest's rows into orders, a chunk at a time, only as fast as they are taken."""

    def __init__(
        self, *, run: Run, policy: Policy, register: Register, halt: Halt, recorded: Callable[[str], str]
    ) -> None:
        """Say where rows are held against what is known.

        Args:
            recorded: Turns a path relative to the output folder into one relative to the ledger's.
        """
        self.seen = 0
        self.to_buy = 0
        self.finished = False  # every row has been seen
        self._run = run
        self._policy = policy
        self._register = register
        self._halt = halt
        self._recorded = recorded

    async def work(self, rows: Iterator[Row], orders: MemoryObjectSendStream[Order]) -> None:
        """Read rows until there are no more, or buying has stopped. Closes ``orders`` at the end."""
        async with orders:
            while not self._halt.called and (chunk := await self._read(rows)):
                try:
                    await self._order(chunk, orders)
                except FluxbatchError as error:
                    self._halt.call(error.exit_code, str(error))
        self.finished = not self._halt.called

    async def _read(self, rows: Iterator[Row]) -> list[Row]:
        """The next chunk; none after a rows file that went away, which must not cancel what is paid."""
        try:
            return await anyio.to_thread.run_sync(partial(_take, rows), abandon_on_cancel=True)
        except FluxbatchError as error:
            self._halt.call(error.exit_code, str(error))
            return []

    async def _order(self, chunk: list[Row], orders: MemoryObjectSendStream[Order]) -> None:
        wanted = [(row, self._recorded(row.path) if isinstance(row, Job) else "") for row in chunk]
        admitted = await self._register.admit(self._run, wanted, self._policy)
        to_buy = [
            Order(job=admission.row, placement=admission.placement)
            for admission in admitted
            if admission.verdict is Verdict.BUY and isinstance(admission.row, Job)
        ]
        self.seen += len(admitted)
        self.to_buy += len(to_buy)
        for order in to_buy:
            await orders.send(order)


def _take(rows: Iterator[Row]) -> list[Row]:
    return list(islice(rows, CHUNK))
