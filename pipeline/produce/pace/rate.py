"""How many requests may start in a second: found from what was admitted between refusals, and closed in on."""

from dataclasses import dataclass
from math import inf, sqrt

from pipeline.produce.pace.chance import Chance
from pipeline.produce.pace.history import MINUTE_S, History

# Where a number names no other source, ``python -m benchmarks.pace`` chose it: the grid keeps its targets with it.

#: What the pace keeps below a rate that was refused.
STEP = 0.01
#: Starts until the pace is back at the rate it aims for; after as many again it has doubled. One refusal in about 130.
PLATEAU = 105
#: The same where the rate is known badly.
SHORT_PLATEAU = 25
#: How many times its length the plateau may get: by fast rates, whose minute is longer, and by costly refusals.
LONGER, LONGEST = 2.0, 2.5
#: What a round of starts adds to a pace that has not been refused yet.
GROWTH = 1.5
#: The most that a pace grows over the rate it aims for before it is refused again: threefold.
OVERSHOOT = 2.0
#: Two measures of a rate that differ by less are the same.
AGREE = 0.07
#: A rate is no more than so many times what was measured, whatever pace was refused.
CREDIBLE = 6.0
#: Starts since the last refusal, and the share of them the rate must have held up, for their number to measure it.
ENOUGH, HELD = 8, 0.8
#: Seconds of nothing but refusals that tell a window that is used up from a bucket that fills steadily.
WINDOW_S = 2.0
#: The slowest pace, in starts a second: below it, refusals cost less than waiting does. The grid is the same with one a
#: minute; where refusals come by chance, the worst runs take a seventh of the time with this.
LEAST = 1 / 10
#: A refusal that costs a pause may come only once in so many times its length: 2 % of the time.
PAUSE_SHARE = 50


@dataclass(slots=True)
class _Lean:
    """Where the provider's rate is between what was measured and what was refused: 0 is the one, 1 the other.

    A bucket with a burst is measured exactly; one without is refused exactly. The refusals tell: one that comes before
    the pace is back means that it aimed too high.
    """

    share: float = 1 / 3
    used: bool = False

    def learn(self, *, quiet: bool) -> None:
        if self.used:
            self.share = min(0.9, self.share * 1.5) if quiet else self.share / 2


