"""The three ways in which providers count requests by time."""

from collections import deque
from typing import Protocol, assert_never

from pipeline.simulator.settings import SimulatorSettings

_MINUTE_S = 60.0


class Rate(Protocol):
    """A limit by time. The number a window allows may change from call to call."""

    def admits(self, now: float, allowed: float) -> bool:
        """Whether one more may come in now; counted when it may."""
        ...

    def left(self, allowed: float) -> int:
        """How many more, as of the last look."""
        ...

    def full_in_s(self, now: float, allowed: float) -> float:
        """Seconds until all are there again."""
        ...


class SlidingWindow:
    """So many in any stretch as long as the window."""

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._admissions: deque[float] = deque()

    def admits(self, now: float, allowed: float) -> bool:
        """Whether the last window has room."""
        while self._admissions and self._admissions[0] <= now - self._window_s:
            self._admissions.popleft()
        if len(self._admissions) >= allowed:
            return False
        self._admissions.append(now)
        return True

    def left(self, allowed: float) -> int:
        """Of the last window."""
        return max(0, int(allowed) - len(self._admissions))

    def full_in_s(self, now: float, allowed: float) -> float:  # noqa: ARG002 - the last one leaves when it leaves
        """Until the last admission is as old as the window."""
        return self._admissions[-1] + self._window_s - now if self._admissions else 0.0


class FixedWindow:
    """So many in each window; they are there again at its border."""

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._number = -1
        self._used = 0

    def admits(self, now: float, allowed: float) -> bool:
        """Whether this window has room."""
        number = int(now // self._window_s)
        if number != self._number:
            self._number, self._used = number, 0
        if self._used >= allowed:
            return False
        self._used += 1
        return True

    def left(self, allowed: float) -> int:
        """Of this window."""
        return max(0, int(allowed) - self._used)

    def full_in_s(self, now: float, allowed: float) -> float:  # noqa: ARG002 - a border is a border
        """Until the border."""
        return self._window_s - now % self._window_s


class Bucket:
    """Tokens that come steadily, up to a burst; it begins full."""

    def __init__(self, window_s: float, burst: float) -> None:
        self._window_s = window_s
        self._burst = burst
        self._tokens = burst
        self._as_of: float | None = None

    def admits(self, now: float, allowed: float) -> bool:
        """Whether there is a token."""
        passed_s = 0.0 if self._as_of is None else now - self._as_of
        self._tokens = min(self._burst, self._tokens + passed_s * allowed / self._window_s)
        self._as_of = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def left(self, allowed: float) -> int:  # noqa: ARG002 - they are counted one by one
        """Whole tokens."""
        return int(self._tokens)

    def full_in_s(self, now: float, allowed: float) -> float:  # noqa: ARG002 - as of the last look
        """Until the burst is there again."""
        return (self._burst - self._tokens) * self._window_s / allowed


def rate_of(settings: SimulatorSettings) -> Rate:
    """The limit by time that the settings describe."""
    window_s = settings.rate_window_s
    match settings.rate_kind:
        case "sliding":
            return SlidingWindow(window_s)
        case "fixed":
            return FixedWindow(window_s)
        case "bucket":
            whole = (settings.requests_per_minute or 1) * window_s / _MINUTE_S
            return Bucket(window_s, float(settings.rate_burst or max(1, round(whole))))
        case _:
            assert_never(settings.rate_kind)
