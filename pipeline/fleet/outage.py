"""How long the database has been away: when that is worth a line, and when it is enough."""

from dataclasses import dataclass

#: Seconds until it is said again: at first, and at most; each time twice the one before.
_SAY_S, _SELDOM_S = 30.0, 1800.0


@dataclass(slots=True)
class Outage:
    """An outage, or none. Times are those of one clock, in seconds.

    Attributes:
        since: When the database first gave no answer; None while it does.
    """

    since: float | None = None
    _say_at: float = 0.0
    _pause_s: float = _SAY_S

    def lasts(self, why: object, *, now: float) -> str:
        """It gave no answer; a line to be said about that, or ""."""
        if self.since is None:
            self.since, self._say_at, self._pause_s = now, now, _SAY_S
        if now < self._say_at:
            return ""
        self._say_at = now + self._pause_s
        self._pause_s = min(2 * self._pause_s, _SELDOM_S)
        away = f" for {time_told(now - self.since)}" if now > self.since else ""
        return f"the database does not answer{away}: {why}; trying again"

    def over(self, *, now: float) -> str:
        """It answers; a line to be said about that, or ""."""
        since, self.since = self.since, None
        return "" if since is None else f"the database answers again, after {time_told(now - since)}"

    def lasted_s(self, now: float) -> float:
        """How long so far."""
        return 0.0 if self.since is None else now - self.since


def time_told(seconds: float) -> str:
    """A length of time, for people."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
