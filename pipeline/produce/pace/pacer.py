"""When the next request of a model may start: the decisions, on a clock that is given, without any waiting."""

from collections import deque
from collections.abc import Callable
from math import inf

from pipeline.produce.pace.blame import Blame
from pipeline.produce.pace.latency import Brake
from pipeline.produce.pace.lesson import Lesson
from pipeline.produce.pace.level import START, Level
from pipeline.produce.pace.rate import PAUSE_SHARE, Rate
from pipeline.produce.pace.start import Start
from pipeline.provider import Allowance

#: A request that was not refused for so long, in seconds, was let in, because limits answer at the door; once one has
#: been refused, for so many times as long as the slowest refusal took, within these bounds.
SURE_S, SURE_TIMES, SUREST_S = 1.5, 3, (0.3, 10.0)
#: How long, in seconds, an answer may be on its way while its place is free: what is let in then proves no level.
ASTRAY_S = 0.25
#: Two requests sent within so many seconds may arrive in either order.
TWINS_S = 0.02
#: Seconds without a start after a level was refused for the first time: a bucket gathers tokens meanwhile.
HUSH_S = 1.0
#: Seconds to wait after refusals with nothing let in between, if the provider names none: at first, times three for
#: each in a row, and at most; but no less than a quarter of what it has lasted already, up to a minute.
FIRST_PAUSE_S, PAUSE_TIMES, LONGEST_PAUSE_S, LASTING_PAUSE_S = 1.0, 3.0, 8.0, 60.0


