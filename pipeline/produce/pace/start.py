"""One request on its way, as the pace remembers it."""

from dataclasses import dataclass


@dataclass(slots=True, eq=False, kw_only=True)
class Start:
    """A request that was let go.

    Attributes:
        at: When, in seconds on the monotonic clock.
        gap_s: How long after the one before it.
        level: How many were in flight with it; those before it that turn out to have been refused do not count.
        least: The same, without those whose answers may have been on their way already.
        pace: Starts a second, where it was the rate that held it up, not the number in flight nor a lack of orders.
        trial: Whether it is one more than the limit, to try the level that was refused.
        admitted: Whether it is known to have been let in.
    """

    at: float
    gap_s: float
    level: int
    least: int
    pace: float | None
    trial: bool
    admitted: bool = False
