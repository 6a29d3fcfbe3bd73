"""The only module that knows how several pictures become one. Pure: the same pictures give the same pixels."""

import math
from collections.abc import Sequence
from io import BytesIO

from PIL import Image

from pipeline.inputs.faults import InputError
from pipeline.job import Stitch

#: Three bytes each, so that a PNG of any content stays within the 20 MB that are taken. The models draw one megapixel.
MAX_CANVAS_PIXELS = 6_000_000
#: zlib's level: fixed, since the default is another library's business.
_COMPRESSION = 6

Size = tuple[int, int]


def parts_of(sizes: Sequence[Size], stitch: Stitch) -> list[Size]:
    """How large each picture is drawn: the common height, or width, as asked, reduced where the whole is too large.

    Raises:
        InputError: They are too unlike to be put side by side.
    """
    turned = [_turned(size, stitch) for size in sizes]
    across = [height for _, height in turned]
    common = {"min": min(across), "max": max(across)}.get(str(stitch.height)) or int(stitch.height)
    drawn = _scaled(turned, common)
    while (length := _length(drawn, stitch)) * common > MAX_CANVAS_PIXELS:
        smaller = min(common - 1, int(common * math.sqrt(MAX_CANVAS_PIXELS / (length * common))))
        if smaller < 1:
            raise InputError("input_unfit", "the pictures are too unlike in shape to be stitched")
        common = smaller
        drawn = _scaled(turned, common)
    return [_turned(size, stitch) for size in drawn]


def canvas_of(parts: Sequence[Size], stitch: Stitch) -> Size:
    """The size of the whole."""
    turned = [_turned(size, stitch) for size in parts]
    return _turned((_length(turned, stitch), turned[0][1]), stitch)


def stitched(images: Sequence[Image.Image], stitch: Stitch, background: str) -> Image.Image:
    """Put upright pictures beside each other, in order; Lanczos where their sizes differ.

    Raises:
        InputError: As ``parts_of``.
    """
    parts = parts_of([image.size for image in images], stitch)
    canvas = Image.new("RGB", canvas_of(parts, stitch), background)
    at = 0
    for image, size in zip(images, parts, strict=True):
        drawn = image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)
        canvas.paste(drawn, (at, 0) if stitch.direction == "horizontal" else (0, at))
        at += (size[0] if stitch.direction == "horizontal" else size[1]) + stitch.gap
    return canvas


def reduced(image: Image.Image) -> Image.Image:
    """One picture, no larger than a PNG of it may be."""
    width, height = reduced_size(image.size)
    return image if image.size == (width, height) else image.resize((width, height), Image.Resampling.LANCZOS)


def reduced_size(size: Size) -> Size:
    """The size of ``reduced``."""
    width, height = size
    if width * height <= MAX_CANVAS_PIXELS:
        return size
    factor = math.sqrt(MAX_CANVAS_PIXELS / (width * height))
    return max(1, int(width * factor)), max(1, int(height * factor))


def encoded(image: Image.Image) -> bytes:
    """A PNG with nothing in it but the pixels: no time, no profile. Its pixels are fixed; zlib's version packs them."""
    buffer = BytesIO()
    Image.frombytes(image.mode, image.size, image.tobytes()).save(buffer, "PNG", compress_level=_COMPRESSION)
    return buffer.getvalue()


def _turned(size: Size, stitch: Stitch) -> Size:
    return size if stitch.direction == "horizontal" else (size[1], size[0])


def _scaled(sizes: Sequence[Size], common: int) -> list[Size]:
    # Whole numbers, rounded half up: no machine's floating point has a say.
    return [(max(1, (2 * width * common + height) // (2 * height)), common) for width, height in sizes]


def _length(sizes: Sequence[Size], stitch: Stitch) -> int:
    return sum(width for width, _ in sizes) + stitch.gap * (len(sizes) - 1)