class Rate:
    """The least time between two starts of one model; none until a refusal or a statement gives reason for one.

    After a refusal the pace climbs back to the rate it aims for, ever more slowly, and past it, ever faster (the shape
    is that of TCP CUBIC, RFC 9438), so that it stays near the limit and yet finds one that has risen.
    """

    def __init__(self, *, most: float | None = None, pace: float | None = None) -> None:
        """Say what is known.

        Args:
            most: Starts a second that are never exceeded, because a person said so; kept from the beginning.
            pace: Starts a second that an earlier run found.
        """
        self._history = History()
        self._most = inf if most is None else most
        self._stated = inf
        self._pace = self._aim = pace  # aim: None while it has not been refused at any pace
        self._depth = STEP
        self._quiet = 0
        self._plateau = self._scale = float(PLATEAU)
        self._lean = _Lean()
        self._chance = Chance()
        self._measured = 0.0
        self._minute = 0.0
        self._counts = False  # enough were let in during the last minute to tell a window by them
        self._good: float | None = None
        self._known_at = inf
        self._refused_at: float | None = None
        self._last_at = -inf

    @property
    def pace(self) -> float | None:
        """Starts a second; None without any limit."""
        pace = min(self._most, inf if self._pace is None else min(self._pace, self._stated))
        return pace if pace < inf else None

    @property
    def found(self) -> float | None:
        """The provider's rate, as far as it is known: starts a second."""
        return None if self._aim is None else self.pace

    @property
    def known(self) -> bool:
        """Whether there is a notion of the provider's rate."""
        return self._pace is not None

    @property
    def opens_at(self) -> float:
        """When the next may start."""
        return -inf if self.pace is None else self._last_at + 1 / self.pace

    def started(self, at: float, *, held: bool) -> None:
        """A request was let go; whether it was the rate that had held it up."""
        self._last_at = at
        self._history.started(at, held=held)

    def forget(self, at: float) -> None:
        """The request that was let go then was refused, for whatever reason."""
        self._history.forget(at)

    def started_since(self, at: float) -> int:
        """How many requests were let go after a moment."""
        return self._history.between(at, inf)

    def state(self, per_s: float) -> None:
        """The provider says how many it allows; from its first refusal on the pace is no more than that."""
        self._stated = per_s

    def keep(self, now: float) -> None:
        """The provider says that none are left: its word is the pace from here on, if it has given one."""
        if self._pace is None and self._stated < inf:
            self._pace = self._aim = self._stated
            self._known_at = now

    def admitted(self, pace: float | None) -> None:
        """A request was let in; one that the rate did not hold up says nothing about it.

        Args:
            pace: The pace that held it up, if any did.
        """
        self._chance.admitted()
        if self._pace is None or pace is None:
            return
        self._quiet += 1
        if self._aim is None:
            self._pace = max(self._pace, pace * GROWTH)
            return
        ahead = self._quiet - self._plateau
        if ahead < 0:
            self._pace = self._aim * (1 + self._depth * (ahead / self._plateau) ** 3)
        else:
            self._pace = self._aim * (1 + min(OVERSHOOT, (ahead / self._scale) ** 3))

    def explained(self) -> None:
        """The level explains what was refused lately: see soon whether the rate is higher."""
        self._quiet = max(self._quiet, int(self._plateau))

    def refused(self, at: float, *, pause_s: float) -> None:
        """A request was refused because of the moment, and something had been let in since the last that was.

        Args:
            at: When it was let go.
            pause_s: The pause that the provider asked for; 0 for none.
        """
        since, self._refused_at = self._refused_at, at
        self._minute = max(LEAST, self._history.rate_before(at))
        self._counts = self._history.between(at - MINUTE_S, at) >= ENOUGH
        self._good = self._aim if self._quiet > self._plateau else None
        self._lean.learn(quiet=self._quiet >= self._plateau)
        if self._pace is None:
            self._lean.used = False
            return
        if self._by_chance(since, at, pause_s):
            return
        self._aim_anew(since, at)
        self._plateau = max(self._plateau, PAUSE_SHARE * pause_s * self._pace)
        self._depth = 1 - self._pace / self._aim if self._aim else STEP
        self._quiet = 0

    def _by_chance(self, since: float | None, at: float, pause_s: float) -> bool:
        """Whether a refusal is put down to chance; the pace goes back to where that became likely."""
        if since is None:
            return False
        if self._quiet >= self._plateau or pause_s >= WINDOW_S:
            self._chance.forget()  # it had climbed past its aim, or the provider knows when it opens again
        if pause_s >= WINDOW_S:
            return False
        let_in = self._history.between(since, at)
        back = self._chance.refused((let_in + 1) / (at - since), let_in)
        if back is not None:
            self._pace, self._aim, self._quiet = max(self._pace or 0.0, back), None, 0
        return self._chance.rules

    def _aim_anew(self, since: float | None, at: float) -> None:
        """Set aim, pace and plateau by what was measured and what was refused."""
        refused = self.pace or inf
        let_in = 0 if since is None else self._history.between(since, at)
        recent = (let_in + 0.5) / (at - since) if since is not None and let_in else None
        loose = since is not None and let_in >= ENOUGH and self._history.held_share(since, at) < HELD
        young = at - self._known_at < 2 * MINUTE_S
        measured = max(self._minute, recent or 0.0) if young else self._minute
        unexplained = measured >= refused or loose
        agree = not unexplained and min(abs(measured - self._measured), refused - measured) <= AGREE * measured
        top = min(refused, CREDIBLE * measured)
        if unexplained:
            self._aim = pace = refused
        elif agree:
            self._aim, pace = measured + (top - measured) * self._lean.share, measured
        else:
            self._aim, pace = top, sqrt(measured * top)
        if recent is not None and not loose and (agree or unexplained):
            pace = max(min(pace, recent), pace / 2)
        self._pace = max(LEAST, pace * (1 - STEP))
        minute = min(LONGER * PLATEAU, max(PLATEAU, MINUTE_S * refused))
        self._scale = max(PLATEAU, minute if agree or unexplained else 0.0)
        self._plateau = minute if agree or unexplained else SHORT_PLATEAU
        self._measured, self._lean.used = measured, agree

    def find(self, at: float, *, average: float, dead_s: float) -> None:
        """Something was let in at last: the first notion of the rate.

        Args:
            at: When that was let go.
            average: Requests let in a second from the beginning; with the burst in it, so that is too much.
            dead_s: How long there were nothing but refusals.
        """
        waited_s = max(at - (self._refused_at or 0.0), 1e-3)
        self._known_at = at
        if self._stated < inf:
            self._pace = self._aim = self._stated
        elif dead_s >= WINDOW_S and self._counts:
            self._pace = self._aim = max(self._minute, 1 / waited_s)
        else:
            self._pace = max(LEAST, sqrt(max(1 / waited_s, average) / waited_s))

    def reopened(self, *, dead_s: float) -> None:
        """Something was let in again after so many seconds of nothing but refusals: of a window, if they were many."""
        if self._pace is None or dead_s < WINDOW_S or not self._counts:
            return
        if self._chance.rules and dead_s < 10 * WINDOW_S:
            return
        self._chance.forget()
        good = self._good or self._minute
        risen = self._minute >= 1.5 * good
        self._aim = self._minute if risen else min(self._minute, good + max(0.0, self._minute - good) / 3)
        self._pace = self._aim * (1 - STEP)
        self._depth, self._quiet = STEP, 0
        longest = LONGEST * max(PLATEAU, MINUTE_S * self._pace)
        self._plateau = max(self._plateau, min(longest, PAUSE_SHARE * dead_s * self._pace))
