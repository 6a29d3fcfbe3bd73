"""The only module that knows when the rest of a body may be asked for, and whether what comes is that rest."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Self

from pipeline.transport import Download

_PARTIAL = 206
_STRONG_TAG = re.compile(r'"[\x21\x23-\x7e]*"')
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")
#: A file that changed in the second it was sent in may have changed after (RFC 9110 8.8.2.2).
_SETTLED = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The beginning of a body, on disk.

    Attributes:
        received: Its bytes.
        total: How many the whole body has.
        validator: What tells this body from any other that the URL may give: a strong ``ETag``, or ``Last-Modified``.
    """

    received: int
    total: int
    validator: str

    @classmethod
    def of(cls, download: Download, received: int) -> Self | None:
        """What can be built on after so many bytes of a whole answer; None where it is nothing."""
        validator = strong_validator(download.headers)
        if validator is None or download.length is None or not 0 < received < download.length:
            return None
        return cls(received=received, total=download.length, validator=validator)

    def grown(self, received: int) -> Self | None:
        """The same beginning, with more of it; None where it has come too far."""
        return replace(self, received=received) if received < self.total else None

    def ask(self) -> Mapping[str, str]:
        """The headers that ask for the rest if the body is still the same, and for all of it if not."""
        return {"Range": f"bytes={self.received}-", "If-Range": self.validator}

    def flaw(self, download: Download) -> str:
        """What is wrong with a 206 as the rest of this body; "" where nothing is."""
        said = download.headers.get("content-range", "")
        found = _CONTENT_RANGE.fullmatch(said.strip())
        if found is None or tuple(map(int, found.groups())) != (self.received, self.total - 1, self.total):
            return f"Content-Range {said[:60]!r} instead of bytes {self.received}-{self.total - 1}/{self.total}"
        if download.length not in {None, self.total - self.received}:
            return f"{download.length} bytes announced instead of {self.total - self.received}"
        tag = download.headers.get("etag", self.validator)
        if self.validator[0] == '"' and tag != self.validator:
            return f"ETag {tag[:60]!r} instead of the first one's"
        return ""


@dataclass(slots=True, kw_only=True)
class Body:
    """One picture's body over all its tries.

    Attributes:
        part: The file its bytes are in.
        noted: Called after each chunk with the bytes in hand and the whole length, None where nobody said.
        held: What the next try may build on.
        slow: How many tries were given up for being slow.
    """

    part: Path
    noted: Callable[[int, int | None], None]
    held: Held | None = None
    slow: int = 0


def is_partial(download: Download) -> bool:
    """Whether an answer claims to be the rest."""
    return download.status == _PARTIAL


def strong_validator(headers: Mapping[str, str]) -> str | None:
    """What ``If-Range`` may be given: a strong ``ETag``, else a ``Last-Modified`` that is not of the last second.

    A weak tag says that two bodies mean the same, not that they are the same bytes.
    """
    if headers.get("accept-ranges", "").strip().lower() == "none":
        return None
    tag = headers.get("etag", "").strip()
    if tag:
        return tag if _STRONG_TAG.fullmatch(tag) else None
    modified = headers.get("last-modified", "")
    try:
        settled = parsedate_to_datetime(headers.get("date", "")) - parsedate_to_datetime(modified) >= _SETTLED
    except (ValueError, TypeError):  # TypeError: only one of the two names a zone
        return None
    return modified if settled else None
