"""The only module that sends work to threads in company: what waits together goes together, in one trip."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

import anyio
import anyio.lowlevel

T = TypeVar("T")
R = TypeVar("R")


@dataclass(slots=True, eq=False)
class _Piece(Generic[T, R]):
    """One piece of work; ``trip`` is the one that it has set out with."""

    piece: T
    outcome: asyncio.Future[R]
    trip: asyncio.Future[list[R | Exception]] | None = None


class Trips(Generic[T, R]):
    """Blocking work on threads, several pieces at a time.

    A trip to a thread and back costs as much as many a look at a file. A piece that comes while no more than so many
    trips are under way sets out at once; those that come meanwhile wait for the next to return, and go together. So a
    quiet run waits for nothing, and a busy one makes few trips. Used inside one event loop.
    """

    def __init__(self, work: Callable[[Sequence[T]], list[R | Exception]], *, at_once: int, most: int) -> None:
        """Say what is done.

        Args:
            work: Does several pieces in a thread: what comes of each, in their order, or the error it ended with.
            at_once: How many trips may be under way.
            most: How many pieces one trip takes along, so that none waits long for those before it.
        """
        self._work = work
        self._free = at_once
        self._most = most
        self._waiting: deque[_Piece[T, R]] = deque()

    async def do(self, piece: T) -> R:
        """Have a piece done; what comes of it, or its error raised.

        Cancelled before it has set out, it is left undone; after that it is waited for, as a thread cannot be stopped.
        """
        await anyio.lowlevel.checkpoint_if_cancelled()
        entry: _Piece[T, R] = _Piece(piece, asyncio.get_running_loop().create_future())
        self._waiting.append(entry)
        self._set_out()
        try:
            return await entry.outcome
        except asyncio.CancelledError:
            if entry.trip is None:
                self._waiting.remove(entry)
            elif not entry.trip.done():
                with anyio.CancelScope(shield=True):
                    await asyncio.wait([entry.trip])
            raise

    def _set_out(self) -> None:
        while self._free and self._waiting:
            taken = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
            trip = asyncio.get_running_loop().run_in_executor(None, self._work, [entry.piece for entry in taken])
            for entry in taken:
                entry.trip = trip
            self._free -= 1
            trip.add_done_callback(partial(self._come_back, [entry.outcome for entry in taken]))

    def _come_back(self, futures: list[asyncio.Future[R]], trip: asyncio.Future[list[R | Exception]]) -> None:
        self._free += 1
        if trip.cancelled():  # the loop is closing
            for future in futures:
                future.cancel()
            return
        error = trip.exception()
        outcomes = [error] * len(futures) if error is not None else trip.result()
        for future, outcome in zip(futures, outcomes, strict=True):
            if future.cancelled():  # whoever waited was
                continue
            if isinstance(outcome, BaseException):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)
        self._set_out()


def each_by_itself(calls: Sequence[Callable[[], R]]) -> list[R | Exception]:
    """The ``work`` of calls that have nothing to do with each other."""
    return [_outcome(call) for call in calls]


def _outcome(call: Callable[[], R]) -> R | Exception:
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - carried to whoever waits
        return error
