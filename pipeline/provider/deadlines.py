"""The only module that knows when a picture's URL dies: the window, the answer's word, the signed URL's own."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlsplit

_COMPACT = "%Y%m%dT%H%M%SZ"


def deadline_of(url: str, *, answered_at: float, created: float | None, window_s: float) -> float:
    """When the URL dies, in seconds since 1970: the earliest of what is known.

    That is the window counted from the answer, the window counted from ``created``, and what a signed URL itself says.
    A word that puts the end before the answer is left out: a URL is not handed over dead, so somebody's clock is wrong
    or the word nonsense, and trying costs nothing while giving up would lose a picture that is paid for. The same rule
    leaves out a ``created`` that is days old; one in the future can only be later than the window.

    Args:
        url: Absolute.
        answered_at: When the answer came, in seconds since 1970.
        created: The answer's own ``created``, or None.
        window_s: How long this provider's URLs live.
    """
    words = [answered_at + window_s, *_signed_until(url)]
    if created is not None:
        words.append(created + window_s)
    return min(word for word in words if word > answered_at)


def lives_until(url: str) -> float | None:
    """When a signed URL itself says that it dies, in seconds since 1970; None where it does not say."""
    return min(_signed_until(url), default=None)


def _signed_until(url: str) -> Iterator[float]:
    if "?" not in url:
        return
    query = {name.lower(): value for name, value in reversed(parse_qsl(urlsplit(url).query))}
    for moment in (
        _iso(query.get("se", "")),
        _issued(query, "x-amz"),
        _issued(query, "x-goog"),
        _whole(query.get("expires", "")),
    ):
        if moment is not None:
            yield moment


def _iso(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _issued(query: Mapping[str, str], vendor: str) -> float | None:
    lifetime_s = _whole(query.get(f"{vendor}-expires", ""))
    try:
        issued = datetime.strptime(query.get(f"{vendor}-date", ""), _COMPACT).replace(tzinfo=UTC)
    except ValueError:
        return None
    return None if lifetime_s is None else issued.timestamp() + lifetime_s


def _whole(text: str) -> float | None:
    return float(text) if re.fullmatch(r"[0-9]{1,15}", text) else None
