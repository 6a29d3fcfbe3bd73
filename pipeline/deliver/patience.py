"""The only module that moves a deadline: the waits of one try are bounded one after the other, inside one scope."""

import asyncio
import math

import anyio

from pipeline.clock import Clock


class Patience:
    """Bounds what is done inside ``scope``. A scope for each wait would cost more than most of the waits.

    Attributes:
        scope: To be entered once; it swallows the cancellation that ends it.
        short: Whether the wait that was bounded last had to end before the whole had.
    """

    def __init__(self, clock: Clock, *, until: float) -> None:
        """Take the end of it all, on the monotonic clock; nothing is bounded yet."""
        self._clock = clock
        self._until = until
        self._loop = asyncio.get_running_loop()  # whose time is what a scope's deadline is in
        self.scope = anyio.CancelScope()
        self.short = False

    def bound(self, seconds: float = math.inf) -> None:
        """What begins now may take so long, and no longer than the whole."""
        left_s = self._until - self._clock.monotonic()
        self.short = seconds < left_s
        self.scope.deadline = self._loop.time() + max(0.0, min(seconds, left_s))

    def unbound(self) -> None:
        """What begins now is bounded by others."""
        self.scope.deadline = math.inf
