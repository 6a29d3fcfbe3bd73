"""The only module that knows which bought picture is fetched next: the one whose URL dies first."""

import asyncio
import itertools
import math

import anyio

from pipeline.deliver.purchase import Purchase


class DeliveryQueue:
    """A bounded queue of purchases, earliest deadline first, those without one last, equal ones in order of arrival."""

    def __init__(self, size: int) -> None:
        """Make a queue that holds ``size`` purchases at most; ``size`` is at least 1."""
        # The room is counted beside the queue so that the end mark, which close() must never wait for, always fits.
        self._room = asyncio.Semaphore(size)
        self._entries: asyncio.PriorityQueue[tuple[float, float, Purchase | None]] = asyncio.PriorityQueue()
        self._order = itertools.count()
        self._closed = False

    @property
    def queued(self) -> int:
        """How many purchases wait."""
        return self._entries.qsize() - self._closed

    async def put(self, purchase: Purchase) -> None:
        """Add a purchase, waiting while the queue is full.

        Raises:
            anyio.ClosedResourceError: The queue is closed.
        """
        await self._room.acquire()
        if self._closed:
            self._room.release()
            raise anyio.ClosedResourceError
        self._entries.put_nowait((purchase.dies_at, next(self._order), purchase))

    async def get(self) -> Purchase | None:
        """Take the most urgent purchase, waiting for one; None when the queue is closed and drained."""
        entry = await self._entries.get()
        if entry[2] is None:
            self._entries.put_nowait(entry)  # the other workers must see the end too
        else:
            self._room.release()
        return entry[2]

    def close(self) -> None:
        """Say that nothing more comes: ``get`` gives what is left, then None to everybody. May be called again."""
        if not self._closed:
            self._closed = True
            self._entries.put_nowait((math.inf, math.inf, None))
