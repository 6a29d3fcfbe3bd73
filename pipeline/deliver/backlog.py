"""The only module that estimates how long the download side needs, and so whether another picture may be bought."""

import itertools

import anyio

from pipeline.clock import Clock

#: Nothing is bought while fetching what is bought already would take more than this part of a URL's life.
DRAIN_SHARE = 0.25
#: How much the newest measurement weighs in the running mean.
NEWEST_WEIGHT = 0.2
#: A worker is never taken to be faster than this, in seconds a picture; keeps the estimate finite.
FASTEST_S = 0.001


class Backlog:
    """Back-pressure from the download side to the producer.

    A picture holds one place from the moment it may be bought until it is settled. Places are given while all
    outstanding pictures, at the measured rate, would be fetched within a quarter of the window. A download under way
    slows the rate as soon as it is older than the usual one, so a stall is felt while it lasts and not only when it
    ends. Age only ever lowers the rate; so only a settled picture can let a waiting producer go on, and nothing polls.

    With nothing outstanding one place is always given: it is how a slow rate is measured again.
    """

    def __init__(self, *, workers: int, window_s: float, clock: Clock, handful: int | None = None) -> None:
        """Start without a measurement.

        Args:
            workers: How many downloads can run at once; at least 1.
            window_s: How long a URL lives, in seconds.
            clock: Where ages are read.
            handful: The most pictures outstanding before a rate is measured; ``max(4, workers)`` when None.
        """
        self._workers = workers
        self._limit_s = window_s * DRAIN_SHARE
        self._clock = clock
        self._handful = max(4, workers) if handful is None else handful
        self._outstanding = 0
        self._usual_s: float | None = None
        self._flights: dict[int, float] = {}
        self._flight_ids = itertools.count()
        self._turn = anyio.Lock()
        self._settled = anyio.Event()
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
        if self._usual_s is None:
            return f"waiting for the first downloads: {pictures}"
        return f"downloads are slow: {pictures}"

    def drain_s(self, *, more: int = 0) -> float | None:
        """Predict the seconds until all outstanding pictures, and so many more, are settled; None before a measurement.

        Each worker counts with the rate it shows: one picture in the usual time, or in the age of the download it
        is at, whichever is slower.
        """
        if self._usual_s is None:
            return None
        now, usual_s, under_way = self._clock.monotonic(), self._usual_s, len(self._flights)
        rate = max(0, self._workers - under_way) / usual_s
        if under_way:  # more than there are workers, while some wait out a back-off
            share = min(1.0, self._workers / under_way)
            rate += share * sum(1 / max(usual_s, now - since) for since in self._flights.values())
        return (self._outstanding + more) / rate

    async def admit(self) -> None:
        """Wait until one more picture may be bought, and hold its place; first come, first served."""
        self._waiters += 1
        try:
            async with self._turn:
                while not self._fits():
                    await self._settled.wait()
                self._outstanding += 1
        finally:
            self._waiters -= 1

    def adopt(self) -> None:
        """Hold a place for a picture bought by an earlier run, without asking: its money is spent."""
        self._outstanding += 1

    def release(self) -> None:
        """Give back the place of a purchase that came to nothing."""
        self._outstanding -= 1
        self._wake()

    def started(self) -> int:
        """Note that the delivery of a picture begins; the number returned is what ``finished`` wants."""
        flight = next(self._flight_ids)
        self._flights[flight] = self._clock.monotonic()
        return flight

    def finished(self, flight: int, *, measured: bool = True) -> None:
        """Note that a delivery is settled, and give back its place.

        Args:
            flight: What ``started`` returned.
            measured: Whether its time says something of the rate; not so when trouble on this machine cut it short.
        """
        elapsed_s = max(FASTEST_S, self._clock.monotonic() - self._flights.pop(flight))
        if measured and self._usual_s is None:
            self._usual_s = elapsed_s
        elif measured and self._usual_s is not None:
            self._usual_s += NEWEST_WEIGHT * (elapsed_s - self._usual_s)
        self.release()

    def _fits(self) -> bool:
        if self._outstanding == 0:
            return True
        drain_s = self.drain_s(more=1)
        if drain_s is None:
            return self._outstanding < self._handful
        return drain_s <= self._limit_s

    def _wake(self) -> None:
        self._settled.set()
        self._settled = anyio.Event()
