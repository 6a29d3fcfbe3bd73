"""The only module that knows who may download now: so many at once in all, so many at each host, most urgent first."""

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio

from pipeline.clock import Clock
from pipeline.deliver.host import Host
from pipeline.deliver.purchase import Purchase, host_of

#: Deliveries that may be in hand for each worker, at work or not; more than that stay in the queue.
IN_HAND_PER_WORKER = 32
#: While there are others, no host is given more than this part of the workers: one that stands still must not hold all.
HOST_SHARE = 0.75
#: So many hosts are remembered while nothing of theirs is in hand.
REMEMBERED_HOSTS = 64
#: Setbacks that say a host has too much to do.
_REFUSED = frozenset({"busy"})
#: Setbacks that say a connection stood still.
_STALLED = frozenset({"connect", "connect_timeout", "timeout", "too_slow"})


@dataclass(order=True)
class _Want:
    dies_at: float
    number: int
    granted: asyncio.Event = field(default_factory=asyncio.Event, compare=False)


@dataclass
class _Gate:
    host: Host
    wants: list[_Want] = field(default_factory=list)


class Crew:
    """The workers of a run, and what they have learnt of each host.

    Whoever wants a worker waits for the moment at which one is free and its host has room; of all who could begin, the
    one whose URL dies first does. So a host that is slow or stands still keeps its own pictures waiting and no others.
    """

    def __init__(self, *, workers: int, clock: Clock) -> None:
        """Take what is needed.

        Args:
            workers: The most downloads at once; at least 1.
            clock: Where hosts' rates are read.
        """
        self.in_hand = anyio.Semaphore(IN_HAND_PER_WORKER * workers, fast_acquire=True)
        self._workers = self._free = workers
        self._clock = clock
        self._gates: dict[str, _Gate] = {}
        self._numbers = itertools.count()

    @asynccontextmanager
    async def worker(self, purchase: Purchase) -> AsyncIterator["Shift"]:
        """A worker for one delivery, from when it may begin to its end."""
        shift = Shift(self, purchase)
        await shift.begin()
        try:
            yield shift
        finally:
            shift.end()

    async def take(self, name: str, dies_at: float) -> None:
        """Wait for a worker and for room at a host."""
        gate = self._gate(name)
        want = _Want(dies_at, next(self._numbers))
        heapq.heappush(gate.wants, want)
        self._grant()
        try:
            await want.granted.wait()
        except BaseException:  # cancelled, in the wait or just after the grant
            if want.granted.is_set():
                self.give_back(name)
            else:
                gate.wants.remove(want)
                heapq.heapify(gate.wants)
            raise

    def give_back(self, name: str) -> None:
        """A worker is free again."""
        self._free += 1
        self._gates[name].host.active -= 1
        self._grant()

    def now(self) -> float:
        """The moment, as hosts count it."""
        return self._clock.monotonic()

    def host(self, name: str) -> Host:
        """What is known of a host."""
        return self._gate(name).host

    def _gate(self, name: str) -> _Gate:
        if name not in self._gates:
            idle = [other for other, gate in self._gates.items() if not gate.wants and not gate.host.active]
            for other in idle[: len(self._gates) - REMEMBERED_HOSTS]:
                del self._gates[other]
            self._gates[name] = _Gate(Host(ceiling=self._workers, clock=self._clock))
        return self._gates[name]

    def _grant(self) -> None:
        share = self._workers if len(self._gates) == 1 else max(1, int(self._workers * HOST_SHARE))
        while self._free:
            ready = [g for g in self._gates.values() if g.wants and g.host.has_room and g.host.active < share]
            if not ready:
                break
            gate = min(ready, key=lambda ready: ready.wants[0])
            self._free -= 1
            gate.host.active += 1
            heapq.heappop(gate.wants).granted.set()
        for gate in self._gates.values():
            gate.host.used(fully=gate.host.active == gate.host.limit)


class Shift:
    """One delivery's hold on a worker."""

    def __init__(self, crew: Crew, purchase: Purchase) -> None:
        self._crew = crew
        self._host = host_of(purchase.url)
        self._dies_at = purchase.dies_at
        self._holds = False
        self._began = 0.0

    async def begin(self) -> None:
        """Wait for a worker."""
        await self._crew.take(self._host, self._dies_at)
        self._holds = True
        self._began = self._crew.now()

    def end(self) -> None:
        """Give the worker back, if there is one."""
        if self._holds:
            self._holds = False
            self._crew.give_back(self._host)

    def leave(self) -> None:
        """Give the worker back before the delivery is over: it fetches no more."""
        self.end()

    def came(self, size_bytes: int) -> None:
        """So many bytes more have come."""
        self._crew.host(self._host).came(size_bytes)

    def served(self) -> None:
        """The picture came whole."""
        self._crew.host(self._host).served()

    @asynccontextmanager
    async def rest(self, setback: str) -> AsyncIterator[None]:
        """Lend the worker to others while the delivery waits out a back-off, and say what set it back."""
        host = self._crew.host(self._host)
        if setback in _REFUSED:
            host.refused(self._began)
        elif setback in _STALLED:
            host.stalled(self._began)
        self.end()
        yield
        await self.begin()
