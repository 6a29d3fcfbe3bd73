"""The only module that measures how fast pictures come in: per second of time at work, of late."""

from collections import deque

from pipeline.clock import Clock

#: How much of the time at work is looked back on, in seconds: as soon as that a collapse, or its end, is all there is.
REMEMBERED_S = 5.0
#: What is told apart of it, in seconds.
_SLOT_S = 0.5
#: A picture is never taken to need less time than this, in seconds; keeps the rate finite.
_FASTEST_S = 0.001


class Rate:
    """Work done per second, over the last ``REMEMBERED_S`` seconds during which anybody was at work.

    Time in which nobody is at work says nothing of how fast work could be done, and is left out. Time at work counts
    while it passes, so a stall is felt at once and not only when it ends.
    """

    def __init__(self, clock: Clock) -> None:
        """Start with nothing done."""
        self._clock = clock
        self._at_work = 0
        self._since = clock.monotonic()
        self._slots: deque[list[float]] = deque([[0.0, 0.0]], maxlen=round(REMEMBERED_S / _SLOT_S))

    @property
    def at_work(self) -> int:
        """How many are at work now."""
        return self._at_work

    @property
    def per_s(self) -> float:
        """The rate; 0 where nothing was done of late."""
        self._advance()
        work = max(0.0, sum(work for _, work in self._slots))
        return work and work / max(sum(passed for passed, _ in self._slots), work * _FASTEST_S)

    def begin(self) -> None:
        """Somebody goes to work."""
        self._advance()
        self._at_work += 1

    def end(self) -> None:
        """Somebody stops."""
        self._advance()
        self._at_work -= 1

    def add(self, work: float) -> None:
        """Note work done; less than nothing takes back what was noted too early."""
        self._advance()
        self._slots[-1][1] += work

    def _advance(self) -> None:
        now = self._clock.monotonic()
        passed, self._since = min(now - self._since, REMEMBERED_S), now
        while self._at_work and passed > 0:
            if self._slots[-1][0] >= _SLOT_S:
                self._slots.append([0.0, 0.0])
            step = min(passed, _SLOT_S - self._slots[-1][0])
            self._slots[-1][0] += step
            passed -= step
