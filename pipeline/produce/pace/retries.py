"""When a request may be sent again, and how many may be, so that an outage does not become a storm (AWS SDKs)."""

from collections.abc import Callable

#: Seconds of the first back-off, full jitter up to this, doubled each time, and of the longest.
FIRST_BACK_OFF_S, LONGEST_BACK_OFF_S = 1.0, 20.0

#: What there is at the most, and what a retry takes of it: of a request that was refused for load, and of one that
#: failed for another passing reason (reliability facts).
CAPACITY, THROTTLED_COST, PASSING_COST = 500, 5, 14
#: What a request that succeeds at once puts back.
REWARD = 1


def back_off_s(number: int, jitter: Callable[[], float]) -> float:
    """Full jitter: between 0 and ``FIRST_BACK_OFF_S`` doubled for each earlier time, at most ``LONGEST_BACK_OFF_S``.

    Args:
        number: How many times before, from 0.
        jitter: Uniform in [0, 1).
    """
    return jitter() * min(LONGEST_BACK_OFF_S, FIRST_BACK_OFF_S * 2.0 ** min(number, 30))


class RetryQuota:
    """Retries take from it, successes put back: in the end, retries go on only while requests succeed."""

    def __init__(self) -> None:
        self._left = CAPACITY

    def take(self, cost: int) -> bool:
        """Take what a retry costs; False, with nothing taken, where there is not as much."""
        if cost > self._left:
            return False
        self._left -= cost
        return True

    def put_back(self, cost: int) -> None:
        """A request succeeded; ``cost`` is what its retry had taken, 0 where it was none."""
        self._left = min(CAPACITY, self._left + (cost or REWARD))
