"""The only module that says whether a download stands still, beside the others that are under way."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

from pipeline.clock import Clock
from pipeline.deliver.limits import Limits

#: How much slower than the others' median a download must be, on the same host, to be replaced for that alone.
FAR_BELOW = 8
#: Below the floor this much slower than all the others' median is enough; a link that is slow for all is no stall.
BELOW = 4
#: What each replacement for being slow leaves of the floor: what is slow again and again is slow.
FLOOR_STEP = 4
#: A download is looked at this often at most, in seconds.
_LOOK_EVERY_S = 1.0


class Speed:
    """How fast one download goes."""

    def __init__(self, host: str, now: float, span_s: float) -> None:
        self.host = host
        self.received = 0
        self._span_s = span_s
        self._marks: deque[tuple[float, int]] = deque([(now, 0)])

    def add(self, received: int, now: float) -> None:
        """Note bytes that came."""
        self.received += received
        self._marks.append((now, self.received))
        self._forget(now)

    def per_s(self, now: float) -> float | None:
        """Bytes per second over the last ``grace_s`` seconds; None for one that is younger."""
        self._forget(now)
        since, before = self._marks[0]
        return (self.received - before) / (now - since) if now - since >= self._span_s else None

    def _forget(self, now: float) -> None:
        while len(self._marks) > 1 and self._marks[1][0] <= now - self._span_s:
            self._marks.popleft()


class Speeds:
    """The downloads under way."""

    def __init__(self, *, clock: Clock, limits: Limits) -> None:
        """Take what is needed."""
        self._clock = clock
        self._limits = limits
        self._under_way: set[Speed] = set()

    @contextmanager
    def download(self, host: str) -> Iterator["Watch"]:
        """Watch one download from here to its end."""
        speed = Speed(host, self._clock.monotonic(), self._limits.grace_s)
        self._under_way.add(speed)
        try:
            yield Watch(self, speed, self._clock, _LOOK_EVERY_S)
        finally:
            self._under_way.discard(speed)

    def is_stalled(self, speed: Speed, *, slow: int, now: float) -> bool:
        """Whether a second try is worth more than waiting on.

        Args:
            speed: The download's.
            slow: How many tries for the same picture were given up for this reason.
            now: The moment.
        """
        mine = speed.per_s(now)
        if mine is None:
            return False
        others = [other for other in self._under_way if other is not speed]
        known = [(other.host, its) for other in others if (its := other.per_s(now)) is not None]
        if mine * FLOOR_STEP**slow < self._limits.floor_bytes_per_s:
            return not known or mine * BELOW < median(its for _, its in known)
        beside = [its for host, its in known if host == speed.host]
        return slow == 0 and bool(beside) and mine * FAR_BELOW < median(beside)


class Watch:
    """One download under watch."""

    def __init__(self, speeds: Speeds, speed: Speed, clock: Clock, every_s: float) -> None:
        self._speeds = speeds
        self._speed = speed
        self._clock = clock
        self._every_s = every_s
        self._looked = self._began = clock.monotonic()

    def add(self, received: int, *, slow: int) -> bool:
        """Note bytes that came; whether the download stands still all the same."""
        now = self._clock.monotonic()
        self._speed.add(received, now)
        if now - self._looked < self._every_s:
            return False
        self._looked = now
        return self._speeds.is_stalled(self._speed, slow=slow, now=now)

    def __str__(self) -> str:
        return f"{self._speed.received} bytes in {self._clock.monotonic() - self._began:.1f} s"
