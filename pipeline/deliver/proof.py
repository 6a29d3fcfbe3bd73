"""The only module that decides whether bytes are a whole picture. Pure: bytes in, proof or refusal out."""

import hashlib
import struct
import zlib
from dataclasses import dataclass
from io import BytesIO

from PIL import Image

from pipeline.deliver.purchase import PictureFormat, Verdict
from pipeline.ratio import Ratio

#: Pillow's own bomb check starts at 89 megapixels; the models draw one, upscalers up to 16.
MAX_PIXELS = 50_000_000

_MAGIC: tuple[tuple[bytes, PictureFormat], ...] = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"RIFF", "webp"),
)
_JPEG_END = b"\xff\xd9"
_PNG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"

# Pillow promises no closed set: a damaged file can trip its decoders in any of these ways, and none of them may
# take a worker down. The bytes are in memory, so an OSError here speaks of the picture and never of the disk.
_DECODER_FAULTS = (
    Warning,  # a warning raised because the caller made warnings errors
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


class UnprovenError(Exception):
    """The bytes are not a whole picture.

    Attributes:
        kind: ``empty``, ``truncated``, ``html``, ``not_an_image``, ``too_many_pixels`` or ``undecodable``; the
            download adds ``encoded`` and ``too_large``.
        message: One line for the record, with the first bytes where they help.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What proven bytes are; the fields as in ``StoredPicture``."""

    format: PictureFormat
    width: int
    height: int
    sha256: str
    size_bytes: int
    verdict: Verdict


def prove(data: bytes, ratio: Ratio | None) -> Proof:
    """Prove that bytes are one whole, decodable JPEG, PNG or WebP.

    Magic bytes, end mark, Pillow's ``verify`` and a full decode: ``verify`` alone misses every truncated JPEG and a
    decode alone one in eighteen (reliability facts, 11). Takes tens of milliseconds a megapixel; call it in a thread.

    Args:
        data: The file's bytes.
        ratio: The shape asked for, or None; another shape is a verdict, not a refusal.

    Raises:
        UnprovenError: They are not.
    """
    image_format = _sniff(data)
    if not _ends_whole(data, image_format):
        raise UnprovenError("truncated", f"{len(data)} bytes of {image_format} without their end")
    width, height = _decode(data, image_format)
    return Proof(
        format=image_format,
        width=width,
        height=height,
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        verdict="ok" if ratio is None or ratio.fits(width, height) else "wrong_shape",
    )


def describe(data: bytes) -> str:
    """Say how long bytes are and how they begin, on one line, so that a spoiled picture can be understood later."""
    return f"{len(data)} bytes beginning {data[:48]!r}"


def _sniff(data: bytes) -> PictureFormat:
    if not data:
        raise UnprovenError("empty", "no bytes at all")
    for magic, image_format in _MAGIC:
        if data.startswith(magic) and (image_format != "webp" or data[8:12] == b"WEBP"[: max(0, len(data) - 8)]):
            return image_format
        if magic.startswith(data):
            raise UnprovenError("truncated", f"only {len(data)} bytes")
    if data[:512].lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        raise UnprovenError("html", f"a page instead of a picture: {describe(data)}")
    raise UnprovenError("not_an_image", f"not a JPEG, PNG or WebP: {describe(data)}")


def _ends_whole(data: bytes, image_format: PictureFormat) -> bool:
    if image_format == "webp":
        size_bytes = 8 + int.from_bytes(data[4:8], "little")
        return len(data) > 12 and len(data) >= size_bytes and not data[size_bytes:].strip(b"\0")
    # Some encoders pad with NULs after the end mark; neither mark ends in one.
    return data.rstrip(b"\0").endswith(_JPEG_END if image_format == "jpeg" else _PNG_END)


def _decode(data: bytes, image_format: PictureFormat) -> tuple[int, int]:
    # warnings.catch_warnings is not used: it swaps the filters of the whole process, and several threads decode at
    # once. The bomb warning it would catch concerns pictures that are refused here by their size anyway.
    formats = [image_format.upper()]
    try:
        with Image.open(BytesIO(data), formats=formats) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise UnprovenError("too_many_pixels", f"{width}x{height} is more than {MAX_PIXELS} pixels")
            image.verify()
        with Image.open(BytesIO(data), formats=formats) as image:  # verify() leaves an image that cannot be read
            image.load()
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as exc:
        raise UnprovenError("too_many_pixels", str(exc)) from exc
    except _DECODER_FAULTS as exc:
        raise UnprovenError("undecodable", f"{str(exc) or type(exc).__name__}: {describe(data)}") from exc
    return width, height
