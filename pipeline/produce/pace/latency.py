"""Whether the provider answers more slowly than it could: a brake on growth where nothing is refused."""

from collections import deque
from math import inf
from statistics import geometric_mean

from pipeline.produce.pace.start import Start

#: Answers whose mean is the latency now: of log-normal ones with a sigma of 0.8 it strays by 11 %, far from double.
ANSWERS = 50
#: Answers between two looks.
EVERY = 5
#: No answer counts as quicker, in seconds: a mean of ratios knows no zero.
SHORTEST_S = 0.001
#: Times the baseline: no growth from the first, a cut at the second (reliability facts).
HOLD, CUT = 2.0, 3.0


class Brake:
    """Compares the mean latency of the last answers with the best there was.

    Answers are taken in the order of their requests: the first to come back are the quick ones, and would set a
    baseline that nothing after them meets.

    Attributes:
        holds: Nothing may grow now.
        usual_s: The latency at its best; infinite before the first answer.
    """

    def __init__(self) -> None:
        self.holds = False
        self.usual_s = inf
        self._open: dict[Start, float | None] = {}
        self._last: deque[float] = deque(maxlen=ANSWERS)
        self._looked = 0
        self._cut = 0

    def started(self, start: Start) -> None:
        """A request was let go."""
        self._open[start] = None

    def left(self, start: Start) -> None:
        """A request ended without a picture, and is no measure."""
        del self._open[start]

    def answered(self, start: Start, latency_s: float) -> bool:
        """A picture has come; whether to cut the limit, at most once for as many answers as are looked at."""
        self._open[start] = max(latency_s, SHORTEST_S)
        cuts = False
        while self._open and (taken_s := self._open[first := next(iter(self._open))]) is not None:
            del self._open[first]
            cuts |= self._take(taken_s)
        return cuts

    def _take(self, latency_s: float) -> bool:
        self._last.append(latency_s)
        self._looked += 1
        self._cut += 1
        if len(self._last) == ANSWERS and self._looked % EVERY:
            return False
        now_s = geometric_mean(self._last)
        if len(self._last) < ANSWERS:
            self.usual_s = now_s
            return False
        self.usual_s = min(self.usual_s, now_s)
        self.holds = now_s >= HOLD * self.usual_s
        if now_s < CUT * self.usual_s or self._cut < ANSWERS:
            return False
        self._cut = 0
        return True
