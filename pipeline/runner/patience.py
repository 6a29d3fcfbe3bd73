"""Waiting for a ledger that somebody else holds, for as long as one was told to."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from pipeline.clock import Clock
from pipeline.errors import LedgerBusyError
from pipeline.report.events import EventName, Notice
from pipeline.runner.options import RunOptions
from pipeline.runner.stop import unless_stopped

T = TypeVar("T")

#: How often one looks whether the ledger is free, in seconds.
LOOK_EVERY_S = 0.25


class Patience:
    """One allowance of ``options.wait_s`` seconds, over all that is waited for."""

    def __init__(self, options: RunOptions, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        self._until = clock.monotonic() + options.wait_s
        self._told = False

    async def have(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Try until it is no longer in somebody else's hands.

        Raises:
            LedgerBusyError: It still is, and the allowance is used up.
            StoppedError: Somebody asked to stop meanwhile.
        """
        while True:
            try:
                return await attempt()
            except LedgerBusyError as error:
                left_s = self._until - self._clock.monotonic()
                if not left_s > 0:
                    raise
                if not self._told:
                    self._told = True
                    told = f"waiting for up to {left_s:.0f} s: {error.message}"
                    self._options.notice(Notice.of(EventName.LEDGER_AWAITED, told))
            await unless_stopped(self._options.stop, partial(self._clock.sleep, min(LOOK_EVERY_S, left_s)))
