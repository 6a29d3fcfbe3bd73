"""How a delivery waits between two tries: full jitter, never past what is left of the window."""

import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Protocol

from pipeline.deliver.limits import Limits

#: Draws a number between two bounds; ``random.uniform`` or a double.
Draw = Callable[[float, float], float]


class Worker(Protocol):
    """Who is at work on a delivery: one of few, so it is lent to others while there is nothing to do."""

    def rest(self, setback: str) -> AbstractAsyncContextManager[None]:
        """Entered, with what set it back in a word, while the delivery only waits."""
        ...

    def came(self, size_bytes: int) -> None:
        """So many bytes more have come."""
        ...

    def leave(self) -> None:
        """All has come: given to others for good."""
        ...


class Alone:
    """A worker that nobody else wants."""

    def rest(self, setback: str) -> AbstractAsyncContextManager[None]:  # noqa: ARG002 - nobody asks why
        """Nothing is lent."""
        return nullcontext()

    def came(self, size_bytes: int) -> None:
        """Nobody counts."""

    def leave(self) -> None:
        """Nobody waits."""


def back_off_s(limits: Limits, tries: int, left_s: float, *, slower: bool, draw: Draw = random.uniform) -> float | None:
    """How long to wait before the next try, in seconds; None when there is no time for one.

    Full jitter over a doubling span. Near the end of the window the wait is at most half of what is left, so that the
    last seconds are used rather than slept through.

    Args:
        limits: The base, cap and factor.
        tries: How many there were, at least 1.
        left_s: Seconds left for this purchase.
        slower: Whether the last answer asks for longer waits.
        draw: Where the jitter comes from.
    """
    if left_s < limits.shortest_try_s:
        return None
    # The exponent is bounded because 2.0 to the 1024 is no float.
    span_s = limits.backoff_base_s * 2.0 ** min(tries - 1, 30) * (limits.slow_factor if slower else 1.0)
    return min(draw(0.0, min(limits.backoff_cap_s, span_s)), left_s / 2)
