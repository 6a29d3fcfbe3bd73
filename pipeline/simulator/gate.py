"""Who is let in: the limits on rate and on requests in flight."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pipeline.simulator.refusals import throttled
from pipeline.simulator.settings import SimulatorSettings

_MINUTE_S = 60.0


class Gate:
    """Counts who is inside, and refuses more than the settings admit. A refused request counts against no limit."""

    def __init__(self, settings: SimulatorSettings, *, monotonic: Callable[[], float]) -> None:
        self._settings = settings
        self._monotonic = monotonic
        self._admissions: deque[float] = deque()
        self._inside = 0
        self.peak = 0
        self.refused = 0

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Be inside for the length of the block.

        Raises:
            RefusalError: A limit is exceeded: 429.
        """
        if self._is_full() or self._is_too_fast():
            self.refused += 1
            raise throttled(self._settings.retry_after_s)
        self._inside += 1
        self.peak = max(self.peak, self._inside)
        try:
            yield
        finally:
            self._inside -= 1

    def _is_full(self) -> bool:
        limit = self._settings.max_in_flight
        return limit is not None and self._inside >= limit

    def _is_too_fast(self) -> bool:
        """Whether the window is used up; notes the admission when it is not."""
        a_minute = self._settings.requests_per_minute
        if a_minute is None:
            return False
        window_s = self._settings.rate_window_s
        now = self._monotonic()
        while self._admissions and self._admissions[0] <= now - window_s:
            self._admissions.popleft()
        if len(self._admissions) >= max(1, round(a_minute * window_s / _MINUTE_S)):
            return True
        self._admissions.append(now)
        return False
