"""What a refusal is put down to: the number of requests in flight, or the moment, which is to say the rate."""

from math import inf

from pipeline.produce.pace.start import Start

# These two were chosen by ``python -m benchmarks.pace``.

#: Refusals that could be either, put down to the moment in a row before the level is looked at after all.
DOUBTS = 2
#: Requests let in between two refusals of the moment, beyond which the one does not put the other in doubt.
SOON = 32


class Blame:
    """Judges refusals by what was let in before.

    A refusal at a level that was let in lately, or with nothing let in since the last, is the moment's. One at a level
    that never was let in may be either: it is the level's, but where the rate has been at work it has to come thrice.

    Attributes:
        moment: The last verdict: it was the moment.
        decided_at: When that was; refusals of what was let go before belong to the same episode.
        decided_on: When the request that it was about was let go.
    """

    def __init__(self) -> None:
        self.moment = False
        self.decided_at = -inf
        self.decided_on = -inf
        self._proven = 0
        self._level = 0
        self._admitted = -1
        self._doubts = 0

    @property
    def ever(self) -> bool:
        """Whether there was any refusal."""
        return self.decided_at > -inf

    def admitted(self, start: Start) -> None:
        """A request was let in."""
        self._proven = max(self._proven, start.least)
        if start.at > self.decided_at and start.least >= self._level:
            self._doubts = 0

    def was_moment(self) -> None:
        """The last verdict was wrong: it was the moment."""
        self.moment = True

    def misplaced(self, start: Start, twins: int) -> int:
        """The level a refused request had, where the provider may have met those sent with it in another order.

        Args:
            twins: How many were sent just after it.
        """
        return max(start.level, min(self._proven + 1, start.level + twins))

    def judge(self, start: Start, *, now: float, admitted: int, rate_held: bool, rises: bool) -> bool:
        """Put a refusal that begins an episode down to something.

        Args:
            start: The refused request.
            admitted: Requests let in before it, from the beginning.
            rate_held: It was the rate that held it up, at a level below the limit.
            rises: The limit on the level is rising just now.

        Returns:
            Whether it goes on as before: the moment again, with nothing let in since.
        """
        nothing = admitted <= self._admitted and (self.moment or start.level < self._level)
        goes_on = nothing and self.moment
        either = not start.trial and not rises and (self.moment or rate_held)
        if nothing or start.level <= max(1, self._proven):
            self.moment = True
        elif either and self._doubts < DOUBTS:
            self.moment = True
            self._doubts += 1
        else:
            self.moment, self._doubts = False, 0
        if not self.moment or admitted - self._admitted < SOON:
            self._proven = min(self._proven, start.level - 1)
        self._level, self._admitted = start.level, admitted
        self.decided_at, self.decided_on = now, start.at
        return goes_on
