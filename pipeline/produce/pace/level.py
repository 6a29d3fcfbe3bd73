"""How many requests may be in flight: grown until one is refused, then held just below that, and tried again rarely."""

from math import inf

from pipeline.produce.pace.start import Start

#: Requests in flight to begin with (reliability facts, as is the guard against growth below half use).
START = 4
#: Seconds from the first refusal at a level to the one early try that tells whether it was the level or the moment:
#: a token of any rate from 60 a minute upwards is there again.
EARLY_S = 1.0
#: Requests at full use between two tries of the level that was refused: at first, doubled each time it is refused
#: again, and at most. One refusal in 200 is 0.5 % of the requests; a limit that doubles is noticed within as many.
FIRST_EVERY, MOST_EVERY = 8, 200
#: What the latency brake leaves of the limit (reliability facts).
CUT = 0.9


class Level:
    """The limit on requests in flight of one model; never above its ceiling, never below 1.

    Attributes:
        early: A wall was met and not yet tried again: it may have been the moment, not the level.
        rises: The wall gave way, and no other has been met since.
        fair_s: The gap that the early try has to keep from the request before it, lest the moment refuse it again.
    """

    def __init__(self, *, ceiling: int, limit: int = START, wall: int | None = None) -> None:
        """Say where to begin.

        Args:
            limit: Requests in flight to begin with.
            wall: The level that an earlier run was refused at.
        """
        self.early = False
        self.rises = False
        self.fair_s = 0.0
        self._ceiling = ceiling
        self._limit = float(max(1, min(limit, ceiling)))
        self._wall = wall
        self._met = wall  # the wall, also after it has given way
        self._base = 0  # only what is let in above this makes the limit grow
        self._every = FIRST_EVERY
        self._since = 0
        self._not_before = -inf

    @property
    def limit(self) -> int:
        """How many may be in flight as a rule."""
        return int(self._limit)

    @property
    def wall(self) -> int | None:
        """The lowest level that is known to be refused."""
        return self._wall

    @property
    def tries_at(self) -> float:
        """From when on one more than the limit may be let go, to try the wall; infinite: not yet."""
        if self._wall is None or self.limit + 1 != self._wall or self._wall > self._ceiling:
            return inf
        return self._not_before if self.early or self._since >= self._every else inf

    def started(self, level: int) -> None:
        """A request was let go at this level; of trials there is one at a time."""
        if level > self.limit:
            self._since, self._not_before = 0, inf
        elif level == self.limit:
            self._since += 1

    def admitted(self, start: Start, *, now: float, grows: bool) -> bool:
        """A request was let in.

        Args:
            start: It was let go after the last refusal.
            grows: Whether the latencies allow growth.

        Returns:
            Whether it shows that the refusal before was not because of the level.
        """
        if self._wall is not None and start.level >= self._wall:
            return self._tried(start, self._wall, now)
        if grows and start.level > self._base and start.level * 2 >= self._limit:
            if self._wall is None:
                self._limit = min(self._ceiling, self._limit + 1)
            else:
                self._limit = min(self._wall - 1, self._ceiling, self._limit + 1 / self._limit)
        return False

    def _tried(self, start: Start, wall: int, now: float) -> bool:
        """The wall was tried and let the request in; that proves something where no other had left just then."""
        if start.least < wall:
            if start.trial:
                self._since = self._every
                self.resume(now)
            return False
        shown, self.early = self.early, False
        self.rises = not shown
        if shown:
            self._met = None
        self._base, self._wall = wall - 1, None
        self._limit = float(min(self._ceiling, max(self.limit, start.level)))
        return shown

    def refused(self, start: Start, *, now: float, cost_s: float) -> bool:
        """A request was refused because of its level.

        Args:
            cost_s: How long to leave a known wall alone, because each refusal costs time.

        Returns:
            Whether the early try has just confirmed that it is the level.
        """
        level = max(2, start.level if self._wall is None else min(start.level, self._wall))
        known = self._met is not None and abs(level - self._met) <= 1
        confirmed = known and self.early
        if not known:
            self.fair_s = 2 * start.gap_s
        elif not confirmed:
            self._every = min(MOST_EVERY, self._every * 2)
        else:
            self._every = FIRST_EVERY
        self.early, self.rises = not known, False
        self._stop_below(level)
        self.resume(now + (cost_s if known else 0.0))
        return confirmed

    def also_refused(self, level: int) -> None:
        """Another refusal of the same episode: the lowest level counts."""
        if self._wall is not None and 1 < level < self._wall:
            self._stop_below(level)

    def _stop_below(self, level: int) -> None:
        self._wall = self._met = level
        self._limit = min(self._limit, level - 1.0)

    def resume(self, now: float) -> None:
        """The trial is over; there may be another."""
        self._not_before = now + EARLY_S

    def cut(self) -> None:
        """The provider answers ever more slowly."""
        self._limit = max(1.0, self._limit * CUT)
