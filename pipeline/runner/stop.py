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

#: Seconds in which signals are one wish: ``timeout`` sends one to a process and to its group, so it comes twice.
ONE_WISH_S = 0.1


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

    @property
    def idle(self) -> bool:
        """Whether only such work is under way as can be left alone, because it buys nothing."""
        return bool(self._leaving)

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
    """Let SIGINT, SIGTERM and SIGHUP ask, for the length of this context; main thread only.

    A SIGHUP that is ignored, as under ``nohup``, stays ignored; and none ever hastens, for a terminal that closes sends
    several.

    Args:
        notice: Told, in one line, what each signal has led to.
    """
    hangup = () if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (signal.SIGHUP,)
    signals = (signal.SIGINT, signal.SIGTERM, *hangup)
    with anyio.open_signal_receiver(*signals) as heard:
        async with anyio.create_task_group() as group:
            group.start_soon(_listen, heard, stop, notice)
            yield
            group.cancel_scope.cancel()


async def _listen(heard: AsyncIterator[signal.Signals], stop: Stop, notice: Callable[[str], None]) -> None:
    async with anyio.create_task_group() as group:
        told_at = 0.0
        async for number in heard:
            name = signal.Signals(number).name
            if not stop.asked:
                told_at = anyio.current_time() + ONE_WISH_S
                idle = stop.idle
                stop.ask(name)
                group.start_soon(partial(_announce, name, notice, idle=idle))
            elif number != signal.SIGHUP and anyio.current_time() >= told_at:
                told = f"{name} again: leaving at once; what is under way is held as unknown"
                notice(Notice.of(EventName.STOP_ASKED, told, signal=name))
                stop.ask(name)


async def _announce(name: str, notice: Callable[[str], None], *, idle: bool) -> None:
    """Tell of the first wish, once what comes next is another one.

    Args:
        idle: Whether nothing was being bought or fetched.
    """
    try:
        await anyio.sleep(ONE_WISH_S)
    finally:
        told = f"{name}: buying has stopped; what is paid is still fetched (once more to leave at once)"
        if idle:
            told = f"{name}: leaving; nothing was being bought or fetched"
        notice(Notice.of(EventName.STOP_ASKED, told, signal=name))


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
