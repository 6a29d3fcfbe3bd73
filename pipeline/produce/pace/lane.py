"""The requests of one model: waits for what the pacer decides, and tells it what came of each."""

import asyncio
from collections.abc import Callable
from math import inf

import anyio

from pipeline.clock import Clock
from pipeline.produce.pace.lesson import Lesson
from pipeline.produce.pace.pacer import Pacer
from pipeline.produce.pace.start import Start
from pipeline.provider import Allowance

#: A pause is worth telling from so many seconds on.
TOLD_S = 1.0
#: So short a wait, in seconds, is slept through: nothing that happens meanwhile would make it worth ending.
SHORT_S = 0.005


class Lane:
    """Whoever wants to send a request of this model waits here, first come, first served."""

    def __init__(
        self,
        *,
        ceiling: int,
        clock: Clock,
        jitter: Callable[[], float],
        most_per_s: float | None = None,
        lesson: Lesson | None = None,
    ) -> None:
        """As ``Pacer``."""
        self._clock = clock
        self._pacer = Pacer(ceiling=ceiling, now=clock.monotonic(), jitter=jitter, most_per_s=most_per_s, lesson=lesson)
        self._under_way: set[Start] = set()
        self._admitted_level = 0
        self._turn = asyncio.Lock()
        self._changed = asyncio.Event()

    @property
    def in_flight(self) -> int:
        """Requests under way."""
        return self._pacer.in_flight

    @property
    def limit(self) -> int:
        """How many may be in flight now."""
        return self._pacer.level.limit

    @property
    def paused_s(self) -> float:
        """Seconds until the lane opens again; 0 when it is open."""
        return max(0.0, self._pacer.paused_until - self._clock.monotonic())

    @property
    def waiting(self) -> str | None:
        """What holds requests up, in words; None where it is not the provider's limits."""
        if self.paused_s >= TOLD_S:
            return f"the provider asked to slow down: {self.paused_s:.0f} s"
        if not self._turn.locked():
            return None
        if self.in_flight < self.limit and self._pacer.rate.pace is not None:
            return f"rate: {self._pacer.rate.pace * 60:.0f} a minute"
        return f"{self.limit} in flight, no more are let in" if self._pacer.level.wall is not None else None

    async def acquire(self) -> Start:
        """Wait for leave to send one request, and take it."""
        async with self._turn:
            while (opens := self._pacer.opens_at(self._clock.monotonic())) > self._clock.monotonic():
                await self._wait(opens)
            start = self._pacer.start(self._clock.monotonic())
            self._under_way.add(start)
            return start

    def succeeded(self, start: Start) -> None:
        """A picture was answered; the place is free."""
        self._under_way.remove(start)
        self._pacer.succeeded(start, self._clock.monotonic())
        self._admitted_level = max(self._admitted_level, start.least)
        self._wake()

    def refused(self, start: Start, *, retry_after_s: float | None) -> None:
        """It was refused for load; the place is free. See ``Pacer.refused``."""
        self._under_way.remove(start)
        self._pacer.refused(start, self._clock.monotonic(), retry_after_s=retry_after_s)
        self._wake()

    def release(self, start: Start) -> None:
        """Give the place back, if it is not free yet."""
        if start in self._under_way:
            self._under_way.remove(start)
            self._pacer.withdrawn(start, self._clock.monotonic())
            self._wake()

    def told(self, start: Start, allowance: Allowance) -> None:
        """An answer's headers say what is allowed; before what became of the request itself."""
        self._pacer.told(start, allowance, self._clock.monotonic())

    def pause(self, seconds: float) -> None:
        """Let nothing go for so long."""
        self._pacer.pause(self._clock.monotonic() + seconds)

    @property
    def lesson(self) -> Lesson | None:
        """What was found of the limits; None where nothing was let in."""
        if not self._admitted_level:
            return None
        wall = self._pacer.level.wall
        level = self._admitted_level if wall is None else min(self.limit, wall - 1)
        return Lesson(level=level, wall=wall, rate=self._pacer.rate.found, learned_at=self._clock.wall())

    async def _wait(self, opens: float) -> None:
        """Until then, or until something has happened to the lane."""
        changed = self._changed
        if opens - self._clock.monotonic() <= SHORT_S:
            await self._clock.sleep(max(0.0, opens - self._clock.monotonic()))
            return
        if opens == inf:
            await changed.wait()
            return
        async with anyio.create_task_group() as first:
            first.start_soon(self._ring, opens, first.cancel_scope)
            await changed.wait()
            first.cancel_scope.cancel()

    async def _ring(self, opens: float, scope: anyio.CancelScope) -> None:
        await self._clock.sleep(max(0.0, opens - self._clock.monotonic()))
        scope.cancel()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
