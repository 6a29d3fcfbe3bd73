"""The only module that learns how many downloads at once a host is good for."""

import math

from pipeline.clock import Clock

#: Downloads at once to begin with, and the fewest that are tried: while one comes others are asked for or put away.
START = 4
#: How much more, or less, is tried at a time.
STEP = 1.5
#: Of what a larger number should bring if each download kept its speed, this much must come for it to be worth it.
WORTH = 0.1
#: What trouble leaves of the number, once for all that began before it.
DECREASE = 0.5
#: Rounds without a trial after one that changed nothing.
PATIENCE = 10
#: How much the newest round weighs in the rate of a number that is kept.
NEWEST_WEIGHT = 0.3
#: The fewest downloads that are a measurement.
ROUND = 8


class Host:
    """How many downloads one host is given: a number learnt by trial, never above the ceiling.

    A round is so many downloads, all with the limit in full use. After each trial the larger of the two numbers is kept
    if it brings at least a tenth of what the numbers' proportion promises, else the smaller: without that a full link
    would be shared by ever more downloads that each take ever longer. Bytes are counted, not pictures, which come in
    lumps. A host that answers *too many*, or that stands still, is given half at once; after a standstill it has back
    what it had one by one, with each picture that comes.
    """

    def __init__(self, *, ceiling: int, clock: Clock) -> None:
        """Start with ``START``, or the ceiling where that is less."""
        self.active = 0
        self.limit = min(START, ceiling)
        self._ceiling = ceiling
        self._clock = clock
        self._regain = 0
        self._kept = (0, 0.0)  # the number that is known to be good, and its rate
        self._up = True
        self._patience = 0
        self._ended = self._came = 0
        self._round_began: float | None = None
        self._last_end = self._decreased_at = -math.inf

    @property
    def has_room(self) -> bool:
        """Whether one more may begin."""
        return self.active < self.limit

    def used(self, *, fully: bool) -> None:
        """Told after each change whether all of the limit is in use; a round in which it is not says nothing."""
        if not fully:
            self._round_began = None
        elif self._round_began is None:
            self._round_began, self._ended, self._came = self._clock.monotonic(), 0, 0

    def came(self, size_bytes: int) -> None:
        """So many bytes more have come."""
        self._came += size_bytes

    def served(self) -> None:
        """A picture came whole."""
        self._last_end = now = self._clock.monotonic()
        if self.limit < self._regain:
            self.limit += 1
            self._round_began = None
            return
        self._ended += 1
        if self._round_began is not None and self._ended >= max(ROUND, self.limit) and now > self._round_began:
            rate = self._came / (now - self._round_began)
            self._round_began = None
            self._judge(rate)

    def refused(self, began: float) -> None:
        """A download that began at that moment was turned away as one too many."""
        if began >= self._decreased_at:
            self._decreased_at = self._clock.monotonic()
            self._regain = 0
            self._settle_on(max(1, math.floor(self.limit * DECREASE)), 0.0)

    def stalled(self, began: float) -> None:
        """A download that began at that moment stood still; the host's fault if it served nobody else since."""
        if began > self._last_end and began >= self._decreased_at:
            self._decreased_at = self._clock.monotonic()
            self._regain = max(self._regain, self.limit)
            self._settle_on(max(1, math.floor(self.limit * DECREASE)), 0.0)

    def _judge(self, rate: float) -> None:
        kept, kept_rate = self._kept
        if self.limit == kept or not kept_rate:
            self._kept = (self.limit, kept_rate + NEWEST_WEIGHT * (rate - kept_rate) if kept_rate else rate)
            self._patience -= 1
            if self._patience <= 0:
                self._try_another()
            return
        smaller, larger = sorted([(self.limit, rate), (kept, kept_rate)])
        worth = larger[1] >= smaller[1] * (1 + WORTH * (larger[0] / smaller[0] - 1))
        better = larger if worth else smaller
        went_well = better[0] == self.limit
        self._settle_on(*better)
        if went_well:
            self._try_another()
        else:
            self._up = not self._up

    def _settle_on(self, limit: int, rate: float) -> None:
        self.limit, self._kept = limit, (limit, rate)
        self._patience = PATIENCE
        self._round_began = None

    def _try_another(self) -> None:
        if self._up:
            self.limit = min(self._ceiling, math.ceil(self.limit * STEP))
        else:
            self.limit = max(min(START, self.limit), math.floor(self.limit / STEP))
        if self.limit == self._kept[0]:
            self._up, self._patience = not self._up, PATIENCE
