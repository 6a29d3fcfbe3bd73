"""The only module that decides what bytes will do as an input image, and makes pixels of them."""

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import IO, Any, Literal

from PIL import ExifTags, Image, ImageChops, ImageColor, ImageOps

from pipeline.inputs.faults import InputError
from pipeline.picture import Outline, TooManyPartsError, decodes_whole, has_all_pixels, outline

#: What the provider takes (wire facts); the smaller reading of "20 MB".
MAX_BYTES = 20_000_000
MAX_PIXELS = 20_000_000

Media = Literal["image/jpeg", "image/png", "image/webp"]
_MAGIC: tuple[tuple[bytes, Media], ...] = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"RIFF", "image/webp"),
)
_HEAD_BYTES = 16
#: Where a file's own end is looked for: cameras put things of their own behind it.
_TAIL_BYTES = 65_536
_ENDS: dict[Media, bytes] = {"image/jpeg": b"\xff\xd9", "image/png": b"IEND"}
#: What mends a file that is not whole.
_ANEW = "save or download it anew"
#: EXIF orientations that turn a picture by a quarter.
_LYING = frozenset({5, 6, 7, 8})
_PLAIN_MODES = frozenset({"RGB", "L", "P", "1"})

# Pillow promises no closed set of what a damaged file raises.
_FAULTS = (
    Warning,
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
    Image.DecompressionBombError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What an input image's head says.

    Attributes:
        media: What its bytes are, whatever its name says.
        width: In pixels, upright.
        height: In pixels, upright.
        plain: Whether it may be sent as it is: upright, opaque, and of eight bits or fewer, not of four inks.
    """

    media: Media
    width: int
    height: int
    plain: bool


def read_colour(text: str) -> str:
    """Take a colour by name or as ``#rrggbb``; gives ``#rrggbb``.

    Raises:
        ValueError: It is none, or a transparent one.
    """
    value = ImageColor.getrgb(text)
    if len(value) != 3:
        raise ValueError("a background is opaque")
    return "#{:02x}{:02x}{:02x}".format(*value)


def sniff(head: bytes) -> Media:
    """What a file is, by its first 16 bytes.

    Raises:
        InputError: None of the three.
    """
    for magic, media in _MAGIC:
        if head.startswith(magic) and (media != "image/webp" or head[8:12] == b"WEBP"):
            return media
    if not head:
        raise InputError("input_unfit", "is empty")
    if head.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml", b"<svg")):
        raise InputError("input_unfit", "is a page, not a PNG, JPEG or WebP picture")
    raise InputError("input_unfit", "is not a PNG, JPEG or WebP picture")


def look_at(file: IO[bytes], size_bytes: int) -> Look:
    """Read a file's head and look for its end; a fraction of a millisecond. Only ``upright`` reads all pixels.

    Of a progressive JPEG all bytes are read, to see whether all its passes are there.

    Raises:
        InputError: It is empty, too large, cut off, animated, or no picture.
    """
    if size_bytes > MAX_BYTES:
        raise InputError("input_unfit", f"has {size_bytes:,} bytes; at most {MAX_BYTES:,} are taken")
    media = sniff(file.read(_HEAD_BYTES))
    file.seek(max(0, size_bytes - _TAIL_BYTES))
    tail = file.read(_TAIL_BYTES)
    file.seek(4)
    if _cut(tail, media, size_bytes, int.from_bytes(file.read(4), "little")):
        raise InputError("input_unfit", f"is cut off: its end is missing; {_ANEW}")
    file.seek(0)
    try:
        with _opened(file, media) as image:
            look = _look(image, media)
            passes = "progressive" in image.info
    except _FAULTS as exc:
        raise _undecodable(exc) from exc
    if passes:
        file.seek(0)
        _outlined(file.read(MAX_BYTES))
    return look


def upright(data: bytes, background: str, *, whole: Callable[[bytes], bool] = decodes_whole) -> Image.Image:
    """Decode all of a picture: turned as its EXIF says, flattened on the background, red, green and blue.

    Args:
        whole: A quick decode of a JPEG: True where it is surely whole. Where it is not, Pillow decides.

    Raises:
        InputError: It is not whole, or not a picture.
    """
    media = sniff(data[:_HEAD_BYTES])
    try:
        if media == "image/png":  # which has sums to check, and a decode does not
            with _opened(BytesIO(data), media) as image:
                _require_size(image)
                image.verify()
        with _opened(BytesIO(data), media) as image:
            _look(image, media)
            packing = image.tile[0].args if media == "image/jpeg" else None  # type: ignore[attr-defined]  # gone once it is read
            image.load()
            if media == "image/jpeg":
                _require_all_pixels(image, data, packing, whole)
            return _flat(ImageOps.exif_transpose(image), background)
    except _FAULTS as exc:
        raise _undecodable(exc) from exc


def _require_all_pixels(image: Image.Image, data: bytes, packing: Any, whole: Callable[[bytes], bool]) -> None:
    """Refuse a JPEG of which the decoder made a part up; what stands behind its end is its camera's business."""
    form = _outlined(data)
    end = form.end or 0
    if not form.huffman or (not form.progressive and whole(data[:end])):
        return
    if not has_all_pixels(image, data, end, packing):
        raise InputError("input_unfit", f"is torn: its pixels end before its end mark; {_ANEW}")


def _outlined(data: bytes) -> Outline:
    """Walk a JPEG up to its end, and see that all its passes are there."""
    try:
        form = outline(data, "jpeg")
    except TooManyPartsError as exc:
        raise InputError("input_unfit", f"is in {exc}") from exc
    if form.end is None:
        raise InputError("input_unfit", f"is cut off: its end is missing; {_ANEW}")
    if not form.complete:
        raise InputError("input_unfit", f"is torn: it lacks passes before its end mark; {_ANEW}")
    return form


def _opened(file: IO[bytes], media: Media) -> Image.Image:
    return Image.open(file, formats=[media.rpartition("/")[2].upper()])


def _look(image: Image.Image, media: Media) -> Look:
    _require_size(image)
    width, height = image.size
    # A JPEG's further pictures are a camera's previews, not an animation.
    frames = 1 if media == "image/jpeg" else int(getattr(image, "n_frames", 1))
    if frames > 1:
        raise InputError("input_unfit", f"is animated: {frames} pictures in one file")
    orientation = _orientation(image, media)
    if orientation in _LYING:
        width, height = height, width
    plain = orientation in {0, 1} and image.mode in _PLAIN_MODES and "transparency" not in image.info
    return Look(media=media, width=width, height=height, plain=plain)


def _require_size(image: Image.Image) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise InputError("input_unfit", f"has {width}x{height} pixels; at most {MAX_PIXELS:,} are taken")


def _orientation(image: Image.Image, media: Media) -> int:
    if media != "image/png":
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    exif = Image.Exif()  # getexif() would decode a whole PNG, in case it stands at its end
    exif.load(image.info.get("exif", b""))
    return int(exif.get(ExifTags.Base.Orientation, 1))


def _flat(image: Image.Image, background: str) -> Image.Image:
    if image.mode in {"I", "I;16", "I;16B", "I;16L"}:
        image = _eight_bits(image)
    if image.has_transparency_data:
        over = image.convert("RGBA")
        under = Image.new("RGBA", image.size, background)
        under.alpha_composite(over)
        image = under
    return image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Sixteen bits of grey, which convert() would clip, and whose transparent grey it would forget."""
    grey = image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    clear = image.info.get("transparency")
    if not isinstance(clear, int) or image.mode != "I;16":
        return grey
    raw = image.tobytes()  # the lower byte of each pixel first
    lower, upper = (Image.frombytes("L", image.size, raw[at::2]) for at in (0, 1))
    apart = ImageChops.lighter(_unlike(lower, clear & 0xFF), _unlike(upper, clear >> 8))
    return Image.merge("LA", (grey, apart))


def _unlike(image: Image.Image, value: int) -> Image.Image:
    """255 where it has another value, 0 where it has this one."""
    return image.point([0 if each == value else 255 for each in range(256)])


def _cut(tail: bytes, media: Media, size_bytes: int, riff_bytes: int) -> bool:
    """Whether a file lacks its end; a WebP says at its fifth byte how long the rest is."""
    return _ENDS[media] not in tail if media in _ENDS else size_bytes < 8 + riff_bytes


def _undecodable(exc: BaseException) -> InputError:
    told = " ".join(str(exc).split())[:200] or type(exc).__name__
    return InputError("input_unfit", f"cannot be decoded: {told}")
