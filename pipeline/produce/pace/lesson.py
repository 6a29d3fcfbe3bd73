"""What one run has found of a model's limits, for the next to begin with."""

from dataclasses import dataclass, replace
from typing import Self

from pipeline.produce.pace.level import START

#: Seconds in which half of what a level is above the usual beginning is forgotten: limits are raised and lowered by
#: people, not by the hour.
HALF_LIFE_S = 86_400.0
#: A rate older than this, in seconds, is forgotten: one that is too low costs minutes, and a new one is found in them.
RATE_LIFE_S = 86_400.0
#: Older than this, in seconds, all is forgotten.
LIFE_S = 30 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """Limits that were found.

    Attributes:
        level: How many requests in flight were let in.
        wall: The level that was refused; None where none was.
        rate: Starts a second; None where no rate was found.
        learned_at: Seconds since 1970.
    """

    level: int
    wall: int | None
    rate: float | None
    learned_at: float

    def aged(self, *, wall_clock: float) -> Self | None:
        """What is left of it now; None when it is forgotten. A clock that was set back makes nothing younger."""
        age_s = abs(wall_clock - self.learned_at)
        if age_s > LIFE_S:
            return None
        kept = 0.5 ** (age_s / HALF_LIFE_S)
        level = round(START * (self.level / START) ** kept)
        return replace(self, level=max(1, level), rate=self.rate if age_s <= RATE_LIFE_S else None)
