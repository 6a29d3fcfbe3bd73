"""The only module that decides whether bytes are a whole picture. Pure: bytes in, proof or refusal out."""

import hashlib
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

from PIL import Image

from pipeline.deliver.purchase import Verdict
from pipeline.picture import (
    JPEG_END,
    Outline,
    PictureFormat,
    TooManyPartsError,
    decodes_whole,
    has_all_pixels,
    outline,
)
from pipeline.ratio import Ratio

# Pillow gives the memory of a picture's pixels back at once and asks for it anew, which takes a third of the time of a
# decode; four blocks, of 16 MiB at most, are kept instead.
Image.core.set_blocks_max(4)  # type: ignore[attr-defined]  # documented, but not typed

#: Pillow's own bomb check starts at 89 megapixels; the models draw one, upscalers up to 16.
MAX_PIXELS = 50_000_000
#: A frame of fewer takes about as long.
_LEAST_PIXELS = 1024

_MAGIC: tuple[tuple[bytes, PictureFormat], ...] = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"RIFF", "webp"),
)
#: How a JPEG says that it is of several pictures (CIPA DC-007); the others follow the first one's end.
_SEVERAL = b"MPF\0"
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
        kind: ``empty``, ``truncated``, ``trailing``, ``html``, ``not_an_image``, ``torn``,
            ``too_many_pixels``, ``too_many_parts`` or ``undecodable``; the download adds ``encoded`` and ``too_large``.
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


def prove(data: bytes, ratio: Ratio | None, *, whole: Callable[[bytes], bool] = decodes_whole) -> Proof:
    """Prove that bytes are one whole, decodable JPEG, PNG or WebP.

    Magic bytes, its own end and nothing after it, Pillow's ``verify`` and a full decode: ``verify`` alone misses every
    truncated JPEG, and a decode one whose end mark was put back. Takes some milliseconds a megapixel; call it in a
    thread.

    Args:
        data: The file's bytes.
        ratio: The shape asked for, or None; another shape is a verdict, not a refusal.
        whole: A quick decode of a JPEG: True where it is surely whole. Where it is not, Pillow decides.

    Raises:
        UnprovenError: They are not.
    """
    image_format = _sniff(data)
    form = _outline(data, image_format)
    width, height = _decode(data, image_format, form, whole)
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


def _outline(data: bytes, image_format: PictureFormat) -> Outline:
    try:
        form = outline(data, image_format)
    except TooManyPartsError as exc:
        raise UnprovenError("too_many_parts", str(exc)) from exc
    if form.end is None:
        raise UnprovenError("truncated", f"{len(data)} bytes of {image_format} without their end")
    # Some encoders pad with NULs.
    rest = data[form.end :].rstrip(b"\0")
    if rest and not (form.huffman and rest.endswith(JPEG_END) and _SEVERAL in data[: form.end]):
        raise UnprovenError("trailing", f"{len(rest)} bytes after the end of a {image_format}: {describe(rest)}")
    if not form.complete:
        raise UnprovenError("torn", f"{len(data)} bytes of jpeg that lacks passes before its end mark")
    return form


def _decode(data: bytes, image_format: PictureFormat, form: Outline, whole: Callable[[bytes], bool]) -> tuple[int, int]:
    # warnings.catch_warnings is not used: it swaps the filters of the whole process, and several threads decode at
    # once. The bomb warning it would catch concerns pictures that are refused here by their size anyway.
    try:
        if image_format == "png":  # which has sums to check; the others have none
            with _opened(data, image_format) as image:
                _count_pixels(image, image_format)
                image.verify()  # leaves an image that cannot be read
        with _opened(data, image_format) as image:
            frames = _count_pixels(image, image_format)
            quick = form.huffman and not form.progressive
            if not (quick and whole(data[: form.end])):
                _draw(image, frames, data, form)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as exc:
        raise UnprovenError("too_many_pixels", str(exc)) from exc
    except _DECODER_FAULTS as exc:
        raise UnprovenError("undecodable", f"{str(exc) or type(exc).__name__}: {describe(data)}") from exc
    return image.size


def _draw(image: Image.Image, frames: int, data: bytes, form: Outline) -> None:
    """Decode every frame."""
    packing = image.tile[0].args if form.huffman else None  # type: ignore[attr-defined]  # gone once it is read
    for frame in range(frames):
        if frame:
            image.seek(frame)
        image.load()
    if form.huffman and not has_all_pixels(image, data, form.end or 0, packing):
        raise UnprovenError("torn", f"{len(data)} bytes of jpeg whose pixels end before their end mark")


def _opened(data: bytes, image_format: PictureFormat) -> Image.Image:
    return Image.open(BytesIO(data), formats=[image_format.upper()])


def _count_pixels(image: Image.Image, image_format: PictureFormat) -> int:
    """How many frames a picture has.

    Raises:
        UnprovenError: They have too many pixels.
    """
    # What a JPEG holds besides, such as a map of its brightness, is not the picture.
    frames: int = 1 if image_format == "jpeg" else getattr(image, "n_frames", 1)
    width, height = image.size
    if max(width * height, _LEAST_PIXELS) * frames > MAX_PIXELS:
        raise UnprovenError("too_many_pixels", f"{frames} x {width}x{height} is more than {MAX_PIXELS} pixels")
    return frames
