"""What goes into a delivery and what comes out of it: the words this package shares with its callers."""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol
from urllib.parse import urlsplit

from pipeline.clock import Clock
from pipeline.deliver.caption import Caption
from pipeline.picture import PictureFormat
from pipeline.ratio import Ratio

#: The URL of a picture that came inside the answer: its bytes wait in the ``.part`` that ``keep_inline`` wrote.
INLINE = "inline:"

Verdict = Literal["ok", "wrong_shape"]


def host_of(url: str) -> str:
    """The host and port of a URL, to tell hosts apart; "" for what is none, which the transport refuses later."""
    try:
        return urlsplit(url).netloc
    except ValueError:
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """A bought picture whose bytes are still to come.

    Attributes:
        job_key: The job's identity, 64 hex digits.
        attempt: Which attempt of that job was answered, from 1.
        url: Where the bytes are, or INLINE.
        bought_at: When the answer came, in seconds since 1970.
        deadline: When the URL dies, in seconds since 1970; None where the bytes are already here.
        path: The wanted place: relative to the output folder, with ``/``, without a suffix (the bytes decide it).
        ratio: The shape asked for; None where any will do.
        caption: What is to be written into the file beside the pixels; None for nothing.
        answered: When the answer came on this process's own clock, which nobody sets; None where an earlier process
            bought it, and only the wall clock can tell.
    """

    job_key: str
    attempt: int
    url: str
    bought_at: float
    deadline: float | None
    path: str
    ratio: Ratio | None
    answered: float | None = None
    caption: Caption | None = None

    @property
    def dies_at(self) -> float:
        """When the URL dies, to be compared with others' of the same origin; infinity where the bytes are here."""
        if self.deadline is None:
            return math.inf
        return self.deadline if self.answered is None else self.answered + self.deadline - self.bought_at

    def age_s(self, clock: Clock) -> float:
        """Seconds since the answer came."""
        return clock.wall() - self.bought_at if self.answered is None else clock.monotonic() - self.answered


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPicture:
    """A proven picture, durable under its final name.

    Attributes:
        path: Relative to the output folder, with ``/``, with the suffix of its bytes.
        sha256: Of the file's bytes, 64 hex digits.
        size_bytes: The file's length.
        width: In pixels.
        height: In pixels.
        format: What the bytes are, whatever was asked for.
        verdict: Whether the shape is the one asked for.
        stored_at: When the name was made durable, in seconds since 1970.
        url_age_s: Seconds from the answer to ``stored_at``.
    """

    path: str
    sha256: str
    size_bytes: int
    width: int
    height: int
    format: PictureFormat
    verdict: Verdict
    stored_at: float
    url_age_s: float


class Outcome(StrEnum):
    """How a delivery ended."""

    STORED = "stored"
    #: Paid, and the window closed before the bytes came.
    LOST = "lost"
    #: Paid, and the bytes will never do.
    SPOILED = "spoiled"
    #: Still bought: trouble on this machine; the URL stays recorded, so a rerun can rescue the picture.
    LEFT = "left"


class Record(Protocol):
    """Where outcomes are written down; each call returns only when its outcome is durable."""

    async def stored(self, purchase: Purchase, picture: StoredPicture) -> None:
        """The picture is proven and durable on disk."""
        ...

    async def lost(self, purchase: Purchase, kind: str, message: str) -> None:
        """The window closed before the bytes came."""
        ...

    async def spoiled(self, purchase: Purchase, kind: str, message: str) -> None:
        """The bytes came and will never do."""
        ...


class EventKind(StrEnum):
    """What can happen on the way, for the progress display."""

    STARTED = "started"
    RETRY = "retry"
    HALF_WINDOW = "half_window"
    STORED = "stored"
    LOST = "lost"
    SPOILED = "spoiled"
    LEFT = "left"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryEvent:
    """One thing that happened to one purchase.

    Attributes:
        kind: What happened.
        purchase: To which.
        age_s: Seconds since the answer came.
        message: In words, where there is more to say.
    """

    kind: EventKind
    purchase: Purchase
    age_s: float
    message: str = ""
