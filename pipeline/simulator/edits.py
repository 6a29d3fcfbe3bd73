"""What edits bring with them: input images, in the JSON or as a form, taken as the provider takes them."""

import base64
import binascii
import io
import json
import re
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from aiohttp import BodyPartReader, web
from PIL import Image, UnidentifiedImageError

from pipeline.simulator.refusals import RefusalError, invalid

#: Each image, as the document says.
MAX_IMAGE_BYTES = 20_000_000
#: What the vendor allows for edits.
MAX_TOLERANCE = 2
_SEVERAL = 8
_FIELDS = 32
_MAX_FIELD_BYTES = 1 << 20
_PICTURE_PX = 256
_DATA_URL = re.compile(r"data:image/(png|jpeg|jpg|webp);base64,")
_SCHEME_CHARACTERS = 12
_HERE = frozenset({"127.0.0.1", "localhost", "::1"})
_FETCH_S = 10.0
_NUMBERS = frozenset({"seed", "safety_tolerance", "n"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sitter:
    """An input image, as far as the picture made of it needs it.

    Attributes:
        width: In pixels.
        height: In pixels.
        small: A small copy, as JPEG.
    """

    width: int
    height: int
    small: bytes


def inputs_in(asked: dict[str, Any]) -> list[str]:
    """The input images of a JSON body, in order, as data or other URLs.

    Raises:
        RefusalError: One is no text, or the model takes one.
    """
    names = ["input_image", *(f"input_image_{number}" for number in range(2, _SEVERAL + 1))]
    given = [(name, asked[name]) for name in names if asked.get(name) is not None]
    for name, value in given:
        if not isinstance(value, str):
            raise invalid(f"{name} must be a URL or a data URL", name)
        if name != "input_image" and "kontext" in str(asked.get("model")):
            raise invalid(f"{name} is not taken by this model", name)
    return [value for _, value in given]


async def read_form(request: web.Request) -> tuple[dict[str, Any], bytes]:
    """The fields of a form to ``/images/edits``, and its image.

    Raises:
        RefusalError: There is no field named exactly ``image``.
    """
    if request.content_type != "multipart/form-data":
        raise RefusalError(415, "The Content-Type must be multipart/form-data")
    fields: dict[str, Any] = {}
    image: bytes | None = None
    reader = await request.multipart()
    while (part := await reader.next()) is not None:
        name = part.name if isinstance(part, BodyPartReader) else None
        if not isinstance(part, BodyPartReader) or name is None or len(fields) >= _FIELDS:
            raise RefusalError(400, "The form could not be read")
        if name == "image":
            image = bytes(await part.read())
        elif part.filename is None:  # another file is not looked at, as the provider does not look at image[]
            fields[name] = _value(name, bytes(await part.read())[:_MAX_FIELD_BYTES])
    if image is None:
        raise invalid("image is required", "image")
    return fields, image


def fetch_input(text: str) -> bytes:
    """The bytes of an input: out of a data URL, or fetched from this machine. Blocks.

    Raises:
        RefusalError: Neither, or they cannot be had.
    """
    match = _DATA_URL.match(text)
    if match is not None or "://" not in text[:_SCHEME_CHARACTERS]:  # the vendor's own API takes plain base64
        try:
            return base64.b64decode(text[match.end() if match else 0 :], validate=True)
        except binascii.Error:
            raise invalid("input_image is not valid base64", "input_image") from None
    if text.startswith("http://") and urlsplit(text).hostname in _HERE:
        try:
            with urllib.request.urlopen(text, timeout=_FETCH_S) as answer:  # noqa: S310 - http on this machine
                return bytes(answer.read(MAX_IMAGE_BYTES + 1))
        except (urllib.error.URLError, OSError, ValueError):
            raise invalid("input_image could not be fetched", "input_image") from None
    raise invalid("input_image must be a data URL; this simulator fetches from its own machine only", "input_image")


def sit(data: bytes) -> Sitter:
    """Look at an input image. Blocks: it is decoded.

    Raises:
        RefusalError: It is too large, or no picture.
    """
    if len(data) > MAX_IMAGE_BYTES:
        raise RefusalError(413, "The image is larger than 20 MB", param="image", code="image_too_large")
    try:
        with Image.open(io.BytesIO(data), formats=["PNG", "JPEG", "WEBP"]) as image:
            width, height = image.size
            image.thumbnail((_PICTURE_PX, _PICTURE_PX))
            small = io.BytesIO()
            image.convert("RGB").save(small, "JPEG", quality=85)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise invalid("The image could not be decoded: send PNG, JPEG or WebP", "image") from None
    return Sitter(width=width, height=height, small=small.getvalue())


def _value(name: str, raw: bytes) -> Any:
    """A form's text as the JSON would have it."""
    try:
        text = raw.decode()
        return json.loads(text) if name in _NUMBERS or text in {"true", "false"} else text
    except ValueError:
        raise invalid(f"{name} cannot be read", name) from None
