"""Aspect ratios: exact, from 3:7 to 7:3, and the sizes the models really draw them in."""

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache, total_ordering
from math import gcd

#: The provider's document: a continuous range, both ends included.
NARROWEST, WIDEST = Fraction(3, 7), Fraction(7, 3)

#: The 17 sizes of the open model, in pixels, all multiples of 16 and about one megapixel (wire facts).
_UPRIGHT = ((672, 1568), (688, 1504), (720, 1456), (752, 1392), (800, 1328), (832, 1248), (880, 1184), (944, 1104))
SIZES: tuple[tuple[int, int], ...] = (*_UPRIGHT, (1024, 1024), *((h, w) for w, h in reversed(_UPRIGHT)))

#: What arrives differs from what was asked by up to 6.4 % (5:4 comes as 1104x944); more than this is a wrong shape.
TOLERANCE = Fraction(8, 100)

#: The areas of pictures that are asked for by their size, in pixels.
MEGAPIXEL = 1024 * 1024
LEAST_AREA = MEGAPIXEL * 17 // 20

_PATTERN = re.compile(r"(\d{1,6}(?:\.\d{1,4})?):(\d{1,6}(?:\.\d{1,4})?)")
_LONGER = re.compile(r"\d+(?:\.\d+)?:\d+(?:\.\d+)?")


@total_ordering
@dataclass(frozen=True, slots=True, eq=False)
class Ratio:
    """Width to height as two whole numbers, written as given: ``21:9`` stays so, and equals ``7:3``."""

    width: int
    height: int

    @property
    def value(self) -> Fraction:
        """Width divided by height, exactly."""
        return Fraction(self.width, self.height)

    @property
    def reduced(self) -> str:
        """The same ratio in lowest terms: what identity is made of."""
        divisor = gcd(self.width, self.height)
        return f"{self.width // divisor}:{self.height // divisor}"

    @property
    def expected_size(self) -> tuple[int, int]:
        """The width and height, in pixels, a picture of this ratio is expected to arrive in: the nearest of SIZES."""
        return min(SIZES, key=lambda size: (abs(Fraction(*size) / self.value - 1), size))

    def size(self, *, step: int, minimum: int, maximum: int) -> tuple[int, int]:
        """The legal size nearest to this ratio, for models that are asked for a size: width and height in pixels.

        Sizes between LEAST_AREA and a megapixel are tried, never above it: some charge by the megapixel begun. Of
        equally near ones the largest is taken.

        Args:
            step: Both sides are multiples of it.
            minimum: Of each side.
            maximum: Of each side.
        """
        return _nearest(self.value, step, minimum, maximum)

    def fits(self, width: int, height: int) -> bool:
        """Whether a picture of that many pixels has this shape, within TOLERANCE either way."""
        got = Fraction(width, height)
        return abs(got / self.value - 1) <= TOLERANCE

    def __eq__(self, other: object) -> bool:
        return self.value == other.value if isinstance(other, Ratio) else NotImplemented

    def __lt__(self, other: "Ratio") -> bool:
        return self.value < other.value

    def __hash__(self) -> int:
        return hash(self.value)

    def __str__(self) -> str:
        return f"{self.width}:{self.height}"


@lru_cache(maxsize=4096)
def _nearest(value: Fraction, step: int, minimum: int, maximum: int) -> tuple[int, int]:
    sides = range(-(-minimum // step) * step, maximum + 1, step)
    legal = ((w, h) for w in sides for h in sides if LEAST_AREA <= w * h <= MEGAPIXEL)
    return min(legal, key=lambda size: (_apart(Fraction(*size), value), -size[0] * size[1]))


def _apart(one: Fraction, other: Fraction) -> Fraction:
    """How far two ratios are apart, the same either way up."""
    return max(one / other, other / one)


def parse_ratio(text: str) -> Ratio:
    """Read ``W:H``; decimals such as ``1.91:1`` become whole numbers (``191:100``).

    Raises:
        ValueError: Not of that form, of more digits than six and four decimals, or outside 3:7 to 7:3.
    """
    match = _PATTERN.fullmatch(text.strip())
    if match is None and _LONGER.fullmatch(text.strip()):
        raise ValueError(f"{text!r} has more than 4 decimals, or 6 digits before them; write it shorter, such as 7:3")
    if match is None:
        raise ValueError(f"{text!r} is not a ratio; write width:height, such as 16:9")
    try:
        value = Fraction(match[1]) / Fraction(match[2])
    except ZeroDivisionError:
        raise ValueError(f"{text!r} is not a ratio; neither side may be 0") from None
    if not NARROWEST <= value <= WIDEST:
        raise ValueError(f"{text.strip()} is outside the range 3:7 to 7:3 that the models draw")
    if "." in text:
        return Ratio(value.numerator, value.denominator)
    return Ratio(int(match[1]), int(match[2]))
