"""The only module that reads how long a provider wants to be left alone, and whether it wants to be asked again."""

import math
from collections.abc import Mapping
from email.utils import parsedate_to_datetime


def retry_after_s(headers: Mapping[str, str], *, wall: float) -> float | None:
    """Seconds to wait, from ``retry-after-ms`` or ``Retry-After`` as seconds or as a date; None where neither says.

    Args:
        headers: By lower-cased name.
        wall: Now, in seconds since 1970. A date that has passed means 0.
    """
    milliseconds = _number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return milliseconds / 1000
    written = headers.get("retry-after", "")
    seconds = _number(written)
    return seconds if seconds is not None else _until(written, wall=wall)


def should_retry(headers: Mapping[str, str]) -> bool | None:
    """What ``x-should-retry`` says, or None where it says nothing that can be read."""
    return {"true": True, "false": False}.get(headers.get("x-should-retry", "").strip().lower())


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _until(date: str, *, wall: float) -> float | None:
    try:
        return max(0.0, parsedate_to_datetime(date).timestamp() - wall)
    except (ValueError, OverflowError, OSError):
        return None
