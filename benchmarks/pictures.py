"""The pictures that are served: a few real JPEGs of each size, the same ones in every process."""

import hashlib
import io
import random
from functools import cache
from typing import Literal

from PIL import Image

Size = Literal["small", "large"]

#: How many different ones there are; more would only cost memory.
VARIANTS = 8
#: Edge in pixels: about 4 KB, and about 200 KB, which is what a megapixel of a model's comes to.
_EDGES: dict[Size, int] = {"small": 128, "large": 1024}
_GRAIN = {"small": 8, "large": 11}


@cache
def picture(size: Size, number: int) -> bytes:
    """The bytes of the picture that order ``number`` is answered with: smooth noise, which packs as photographs do."""
    edge, grain = _EDGES[size], _EDGES[size] // _GRAIN[size]
    source = random.Random(f"{size} {number % VARIANTS}")
    noise = Image.frombytes("RGB", (grain, grain), source.randbytes(3 * grain * grain))
    encoded = io.BytesIO()
    noise.resize((edge, edge), Image.Resampling.BICUBIC).save(encoded, "JPEG", quality=85)
    return encoded.getvalue()


def variant(size: Size, number: int) -> bytes:
    """The same, made once for each variant."""
    return picture(size, number % VARIANTS)


def digest(size: Size, number: int) -> str:
    """The SHA-256 of that picture, hex."""
    return hashlib.sha256(variant(size, number)).hexdigest()


def prompt(number: int) -> str:
    """What order ``number`` asks for; the provider tells its number by it."""
    return f"a quiet harbour at dawn, picture {number}"
