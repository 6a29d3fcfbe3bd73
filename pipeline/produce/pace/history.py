"""The starts of the last minutes, and how many there were between two moments."""

from collections import deque

#: Providers count requests by the minute.
MINUTE_S = 60.0
#: Starts that make a rate precise: one more or less is 2 %.
PRECISE = 50
#: Minutes looked back at most to have as many.
MOST_MINUTES = 5
#: Starts remembered at most: five minutes of 400 a minute, or the last one of 2,000.
MEMORY = 2_000


class History:
    """Requests that were let go and not refused, the oldest forgotten."""

    def __init__(self) -> None:
        self._starts: deque[tuple[float, bool]] = deque(maxlen=MEMORY)

    def started(self, at: float, *, held: bool) -> None:
        """A request was let go; whether it was the rate that had held it up."""
        self._starts.append((at, held))

    def forget(self, at: float) -> None:
        """The request that was let go then was refused."""
        found = next((start for start in reversed(self._starts) if start[0] == at), None)
        if found is not None:
            self._starts.remove(found)

    def between(self, since: float, until: float) -> int:
        """How many were let go after one moment and before another."""
        return len(self._between(since, until))

    def held_share(self, since: float, until: float) -> float:
        """The share of those that the rate had held up; 1 where there were none."""
        held = self._between(since, until)
        return sum(held) / len(held) if held else 1.0

    def rate_before(self, at: float) -> float:
        """Starts a second in the minute before a moment; of slow ones in as many minutes as it takes to be precise.

        A limit by the minute, however it is counted, lets in just that many in the minute before it refuses.
        """
        count, minutes = 0, 1
        for start, _ in reversed(self._starts):
            if start < at - minutes * MINUTE_S:
                if count >= PRECISE or minutes == MOST_MINUTES:
                    break
                minutes += 1
            count += start < at
        return count / (minutes * MINUTE_S)

    def _between(self, since: float, until: float) -> list[bool]:
        return [held for start, held in self._starts if since < start < until]
