"""Somebody's wish that runs end: gently when it is first said, at once when it is said again."""

import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any, TypeVar

import anyio
import anyio.to_thread

from pipeline.errors import StoppedError
from pipeline.report.events import EventName, Notice

T = TypeVar("T")


class Stop:
    """The wish, and those who wait for it. Made and used inside one event loop."""

    def __init__(self) -> None:
        self.reason = ""
        self._gently = anyio.Event()
        self._at_once = anyio.Event()
        self._leaving: set[anyio.CancelScope] = set()

    @property
    def asked(self) -> bool:
        """Whether anybody has asked."""
        return bool(self.reason)

    def ask(self, reason: str) -> None:
        """Ask for the run to stop buying; asked again, to leave at once."""
        if self.reason:
            self._at_once.set()
        else:
            self.reason = reason
            self._gently.set()
            for scope in self._leaving:
                scope.cancel()

    @contextmanager
    def leaving(self) -> Iterator[None]:
        """Do what is ended, without an error, as soon as somebody asks."""
        with anyio.CancelScope() as scope:
            if self.asked:
                scope.cancel()
            self._leaving.add(scope)
            try:
                yield
            finally:
                self._leaving.discard(scope)

    async def gently(self) -> None:
        """Wait until somebody asks."""
        await self._gently.wait()

    async def at_once(self) -> None:
        """Wait until somebody asks again."""
        await self._at_once.wait()


@asynccontextmanager
async def asked_by_signals(stop: Stop, notice: Callable[[str], None]) -> AsyncIterator[None]:
    """Let SIGINT and SIGTERM ask, for the length of this context; main thread only.

    Args:
        notice: Told, in one line, what each signal has led to.
    """
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:

        async def listen() -> None:
            async for number in signals:
                name = signal.Signals(number).name
                if stop.asked:
                    told = f"{name} again: leaving at once; what is under way is held as unknown"
                else:
                    told = f"{name}: buying has stopped; what is paid is still fetched (once more to leave at once)"
                notice(Notice.of(EventName.STOP_ASKED, told, signal=name))
                stop.ask(name)

        async with anyio.create_task_group() as group:
            group.start_soon(listen)
            yield
            group.cancel_scope.cancel()


async def unless_stopped(stop: Stop | None, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Do what buys nothing, and leave it alone as soon as somebody asks to stop.

    Raises:
        StoppedError: Somebody asked.
    """
    if stop is None:
        return await work()
    with stop.leaving():
        return await work()
    raise StoppedError(f"stopped by {stop.reason} before anything was bought")


def in_thread(work: Callable[..., T], *arguments: object) -> Callable[[], Coroutine[Any, Any, T]]:
    """Blocking work as ``unless_stopped`` takes it; left alone, it goes on in its thread to its end."""
    return partial(anyio.to_thread.run_sync, work, *arguments, abandon_on_cancel=True)
