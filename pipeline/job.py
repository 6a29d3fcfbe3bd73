"""What one picture is: the request, its identity, and where the picture goes. Shared by every stage."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import PurePath
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pipeline.ratio import Ratio

ImageFormat = Literal["jpeg", "png"]

#: The smaller or the larger of the pictures' own heights, or so many pixels.
StitchHeight = Literal["min", "max"] | int

# Made once: a million rows have a million keys.
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stitch:
    """How several input images are made one.

    Attributes:
        direction: Side by side, left to right, or one below the other.
        height: What they have in common: the height side by side, the width one below the other; in pixels if a number.
        gap: Pixels between them.
    """

    direction: Literal["horizontal", "vertical"] = "horizontal"
    height: StitchHeight = "min"
    gap: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class InputImage:
    """An input image as it is sent.

    Attributes:
        data: The file's bytes.
        media: What they are, such as ``image/png``.
    """

    data: bytes
    media: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureRequest:
    """What is asked of the provider for one picture: everything that decides what is drawn, and nothing else.

    Attributes:
        model: The catalog's model id.
        prompt: The text, ends stripped; never empty.
        ratio: The shape asked for; None where the output follows an input image.
        seed: Given by the manifest, or None for the provider's own choice.
        output_format: Always sent, because vendors' defaults differ.
        safety_tolerance: 0 (strictest) to 6, or None where the model does not take it.
        prompt_upsampling: Whether the provider may rewrite the prompt, or None where the model does not take it.
        inputs: SHA-256 digests (hex) of input images, in order; empty for a generation.
        stitch: How the inputs are made one; None where each is sent by itself.
        background: What shows through transparent inputs and in gaps, as ``#rrggbb``; None for a generation.
    """

    model: str
    prompt: str
    ratio: Ratio | None
    seed: int | None = None
    output_format: ImageFormat = "jpeg"
    safety_tolerance: int | None = None
    prompt_upsampling: bool | None = None
    inputs: tuple[str, ...] = ()
    stitch: Stitch | None = None
    background: str | None = None

    def identity(self) -> dict[str, Any]:
        """The request as plain JSON values, in the one form that keys and records are made of."""
        asked: dict[str, Any] = {
            "model": self.model,
            "prompt": self.prompt,
            "ratio": self.ratio.reduced if self.ratio else None,
            "seed": self.seed,
            "output_format": self.output_format,
            "safety_tolerance": self.safety_tolerance,
            "prompt_upsampling": self.prompt_upsampling,
            "inputs": list(self.inputs),
        }
        if self.inputs:  # a generation's key is what it was before there were edits
            asked["stitch"] = None if self.stitch is None else asdict(self.stitch)
            asked["background"] = self.background
        return asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One picture wanted by one place of a manifest.

    Attributes:
        index: Its place among all jobs of the manifest, from 1.
        key: The identity that is never bought twice (see ``job_key``), 64 hex digits.
        request: What is asked.
        repeat: Which of several equal pictures this is, from 1.
        path: Where the picture goes: relative to the output folder, with ``/``, without a suffix (the bytes decide it).
        source: Where it was written, ``file:line``, for messages.
        found_at: Where the input images were found, in order: absolute paths or URLs. The key holds their digests.
        placement: The ledger's number for the place, where that is known before; else it is found.
        follows: The input's shape, which a picture that asks for none follows; None where it is beyond what is drawn.
    """

    index: int
    key: str
    request: PictureRequest
    repeat: int
    path: str
    source: str
    found_at: tuple[str, ...] = ()
    follows: Ratio | None = None
    placement: int | None = None

    @property
    def shape(self) -> Ratio | None:
        """What the picture's shape is held against: the ratio asked for, or else the input's."""
        return self.request.ratio or self.follows

    def at(self, placement: int) -> Self:
        """The same, at a place that the ledger has a number for."""
        return replace(self, placement=placement)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnfitRow:
    """A row of a rows file that does not make a job: a failed job with a reason, while the others go on.

    Attributes:
        edits: Whether it would be an edit: what is wrong may be its input images.
    """

    index: int
    key: str
    source: str
    message: str
    edits: bool = False


def job_key(request: PictureRequest, *, repeat: int, edition: str, simulated: bool) -> str:
    """The SHA-256 (hex) of what would be asked, the repeat number and the edition.

    With a seed the repeat number is left out: the same seed and parameters give the same picture, so asking again
    would pay for it twice. A simulated picture never stands in for a real one, so the key tells them apart.
    """
    asked = request.identity() | {"repeat": repeat if request.seed is None else 1, "edition": edition}
    if simulated:
        asked["simulated"] = True
    return digest_of(asked)


def digest_of(value: Any) -> str:
    """The SHA-256 (hex) of a JSON value in canonical form: sorted keys, no spaces, UTF-8."""
    return hashlib.sha256(_CANONICAL.encode(value).encode("utf-8", "surrogatepass")).hexdigest()


#: A prepared input by its file's name, and how it is called on its way in.
PREPARED = re.compile(r"(?P<place>.+)\.input-[0-9a-f]{8}\.png|\.[0-9a-f]{16}\.input\.part", re.DOTALL)


def prepared_name(path: str, asked: Mapping[str, Any], number: int) -> str:
    """Where an input is kept as it was sent, beside its result.

    Args:
        path: The result's, without a suffix.
        asked: The request, as ``identity`` has it.
        number: Which of its inputs, from 0.
    """
    told = digest_of([asked["inputs"], asked["stitch"], asked["background"], number])
    return f"{path}.input-{told[:8]}.png"


def is_url(source: str) -> bool:
    """Whether an input is to be fetched, rather than read from a disk."""
    return source.lower().startswith(("http://", "https://"))


def named(source: str) -> str:
    """What an input is called in messages: a URL without its query, which may be a signature, or a file's name."""
    if not is_url(source):
        return PurePath(source).name
    try:
        parts = urlsplit(source)
    except ValueError:
        return "the URL"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"[:300]
