"""Who is let in: the limits on rate and on requests in flight."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pipeline.simulator.rates import rate_of
from pipeline.simulator.refusals import throttled
from pipeline.simulator.settings import SimulatorSettings

_MINUTE_S = 60.0


class Gate:
    """Counts who is inside, and refuses more than the settings admit. A refused request counts against no limit."""

    def __init__(self, settings: SimulatorSettings, *, monotonic: Callable[[], float]) -> None:
        self._settings = settings
        self._monotonic = monotonic
        self._rate = rate_of(settings)
        self._opened: float | None = None  # when the first came
        self._inside = 0
        self.peak = 0
        self.refused = 0

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Be inside for the length of the block.

        Raises:
            RefusalError: A limit is exceeded: 429.
        """
        now = self._monotonic()
        self._opened = now if self._opened is None else self._opened
        if self._is_full(now) or self._is_too_fast(now):
            self.refused += 1
            refusal = throttled(self._settings.retry_after_s)
            refusal.headers |= self.headers()
            raise refusal
        self._inside += 1
        self.peak = max(self.peak, self._inside)
        try:
            yield
        finally:
            self._inside -= 1

    def headers(self) -> dict[str, str]:
        """What answers say about the limit by time: nothing, unless the settings want it said."""
        a_minute = self._settings.requests_per_minute
        if not self._settings.rate_headers or a_minute is None:
            return {}
        now = self._monotonic()
        allowed = self._allowed(a_minute, now)
        return {
            "x-ratelimit-limit-requests": f"{allowed:g}",
            "x-ratelimit-remaining-requests": str(self._rate.left(allowed)),
            "x-ratelimit-reset-requests": f"{round(self._rate.full_in_s(now, allowed) * 1000)}ms",
        }

    def _is_full(self, now: float) -> bool:
        limit = self._settings.max_in_flight
        return limit is not None and self._inside >= max(1, round(limit * self._factor(now)))

    def _is_too_fast(self, now: float) -> bool:
        """Whether the window is used up; notes the admission when it is not."""
        a_minute = self._settings.requests_per_minute
        return a_minute is not None and not self._rate.admits(now, self._allowed(a_minute, now))

    def _allowed(self, a_minute: int, now: float) -> float:
        """Requests a window."""
        return max(1, round(a_minute * self._factor(now) * self._settings.rate_window_s / _MINUTE_S))

    def _factor(self, now: float) -> float:
        """What has become of the limits since the first request."""
        after_s = self._settings.limits_change_after_s
        changed = after_s is not None and self._opened is not None and now - self._opened >= after_s
        return self._settings.limits_change_factor if changed else 1.0
