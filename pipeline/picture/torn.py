"""The only module that tells a JPEG whose pixels end before its end mark: decoders make up the rest in silence."""

import hashlib
from typing import Any

from PIL import Image, ImageChops

JPEG_END = b"\xff\xd9"
#: Put behind the pixels of a JPEG: of a whole one nothing of them is read; of one that was cut, some pixels are. All
#: ones, and a mixture: one of both differs from what decoders make up. The restart marks are those it may lack.
_FILLERS = tuple(
    b"".join(filler + bytes([0xFF, mark]) for mark in range(0xD0, 0xD8)) + filler
    for filler in (b"\xff\0" * 16, hashlib.sha512().digest().replace(b"\xff", b""))
)
#: How many pixels are compared at a time; a copy of them is made, unless that is all.
_STRIP_PIXELS = 4_000_000


def has_all_pixels(image: Image.Image, data: bytes, end: int, packing: Any) -> bool:
    """Whether a JPEG that is packed with a Huffman code has all its pixels. Decodes it twice more.

    Args:
        image: The decoded picture.
        data: The file's bytes.
        end: How many of them are the picture.
        packing: How the decoder was told that pixels are packed; with it the file's head need not be read again.
    """
    last = end - len(JPEG_END)
    for filler in _FILLERS:
        filled = Image.frombytes(image.mode, image.size, data[:last] + filler + data[last:], "jpeg", packing)
        if not _same_pixels(filled, image):
            return False
    return True


def _same_pixels(one: Image.Image, other: Image.Image) -> bool:
    rows = max(1, _STRIP_PIXELS // one.width)
    if rows >= one.height:
        return ImageChops.difference(one, other).getbbox() is None
    strips = ((0, top, one.width, min(top + rows, one.height)) for top in range(0, one.height, rows))
    return all(ImageChops.difference(one.crop(strip), other.crop(strip)).getbbox() is None for strip in strips)
