"""How long an input image from a URL is waited for, and when people are told of it."""

from collections.abc import Callable
from dataclasses import dataclass

import anyio

from pipeline.job import named

#: For all of an image, every try of it included, in seconds; 20 MB at 170 KB/s.
WITHIN_S = 120.0
#: People are told of an image that takes longer, in seconds.
TOLD_AFTER_S = 3.0


def _untold(_message: str) -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long one image is waited for.

    Attributes:
        within_s: At most, in seconds.
        told_after_s: When ``tell`` is told which one it is, once, in seconds.
        tell: Takes one line; from whatever thread fetches.
    """

    within_s: float = WITHIN_S
    told_after_s: float = TOLD_AFTER_S
    tell: Callable[[str], None] = _untold

    async def tell_of(self, url: str, until: anyio.CancelScope) -> None:
        """Say that an image is waited for, unless it is here by then.

        Args:
            until: Cancelled when it is.
        """
        with until:
            await anyio.sleep(self.told_after_s)
            self.tell(f"waiting for an input image, at most {self.within_s:g} s: {named(url)}")


USUAL = Patience()
