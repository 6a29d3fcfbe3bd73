"""An event loop on a virtual clock, where nothing waits, no thread works, and the process can die at any moment."""

import asyncio
import selectors
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from datetime import datetime
from random import Random
from typing import Any, TypeVar
from unittest import mock

import anyio
import anyio.to_thread

T = TypeVar("T")

#: When every world begins: late in a month's last day, so that days and months change in mid-run.
BEGINNING = datetime(2026, 3, 31, 23, 40).astimezone().timestamp()


class StuckError(AssertionError):
    """Nothing is ready and nobody waits for a moment: a deadlock."""


class _Selector(selectors.SelectSelector):
    """Sockets are not waited for: instead of waiting, the clock moves on."""

    def __init__(self, loop: "VirtualLoop") -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise StuckError("nothing is ready, and nobody waits for a moment")
        if timeout > 0:
            self._loop.now += timeout
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """Deterministic: the same steps in the same order whenever the same random numbers are drawn.

    Attributes:
        now: Seconds since the world began.
        dead: The process has died: nothing that others could notice happens any more.
    """

    def __init__(self, *, now: float, chance: Random) -> None:
        self.now = now
        self.dead = False
        self._chance = chance
        super().__init__(_Selector(self))

    def time(self) -> float:
        return self.now

    def die(self) -> None:
        """As by ``kill -9``."""
        self.dead = True
        self.stop()

    def run_in_executor(self, executor: Executor | None, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]
        """Do it here, a moment later."""
        future: asyncio.Future[T] = self.create_future()

        def work() -> None:
            if self.dead or future.cancelled():
                return
            try:
                future.set_result(func(*args))
            except Exception as error:  # noqa: BLE001 - carried to whoever waits
                future.set_exception(error)

        self.call_later(self.a_moment(), work)
        return future

    def a_moment(self) -> float:
        """What work on the disk takes, in seconds."""
        return self._chance.choice((0.0, 0.001, 0.02))

    def bury(self) -> None:
        """Let go of what the dead process held; none of its code has any effect."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of what never came to be awaited
            for task in asyncio.all_tasks(self):
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                with suppress(BaseException):
                    task.get_coro().close()
        self._ready.clear()  # type: ignore[attr-defined]
        self._scheduled.clear()  # type: ignore[attr-defined]
        self.close()


class VirtualClock:
    """The program's clocks; the wall clock may be set."""

    def __init__(self, loop: VirtualLoop, *, wall_ahead_s: float = 0.0) -> None:
        self._loop = loop
        self.wall_ahead_s = wall_ahead_s

    def monotonic(self) -> float:
        return self._loop.now

    def wall(self) -> float:
        return BEGINNING + self._loop.now + self.wall_ahead_s

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)


@contextmanager
def threads_inline() -> Iterator[None]:
    """Let work for threads be done on the loop; what is not to be abandoned cannot be cancelled, as in a thread."""

    async def run_sync(
        func: Callable[..., T],
        *args: Any,
        abandon_on_cancel: bool = False,
        limiter: anyio.CapacityLimiter | None = None,
    ) -> T:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        async with limiter or anyio.CapacityLimiter(40):
            with anyio.CancelScope(shield=not abandon_on_cancel):
                await anyio.sleep(loop.a_moment())
                if loop.dead:
                    await loop.create_future()
                return func(*args)
        raise AssertionError("cancelled though shielded")

    with mock.patch("anyio.to_thread.run_sync", run_sync):
        yield
