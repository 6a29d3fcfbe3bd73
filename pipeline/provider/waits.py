"""The only module that reads what an answer's headers say about the pace: waits, whether to ask again, allowances."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhd])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What a provider says it allows: a number of requests over a time that it does not name.

    Attributes:
        limit: Requests, more than 0.
        remaining: How many of them were left after this one; None where that is not said.
        reset_s: Seconds until all are there again; None where that is not said.
    """

    limit: float
    remaining: float | None = None
    reset_s: float | None = None


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


def allowance(headers: Mapping[str, str]) -> Allowance | None:
    """What ``x-ratelimit-limit-requests`` and its fellows say, or None where they give no limit that can be read.

    Args:
        headers: By lower-cased name.
    """
    limit = _number(headers.get("x-ratelimit-limit-requests", ""))
    if not limit:
        return None
    return Allowance(
        limit=limit,
        remaining=_number(headers.get("x-ratelimit-remaining-requests", "")),
        reset_s=_span(headers.get("x-ratelimit-reset-requests", "")),
    )


def _span(text: str) -> float | None:
    """Seconds of ``6m0s``, ``12ms``, ``1h2m3.5s`` or a plain number of seconds."""
    written = text.strip().lower()
    parts = _PART.findall(written)
    if parts and "".join(number + unit for number, unit in parts) == written:
        return sum(float(number) * _SECONDS[unit] for number, unit in parts)
    return _number(written)


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