class Pacer:
    """One model's pace: how many in flight, how fast after each other, and when not at all."""

    def __init__(
        self,
        *,
        ceiling: int,
        now: float,
        jitter: Callable[[], float],
        most_per_s: float | None = None,
        lesson: Lesson | None = None,
    ) -> None:
        """Say what is known beforehand.

        Args:
            ceiling: The most requests in flight.
            now: The beginning.
            jitter: Uniform in [0, 1).
            most_per_s: Starts a second that are never exceeded.
            lesson: What an earlier run found.
        """
        self.in_flight = 0
        self.level = Level(
            ceiling=ceiling, limit=lesson.level if lesson else START, wall=lesson.wall if lesson else None
        )
        self.rate = Rate(most=most_per_s, pace=lesson.rate if lesson else None)
        self.paused_until = -inf
        self._began = now
        self._jitter = jitter
        self._brake = Brake()
        self._blame = Blame()
        self._unsure: deque[Start] = deque()
        self._sure_s = SURE_S
        self._admitted = 0
        self._searching = False  # the moment refuses, and no rate is known: one request at a time
        self._dead = False  # nothing has been let in since the moment began to refuse: the same
        self._dead_since = -inf
        self._pauses = 0
        self._longest_reset_s = 0.0
        self._last_at = -inf
        self._free_since = now

    def opens_at(self, now: float) -> float:
        """When the next may start: now, later, or not before something happens (infinite)."""
        self._settle(now)
        opens = max(now, self.paused_until, self.rate.opens_at, self._last_at + self._spread_s)
        sure = self._unsure[0].at + self._sure_s if self._unsure else inf
        if (self._searching or self._dead) and self._unsure:
            return max(opens, sure)
        if self.in_flight < self.level.limit:
            return opens
        if self.in_flight > self.level.limit:
            return sure
        if self.level.early:
            opens = max(opens, self._last_at + min(self.level.fair_s, 1.5 * self._brake.usual_s / self.level.limit))
        tries = max(self.level.tries_at, opens)
        return tries if tries <= now else min(sure, tries)

    def start(self, now: float) -> Start:
        """Let one go, which ``opens_at`` has allowed."""
        self.in_flight += 1
        held = self.rate.opens_at > max(self._free_since, self._last_at + self._spread_s)
        start = Start(
            at=now,
            gap_s=now - self._last_at if self._last_at > -inf else 0.0,
            level=self.in_flight,
            least=self.in_flight,
            pace=self.rate.pace if held else None,
            trial=self.in_flight > self.level.limit,
        )
        self._last_at = now
        self._admitted += 1
        self._unsure.append(start)
        self._brake.started(start)
        self.level.started(start.level)
        self.rate.started(now, held=held)
        self._free_since = now if self.in_flight < self.level.limit else inf
        return start

    def succeeded(self, start: Start, now: float) -> None:
        """A picture was answered."""
        self._let_in(start, now)
        for other in self._unsure:
            other.least -= now - other.at <= ASTRAY_S
        self._leave(now)
        if self._brake.answered(start, now - start.at):
            self.level.cut()

    def withdrawn(self, start: Start, now: float) -> None:
        """It ended in any other way, and says nothing about the limits."""
        self._brake.left(start)
        self._leave(now)
        if not start.admitted:
            self._take_back(start)
        if start.trial:
            self.level.resume(now)

    def refused(self, start: Start, now: float, *, retry_after_s: float | None) -> None:
        """It was refused for load.

        Args:
            retry_after_s: How long the provider wants to be left alone, in its own words; for all, once.
        """
        self._brake.left(start)
        self._leave(now)
        if not start.admitted:
            self._take_back(start)
        self._settle(now)
        younger = [other for other in self._unsure if (other.at, other.level) > (start.at, start.level)]
        start.level = self._blame.misplaced(start, sum(other.at - start.at <= TWINS_S for other in younger))
        for other in younger:
            other.level -= 1
            other.least -= 1
        if retry_after_s is not None:
            self.paused_until = max(self.paused_until, now + retry_after_s)
        if start.trial:
            self.level.resume(now)
        if start.at > self._blame.decided_at:
            self._decide(start, now, self._admitted - len(younger), retry_after_s)
        elif not self._blame.moment:
            self.level.also_refused(start.level)

    def told(self, start: Start, allowance: Allowance, now: float) -> None:
        """The headers of the answer to a request say what is allowed."""
        self._longest_reset_s = max(self._longest_reset_s, allowance.reset_s or 0.0)
        # The time until all are there again is at most what the limit is counted over: the longest tells it.
        self.rate.state(allowance.limit / (self._longest_reset_s or 60.0))
        if allowance.remaining is not None and allowance.remaining <= self.rate.started_since(start.at):
            self.rate.keep(now)

    def pause(self, until: float) -> None:
        """Let nothing go before that."""
        self.paused_until = max(self.paused_until, until)

    @property
    def _spread_s(self) -> float:
        """The least gap between two starts, so that few are under way when one is refused: far less than they take."""
        usual_s = self._brake.usual_s / 2
        whole_s = min(2 * SURE_S, usual_s) if self._blame.ever else min(SURE_S, usual_s) / 2
        return whole_s / self.level.limit

    def _leave(self, now: float) -> None:
        self.in_flight -= 1
        self._free_since = min(self._free_since, now)

    def _take_back(self, start: Start) -> None:
        """It never was let in."""
        self._unsure.remove(start)
        self._admitted -= 1
        self.rate.forget(start.at)

    def _decide(self, start: Start, now: float, admitted: int, retry_after_s: float | None) -> None:
        """Draw the consequences of a refusal that begins an episode."""
        took_s = now - start.at
        least_s, most_s = SUREST_S
        self._sure_s = min(most_s, max(self._sure_s if self._blame.ever else least_s, SURE_TIMES * took_s))
        rate_held = start.pace is not None and start.level < self.level.limit
        goes_on = self._blame.judge(start, now=now, admitted=admitted, rate_held=rate_held, rises=self.level.rises)
        if self._blame.moment:
            self._wait(start, now, goes_on=goes_on, retry_after_s=retry_after_s)
        elif self.level.refused(start, now=now, cost_s=PAUSE_SHARE * (retry_after_s or 0.0)):
            self.rate.explained()
        elif self.level.early:
            self.pause(now + HUSH_S)

    def _wait(self, start: Start, now: float, *, goes_on: bool, retry_after_s: float | None) -> None:
        """The moment refuses: slow down, and wait where that is not enough."""
        self._pauses = self._pauses + 1 if goes_on else 0
        self._dead = goes_on
        if not goes_on:
            self._dead_since = start.at
            self.rate.refused(start.at, pause_s=retry_after_s or 0.0)
        self._searching = not self.rate.known
        if retry_after_s is None and (goes_on or self._searching):
            growing_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * PAUSE_TIMES ** min(self._pauses, 9))
            lasting_s = min(LASTING_PAUSE_S, (now - self._dead_since) / 4)
            self.pause(now + max(growing_s, lasting_s) * (1 + self._jitter()) / 2)

    def _settle(self, now: float) -> None:
        while self._unsure and self._unsure[0].at + self._sure_s <= now:
            self._let_in(self._unsure[0], now)

    def _let_in(self, start: Start, now: float) -> None:
        """A request is known to have been let in."""
        if start.admitted:
            return
        start.admitted = True
        self._unsure.remove(start)
        self._blame.admitted(start)
        fresh = start.at > self._blame.decided_at
        if start.trial and not fresh:  # a refusal since then has the say; the wall may be tried again
            self.level.resume(now)
        if fresh and self.level.admitted(start, now=now, grows=not self._brake.holds) and not self._blame.moment:
            self._blame.was_moment()
            self._dead_since = self._blame.decided_on
            self.rate.refused(self._blame.decided_on, pause_s=0.0)
            self._searching = not self.rate.known
        dead_s = self._blame.decided_on - self._dead_since
        if self._searching and fresh:
            self._searching = False
            average = self._admitted / max(start.at - self._began, 1e-3)
            self.rate.find(start.at, average=average, dead_s=dead_s)
            return
        if self._dead and fresh:
            self.rate.reopened(dead_s=dead_s)
        self._dead = self._dead and not fresh
        self.rate.admitted(start.pace)
