"""The only module that writes into a picture's file: what it is, beside its pixels, which stay bit for bit.

Nothing is encoded anew: a chunk is put into a PNG, a segment into a JPEG, and all other bytes stay as they came.
"""

import json
import struct
import zlib
from dataclasses import dataclass
from typing import Literal

from pipeline.deliver.limits import CAP_BYTES

#: A JPEG's segment holds 65,533 bytes; a longer prompt is cut.
MAX_TEXT_BYTES = 60_000
#: The keyword of a PNG's text, and what a JPEG's comment begins with.
KEYWORD = "fluxbatch"

_PNG_HEAD = 8 + 25  # the signature and IHDR, which is always first and as long
_APP0, _APP1, _COMMENT = 0xE0, 0xE1, 0xFE
_EXIF = b"Exif\0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caption:
    """What a picture's file says of itself."""

    prompt: str
    model: str
    seed: int | None
    key: str

    def text(self) -> bytes:
        """As JSON, in UTF-8, at most ``MAX_TEXT_BYTES`` long."""
        prompt = self.prompt
        while len(text := self._json(prompt)) > MAX_TEXT_BYTES:
            prompt = prompt[: len(prompt) * MAX_TEXT_BYTES // len(text) - 1] + "…"
        return text

    def _json(self, prompt: str) -> bytes:
        told = {"prompt": prompt, "model": self.model, "seed": self.seed, "key": self.key}
        return json.dumps(told, ensure_ascii=False).encode("utf-8", "replace")


def captioned(data: bytes, image_format: Literal["jpeg", "png", "webp"], caption: Caption) -> bytes:
    """A proven picture's bytes with its caption; the same bytes where they have it already, or can have none.

    Args:
        image_format: What the bytes are; WebP has no place for it.
    """
    match image_format:
        case "png":
            at, piece = _PNG_HEAD, _chunk(caption.text())
        case "jpeg":
            at, piece = _behind_heads(data), _segment(caption.text())
        case "webp":
            return data
    if data[at : at + len(piece)] == piece or len(data) + len(piece) > CAP_BYTES:
        return data
    return data[:at] + piece + data[at:]


def _chunk(text: bytes) -> bytes:
    """An ``iTXt`` chunk (the PNG specification, 11.3.3.4), not packed, of no language."""
    body = b"iTXt" + KEYWORD.encode() + b"\0\0\0\0\0" + text
    return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))


def _segment(text: bytes) -> bytes:
    """A comment (ITU T.81, B.2.4.5)."""
    body = KEYWORD.encode() + b" " + text
    return struct.pack(">BBH", 0xFF, _COMMENT, len(body) + 2) + body


def _behind_heads(data: bytes) -> int:
    """Behind the segments that a JPEG must begin with: JFIF's and Exif's. Others may count from where they stand."""
    at = 2
    while data[at] == 0xFF and (data[at + 1] == _APP0 or (data[at + 1] == _APP1 and data[at + 4 :].startswith(_EXIF))):
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return at
