"""Limits as providers have them, on a clock that is given: what the pace of buying is measured against."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Protocol

#: What every rate here is counted by, in seconds.
MINUTE_S = 60.0
#: A token short of whole by less than this is whole: sums of floats are not exact.
_NEARLY = 1e-9

#: A limit over time: ``(from this moment on, this much)``, the first from 0.
Course = Sequence[tuple[float, float]]


def at(course: Course, now: float) -> float:
    """The limit at a moment."""
    return next(limit for since, limit in reversed(course) if now >= since)


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What the headers say: requests a minute, how many are left, and seconds until all are there again."""

    limit: float
    remaining: float
    reset_s: float


class Gate(Protocol):
    """One limit."""

    def opens_at(self, now: float) -> float:
        """``now`` when one more would be let in, else when it may be; infinite: once somebody leaves."""
        ...

    def enter(self, now: float) -> None:
        """Let one in."""
        ...

    def leave(self) -> None:
        """One that was let in is done."""
        ...

    def words(self, now: float) -> Words | None:
        """What the headers would say; None for a limit that is not one by time."""
        ...


class InFlight:
    """So many at a time."""

    def __init__(self, most: Course) -> None:
        self._most = most
        self._inside = 0

    def opens_at(self, now: float) -> float:
        if self._inside < at(self._most, now):
            return now
        return min((since for since, most in self._most if since > now and most > self._inside), default=float("inf"))

    def enter(self, now: float) -> None:  # noqa: ARG002 - it does not matter when
        self._inside += 1

    def leave(self) -> None:
        self._inside -= 1

    def words(self, now: float) -> Words | None:  # noqa: ARG002
        return None


class _ByTime:
    """A limit that does not mind how long anybody stays."""

    def leave(self) -> None:
        pass


class Bucket(_ByTime):
    """Tokens that come at a steady rate, up to a burst; it begins full."""

    def __init__(self, a_minute: Course, *, burst: float) -> None:
        self._a_minute = a_minute
        self._burst = burst
        self._tokens = burst
        self._as_of = 0.0

    def opens_at(self, now: float) -> float:
        self._fill(now)
        if self._tokens >= 1 - _NEARLY:
            return now
        return now + (1 - self._tokens) * MINUTE_S / at(self._a_minute, now)

    def enter(self, now: float) -> None:
        self._fill(now)
        self._tokens -= 1

    def words(self, now: float) -> Words | None:
        self._fill(now)
        rate = at(self._a_minute, now)
        missing = self._burst - self._tokens
        return Words(limit=self._burst, remaining=max(0, int(self._tokens)), reset_s=missing * MINUTE_S / rate)

    def _fill(self, now: float) -> None:
        """Add what came since the last look, at each rate for as long as it held."""
        borders = [since for since, _ in self._a_minute if self._as_of < since < now]
        for until in (*borders, now):
            came = (until - self._as_of) * at(self._a_minute, self._as_of) / MINUTE_S
            self._tokens = min(self._burst, self._tokens + came)
            self._as_of = until


class FixedWindow(_ByTime):
    """So many in each window; all are there again at its border."""

    def __init__(self, a_window: Course, *, window_s: float = MINUTE_S, begun_s: float = 0.0) -> None:
        """The first border comes ``begun_s`` earlier than a whole window after the beginning."""
        self._a_window = a_window
        self._window_s = window_s
        self._begun_s = begun_s
        self._number = -1
        self._used = 0

    def opens_at(self, now: float) -> float:
        self._turn(now)
        return now if self._used < at(self._a_window, now) else self._border(now)

    def enter(self, now: float) -> None:
        self._turn(now)
        self._used += 1

    def words(self, now: float) -> Words | None:
        self._turn(now)
        limit = at(self._a_window, now)
        return Words(limit=limit, remaining=max(0, limit - self._used), reset_s=self._border(now) - now)

    def _border(self, now: float) -> float:
        """The next border; the loss of a float's last digits must not put it before now."""
        return (int((now + self._begun_s) / self._window_s + _NEARLY) + 1) * self._window_s - self._begun_s

    def _turn(self, now: float) -> None:
        number = int((now + self._begun_s) / self._window_s + _NEARLY)
        if number != self._number:
            self._number, self._used = number, 0


class SlidingWindow(_ByTime):
    """So many in any stretch as long as the window."""

    def __init__(self, a_window: Course, *, window_s: float = MINUTE_S) -> None:
        self._a_window = a_window
        self._window_s = window_s
        self._log: deque[float] = deque()

    def opens_at(self, now: float) -> float:
        self._forget(now)
        limit = at(self._a_window, now)
        if len(self._log) < limit:
            return now
        return self._log[len(self._log) - ceil(limit)] + self._window_s

    def enter(self, now: float) -> None:
        self._log.append(now)

    def words(self, now: float) -> Words | None:
        self._forget(now)
        limit = at(self._a_window, now)
        reset_s = self._log[-1] + self._window_s - now if self._log else 0.0
        return Words(limit=limit, remaining=max(0, limit - len(self._log)), reset_s=reset_s)

    def _forget(self, now: float) -> None:
        while self._log and self._log[0] <= now - self._window_s + _NEARLY:
            self._log.popleft()


class Overload(_ByTime):
    """Nobody is let in for a while of each minute."""

    def __init__(self, *, lasts_s: float, first_s: float) -> None:
        self._lasts_s = lasts_s
        self._first_s = first_s

    def opens_at(self, now: float) -> float:
        into_s = (now - self._first_s) % MINUTE_S
        if now < self._first_s - _NEARLY or not -_NEARLY <= into_s < self._lasts_s - _NEARLY:
            return now
        return now + self._lasts_s - into_s

    def enter(self, now: float) -> None:
        pass

    def words(self, now: float) -> Words | None:  # noqa: ARG002
        return None


class AllOf:
    """Several limits at once: who is let in counts in each, who is refused in none."""

    def __init__(self, gates: Sequence[Gate]) -> None:
        self._gates = gates

    def opens_at(self, now: float) -> float:
        return max(gate.opens_at(now) for gate in self._gates)

    def enter(self, now: float) -> None:
        for gate in self._gates:
            gate.enter(now)

    def leave(self) -> None:
        for gate in self._gates:
            gate.leave()

    def words(self, now: float) -> Words | None:
        return next((words for gate in self._gates if (words := gate.words(now)) is not None), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A make-believe provider.

    Attributes:
        name: Says its limits.
        gate: Makes them anew.
        retry_after_s: What a 429 says in ``Retry-After``, in seconds, whatever the gate.
        tells_when: It says when the gate opens instead, where that is known.
        headers: Whether answers carry x-ratelimit headers.
        stated: Requests a minute that the manifest states.
        latency_s: The median of a picture's log-normal latency.
        spread: Its sigma.
        refusal_s: How long a refusal takes, beyond the way there and back.
        late_s: How long a place stays taken after the answer has left.
        by_chance: The share of requests that are refused whatever the gate says.
    """

    name: str
    gate: Callable[[], Gate]
    retry_after_s: float | None = None
    tells_when: bool = False
    headers: bool = False
    stated: float | None = None
    latency_s: float = 8.0
    spread: float = 0.4
    refusal_s: float = 0.05
    late_s: float = 0.0
    by_chance: float = 0.0
