"""The only module that estimates how long the download side needs, and so whether another picture may be bought."""

import asyncio
import math
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.clock import Clock
from pipeline.deliver.rate import Rate

#: Nothing is bought while fetching what is bought already would take more than this part of a URL's life.
DRAIN_SHARE = 0.25
#: Making a picture is never taken to need more than this part of a URL's life: the rest is waiting for the provider.
MAKING_SHARE = 0.1
#: The most pictures outstanding before a rate is measured.
HANDFUL = 8
#: How much the newest measurement weighs in the running means.
NEWEST_WEIGHT = 0.1
#: A picture whose length nobody announced, and that is longer than usual, is taken to be this far.
_NEARLY = 0.95


class Flight:
    """One delivery at work, and how much of its picture has come."""

    def __init__(self, backlog: "Backlog", rate: Rate, *, early: bool) -> None:
        self._backlog = backlog
        self._early = early
        self._rate = rate
        self._come = 0.0
        self._received = 0
        rate.begin()

    def progress(self, received: int, total: int | None) -> None:
        """Note that so many bytes of the picture are here; what is fetched a second time does not count again.

        Args:
            received: Bytes of it in hand.
            total: How many it has; None where nobody said.
        """
        self._backlog.received_bytes += max(0, received - self._received)
        self._received = received
        if not self._early:
            return
        come = received / total if total else min(_NEARLY, received / self._backlog.usual_bytes)
        if come > self._come:
            self._rate.add(min(come, 1.0) - self._come)
            self._come = min(come, 1.0)
            self._backlog.look()

    @contextmanager
    def idle(self) -> Iterator[None]:
        """While the delivery only waits out a back-off."""
        self._rate.end()
        try:
            yield
        finally:
            self._rate.begin()

    def land(self, *, settled: bool) -> int:
        """End: what has not been counted of the picture is, or what has been is taken back; the bytes received."""
        self._rate.add((1.0 if settled else 0.0) - self._come)
        self._rate.end()
        return self._received


class Backlog:
    """Back-pressure from the download side to the producer: one measured rate, one bound.

    A picture holds one place from the moment it may be bought until it is settled. Of the ``outstanding`` places some
    belong to downloads at work; the others are ahead: on order, or bought and not begun. With ``rate`` pictures fetched
    per second of time at work (``Rate``; in part fetched counts in part) and ``making_s`` seconds from leave to answer
    on the average, another picture may be bought while both hold:

    * ``outstanding <= rate * window / 4``: all of it could be fetched in a quarter of the window at the rate of now.
    * ``ahead <= n + 2 * sqrt(n) + 1`` with ``n = rate * making_s``. By Little's law n must be on order for the
      downloads never to wait; twice its root is how far so many requests vary by chance. More would not be fetched any
      sooner, only grow old before it is begun.

    The second is what survives a collapse. Requests under way cannot be taken back: they will be answered, and must
    still be fetched. No bound could keep a link full and survive a hundredth of it for ever: pictures made in 8 s are
    8 s of downloads on order, 800 s at a hundredth, and the window has 600. But the less is ahead, the longer and the
    deeper a collapse may be (measured in ``docs/performance.md``).

    Time alone only ever lowers the rate: so whatever lets a waiting producer go on is an event, and nothing polls.
    With nothing outstanding one place is always given: it is how a rate that was slow is measured again.
    """

    def __init__(self, *, workers: int, window_s: float, clock: Clock, handful: int | None = None) -> None:
        """Start without a measurement.

        Args:
            workers: How many downloads can run at once; at least 1.
            window_s: How long a URL lives, in seconds.
            clock: Where time is read.
            handful: The most pictures outstanding before a rate is measured; as many as workers, from 4 to
                ``HANDFUL``, when None.
        """
        self.usual_bytes = math.inf
        self.received_bytes = 0  # of all pictures, over all tries
        self._limit_s = window_s * DRAIN_SHARE
        self._longest_making_s = window_s * MAKING_SHARE
        self._clock = clock
        self._handful = min(HANDFUL, max(4, workers)) if handful is None else handful
        self._outstanding = 0
        self._rate = Rate(clock)
        self._measured = False
        self._admitted: deque[float] = deque()
        self._making_s: float | None = None
        self._turn = asyncio.Lock()
        self._changed = asyncio.Event()
        self._waiters = 0

    @property
    def outstanding(self) -> int:
        """Pictures bought or being bought, and not settled yet."""
        return self._outstanding

    @property
    def waiting(self) -> str | None:
        """Why a producer waits, in words for the progress line; None when none does."""
        if not self._waiters or self._fits():
            return None
        count = self._outstanding
        pictures = f"{count} picture{'s' * (count != 1)} bought or on order and not fetched"
        if self._making_s is None or not self._measured:
            return f"waiting for the first downloads: {pictures}"
        return f"downloads are slow: {pictures}"

    def drain_s(self, *, more: int = 0) -> float | None:
        """Predict the seconds until all outstanding pictures, and so many more, are settled; None before a measurement.

        Infinity while nothing comes at all.
        """
        if not self._measured:
            return None
        rate = self._rate.per_s
        return (self._outstanding + more) / rate if rate else math.inf

    async def admit(self) -> None:
        """Wait until one more picture may be bought, and hold its place; first come, first served."""
        self._waiters += 1
        try:
            async with self._turn:
                while not self._fits():
                    await self._changed.wait()
                self._outstanding += 1
                self._admitted.append(self._clock.monotonic())
        finally:
            self._waiters -= 1

    def adopt(self) -> None:
        """Hold a place for a picture bought by an earlier run, without asking: its money is spent."""
        self._outstanding += 1

    def release(self) -> None:
        """Give back the place of a purchase that came to nothing."""
        self._admitted.pop()  # the newest: what is refused is refused soon
        self._outstanding -= 1
        self.look()

    def bought(self) -> None:
        """Note that a picture that was admitted is made; it holds its place until its delivery is finished."""
        # Whichever of those admitted it is: the sum of their times is the same.
        making_s = self._clock.monotonic() - self._admitted.popleft()
        self._making_s = _mean(self._making_s, making_s)
        self.look()

    def started(self, *, early: bool = True) -> Flight:
        """Note that the delivery of a picture begins; what is returned is what ``finished`` wants.

        Args:
            early: Whether its bytes count as they come. Where they have to go on from here, only what has arrived
                there does: the rate is then that of the slower of both ways.
        """
        return Flight(self, self._rate, early=early)

    def finished(self, flight: Flight, *, measured: bool = True) -> None:
        """Note that a delivery is settled, and give back its place.

        Args:
            flight: What ``started`` returned.
            measured: Whether it says something of the rate; not so when trouble on this machine cut it short.
        """
        received = flight.land(settled=measured)
        self._measured = self._measured or measured
        if measured and received:
            self.usual_bytes = _mean(None if math.isinf(self.usual_bytes) else self.usual_bytes, received)
        self._outstanding -= 1
        self.look()

    def look(self) -> None:
        """Let a waiting producer go on if it may."""
        if self._waiters and self._fits():
            self._changed.set()
            self._changed = asyncio.Event()

    def _fits(self) -> bool:
        if self._outstanding == 0:
            return True
        if not self._measured or self._making_s is None:
            return self._outstanding < self._handful
        rate = self._rate.per_s
        needed = rate * min(self._making_s, self._longest_making_s)
        ahead = self._outstanding - self._rate.at_work
        return self._outstanding + 1 <= rate * self._limit_s and ahead <= needed + 2 * math.sqrt(needed)


def _mean(before: float | None, newest: float) -> float:
    return newest if before is None else before + NEWEST_WEIGHT * (newest - before)
