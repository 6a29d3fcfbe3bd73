"""The only module that moves a deadline: the waits of one try are bounded one after the other, inside one scope."""

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
        """Take the end of it all, on the monotonic clock."""
        self._clock = clock
        self._until = until
        self.scope = anyio.CancelScope()
        self.short = False
        self.bound()

    def bound(self, seconds: float = math.inf) -> None:
        """What begins now may take so long, and no longer than the whole."""
        left_s = self._until - self._clock.monotonic()
        self.short = seconds < left_s
        self.scope.deadline = anyio.current_time() + max(0.0, min(seconds, left_s))

    def unbound(self) -> None:
        """What begins now is bounded by others."""
        self.scope.deadline = math.inf
