"""What a server says by which its picture can be asked for again, without its bytes (RFC 9110, 8.8 and 13.1)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Self

#: Longer ones exist, and cost more to keep than they save.
_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]{0,200}"')
#: A time of change says nothing of a second change within the same second, unless it lies so far back, in seconds.
_SETTLED_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Validators:
    """What was said of bytes that are kept; at least one of the two is not "".

    Attributes:
        etag: With its quotes.
        last_modified: As it was written.
    """

    etag: str = ""
    last_modified: str = ""

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Self | None:
        """Read an answer's headers, by lower-cased name; None where nothing can be asked by."""
        etag = headers.get("etag", "").strip()
        changed = headers.get("last-modified", "").strip()
        found = cls(
            etag=etag if _ETAG.fullmatch(etag) else "",
            last_modified=changed if _settled(changed, headers.get("date", "")) else "",
        )
        stored = "no-store" not in headers.get("cache-control", "").lower()
        return found if stored and (found.etag or found.last_modified) else None

    @property
    def conditions(self) -> dict[str, str]:
        """The request's headers; a server that knows ETags goes by those."""
        return {"If-None-Match": self.etag} if self.etag else {"If-Modified-Since": self.last_modified}

    def meant_by(self, headers: Mapping[str, str]) -> bool:
        """Whether a 304 with these headers speaks of the same bytes; it need not say."""
        etag = headers.get("etag", "").strip()
        return not etag or etag.removeprefix("W/") == self.etag.removeprefix("W/")


def _settled(changed: str, answered: str) -> bool:
    try:
        since = parsedate_to_datetime(answered) - parsedate_to_datetime(changed)
    except (ValueError, TypeError):
        return False
    return since.total_seconds() >= _SETTLED_S
