"""How many requests may be in flight, by model: learned from what the provider refuses, never above the ceiling.

Additive increase, multiplicative decrease (the numbers are those of the reliability facts): start at 4, one more for
each success until the first refusal, then one more for each round of successes; x0.7 once for each congestion episode;
no growth while less than half of the limit is in use. Retry-After pauses the lane once, for all.
"""

from collections.abc import Callable

import anyio

from pipeline.clock import Clock

#: Requests in flight to begin with.
START = 4
#: What a congestion episode leaves of the limit.
DECREASE = 0.7
#: Seconds to pause at a refusal that names no time: full jitter up to this, doubled for each episode in a row.
FIRST_PAUSE_S = 1.0
#: The longest such pause, in seconds; also the cap of a retry's back-off (AWS SDKs).
LONGEST_PAUSE_S = 20.0


def back_off_s(number: int, jitter: Callable[[], float]) -> float:
    """Full jitter: between 0 and ``FIRST_PAUSE_S`` doubled for each earlier time, at most ``LONGEST_PAUSE_S``.

    Args:
        number: How many times before, from 0.
        jitter: Uniform in [0, 1).
    """
    return jitter() * min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(number, 30))


class Lane:
    """The requests of one model."""

    def __init__(self, *, ceiling: int, clock: Clock, jitter: Callable[[], float]) -> None:
        self.in_flight = 0
        self._ceiling = ceiling
        self._limit = float(min(START, ceiling))
        self._clock = clock
        self._jitter = jitter
        self._changed = anyio.Event()
        self._paused_until = 0.0
        self._decreased_at = float("-inf")
        self._episodes_in_a_row = 0
        self._refused_before = False

    @property
    def limit(self) -> int:
        """How many may be in flight now, at least 1."""
        return max(1, int(self._limit))

    @property
    def paused_s(self) -> float:
        """Seconds until the lane opens again; 0 when it is open."""
        return max(0.0, self._paused_until - self._clock.monotonic())

    async def acquire(self) -> float:
        """Wait for a place and take it; the moment it was taken, on the monotonic clock."""
        while True:
            if self.paused_s > 0:
                await self._clock.sleep(self.paused_s)
            elif self.in_flight < self.limit:
                self.in_flight += 1
                return self._clock.monotonic()
            else:
                await self._changed.wait()

    def release(self) -> None:
        """Give the place back."""
        self.in_flight -= 1
        self._wake()

    def succeeded(self) -> None:
        """A request was answered without complaint of load (its place still held): the limit may grow."""
        self._episodes_in_a_row = 0
        if self.in_flight * 2 >= self._limit:
            self._limit = min(self._ceiling, self._limit + (1 / self._limit if self._refused_before else 1))
            self._wake()

    def refused(self, *, sent_at: float, retry_after_s: float | None) -> None:
        """A request was refused for load.

        Args:
            sent_at: When its place was taken; refusals of requests sent before the last decrease belong to it.
            retry_after_s: The provider's own word; the lane pauses that long, and no longer for several at once.
        """
        self._refused_before = True
        now = self._clock.monotonic()
        if sent_at > self._decreased_at:
            self._limit = max(1.0, self._limit * DECREASE)
            self._decreased_at = now
            pause_s = back_off_s(self._episodes_in_a_row, self._jitter)
            self._episodes_in_a_row += 1
        else:
            pause_s = 0.0
        self._paused_until = max(self._paused_until, now + (pause_s if retry_after_s is None else retry_after_s))

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
