"""The only module that turns a URL's life, told in wall-clock time, into moments of this process's own clock."""

from collections.abc import Callable
from typing import Self

from pipeline.clock import Clock
from pipeline.deliver.limits import DEFAULT_WINDOW_S, Limits
from pipeline.deliver.purchase import Purchase

#: A purchase picked up with at least this part of its window left could have been fetched.
AMPLE_SHARE = 0.25
_MARGIN_SHARE = 0.1


class Window:
    """The time one delivery has, fixed when it is picked up; moments are on the monotonic clock.

    Attributes:
        closes: When the URL dies.
        until: When the last try is over.
        first_until: When the first try is over; it is given some time however late it comes.
        ample: Whether there was time enough to fetch the picture.
    """

    def __init__(
        self,
        *,
        now: float,
        left_s: float,
        whole_s: float,
        limits: Limits,
        clock: Clock,
        on_half: Callable[[], None],
    ) -> None:
        """Fix the moments; see ``of``."""
        self.closes = now + left_s
        self.until = self.closes - min(limits.margin_s, whole_s * _MARGIN_SHARE)
        self.first_until = max(self.until, now + limits.first_try_s)
        self.ample = left_s >= whole_s * AMPLE_SHARE
        self._half = self.closes - whole_s / 2
        self._clock = clock
        self._on_half = on_half
        self._warned = False

    @classmethod
    def of(cls, purchase: Purchase, *, limits: Limits, clock: Clock, on_half: Callable[[], None]) -> Self:
        """Start the time of a purchase that is picked up now.

        Args:
            purchase: Without a deadline it has DEFAULT_WINDOW_S from the answer.
            limits: The margins.
            clock: Where time is read.
            on_half: Called once, when ``tick`` first finds half the window gone.
        """
        whole_s = DEFAULT_WINDOW_S if purchase.deadline is None else purchase.deadline - purchase.bought_at
        return cls(
            now=clock.monotonic(),
            left_s=whole_s - purchase.age_s(clock),
            whole_s=max(0.0, whole_s),
            limits=limits,
            clock=clock,
            on_half=on_half,
        )

    def tick(self) -> None:
        """Look whether half the window has passed, and say so the first time."""
        if not self._warned and self._clock.monotonic() >= self._half:
            self._warned = True
            self._on_half()
