"""How steps get from an event loop to the thread that owns the one writing connection, and their outcomes back."""

import asyncio
import queue
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pipeline.errors import FluxbatchError, StorageError
from pipeline.ledger.address import Address

T = TypeVar("T")
#: What is done inside a transaction, with the ledger's own kind of connection.
Step = Callable[[Any], Any]
#: What became of a step: whoever waits for it, what it returned, and what it raised.
Outcome = tuple[asyncio.Future[Any], Any, BaseException | None]


class Handover(ABC):
    """Takes steps, and says so once they are durable. Each kind of ledger has its own thread's work."""

    def __init__(self, path: Address) -> None:
        self._address = path
        self._steps: queue.SimpleQueue[tuple[Step, asyncio.Future[Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="ledger", daemon=True)
        self._closed = False
        self._last = False  # the thread's own: it has seen the end of the steps
        self._ill: FluxbatchError | None = None  # the thread's own: why nothing may be bought any more
        self._opened: asyncio.Future[None]
        self._loop: asyncio.AbstractEventLoop

    async def open(self) -> None:
        """Start the thread, and wait until it has opened the ledger.

        Raises:
            FluxbatchError: As ``connection.open_writing``.
        """
        self._loop = asyncio.get_running_loop()
        self._opened = self._loop.create_future()
        self._thread.start()
        try:
            await self._opened
        except BaseException:  # closed or undone, whatever it is, and raised again
            self._steps.put(None)  # cancelled, or not opened: either way nobody will come to close it
            raise

    def close(self) -> None:
        """Commit what waits, and end the thread."""
        self._closed = True
        self._steps.put(None)
        # Joined in place: the last commits take milliseconds, and a cancelled run must still see them through.
        self._thread.join()

    async def do(self, step: Callable[[Any], T]) -> T:
        """Hand over a step, and wait until it is durable; what it returns."""
        if self._closed:
            raise FluxbatchError(f"{self._address}: a step came after the ledger was closed")
        future: asyncio.Future[T] = self._loop.create_future()
        self._steps.put((step, future))
        # Whoever is cancelled here only stops waiting: a step once handed over is committed all the same.
        return await future

    async def do_if_room(self, step: Callable[[Any], T]) -> T:
        """The same for a step that leads to more buying: refused once the ledger could not be written.

        Raises:
            StorageError: It was.
        """

        def refusing(connection: Any) -> T:
            if self._ill is not None:
                raise StorageError(self._ill.message, remedy=self._ill.remedy)
            return step(connection)

        return await self.do(refusing)

    @abstractmethod
    def _work(self) -> None:
        """Open the ledger and do the steps until their end; on the thread."""

    def _resolve(self, outcomes: Sequence[Outcome]) -> None:
        def deliver() -> None:
            for future, result, error in outcomes:
                if future.cancelled():
                    continue
                if error is None:
                    future.set_result(result)
                else:
                    future.set_exception(error)

        self._loop.call_soon_threadsafe(deliver)
