"""The only module that walks a picture's file without decoding it: where the picture ends, and of how many parts."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from pipeline.picture.passes import Passes

PictureFormat = Literal["jpeg", "png", "webp"]

#: A file of 64 MiB in pieces of 1 KiB has as many. Millions of empty ones take half a minute and a gigabyte to read.
MAX_PARTS = 65_536
#: Encoders make ten or so. Each is a pass over all pixels: a file of 64 MiB has room for hours of them.
MAX_SCANS = 64

#: Neither a stuffed byte, nor padding, nor a restart mark.
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_START, _END, _SCAN, _TEMPORARY = 0xD8, 0xD9, 0xDA, 0x01
#: Frames packed with a Huffman code (ITU T.81, table B.1): sequential and progressive, the JPEGs that are met.
_PROGRESSIVE = 0xC2
_HUFFMAN = frozenset({0xC0, 0xC1, _PROGRESSIVE})
#: Every frame header: C4, C8 and CC mean other things. A second one in a file is odd, whatever it is.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


class TooManyPartsError(Exception):
    """The file is cut into so many parts that reading it would take minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """A picture's file in outline.

    Attributes:
        end: How many bytes the picture is, whatever follows them; None where its end is not there.
        huffman: Whether it is a JPEG that is packed with a Huffman code.
        progressive: Whether its pixels come in several passes, ever finer.
        complete: Whether those passes, before its end, are all; True where that cannot be judged.
    """

    end: int | None
    huffman: bool = False
    progressive: bool = False
    complete: bool = True


def outline(data: bytes, image_format: PictureFormat) -> Outline:
    """Walk a file whose first bytes are those of this format.

    Raises:
        TooManyPartsError: More than ``MAX_PARTS`` chunks or segments, or ``MAX_SCANS`` scans.
    """
    if image_format == "webp":
        end = 8 + int.from_bytes(data[4:8], "little")
        return Outline(end=end if 12 < end <= len(data) else None)
    return _walked(data, _segments(data) if image_format == "jpeg" else _chunks(data))


def _walked(data: bytes, parts: Iterable[tuple[int, int, int]]) -> Outline:
    scans, huffman, progressive, passes = 0, False, False, Passes()
    for number, (mark, begin, at) in enumerate(parts):
        scans += mark == _SCAN
        huffman |= mark in _HUFFMAN
        progressive |= mark == _PROGRESSIVE
        if mark in _FRAMES:
            passes.frame(data[begin + 2 : at])
        elif mark == _SCAN:
            passes.scan(data[begin + 2 : at])
        if number >= MAX_PARTS or scans > MAX_SCANS:
            raise TooManyPartsError(f"more than {MAX_PARTS} parts or {MAX_SCANS} scans")
        if mark == _END:
            complete = not progressive or passes.complete
            return Outline(end=at, huffman=huffman, progressive=progressive, complete=complete)
    return Outline(end=None)


def _chunks(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Each whole chunk of a PNG (its specification, 5.3): ``_END`` for the last one, else 0, and its place."""
    at = 8
    while (end := at + 12 + int.from_bytes(data[at : at + 4])) <= len(data):
        yield _END if data[at + 4 : at + 8] == b"IEND" else 0, at, end
        at = end


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Each mark of a JPEG (ITU T.81, B.1.1), and where its segment's body begins, with its length, and ends.

    The next mark is looked for, as decoders do: pixels, padding and stray bytes stand between.
    """
    at = 2
    while found := _MARKER.search(data, at):
        begin = at = found.end()
        mark = data[begin - 1]
        if mark not in {_START, _END, _TEMPORARY}:  # which stand alone; others say how long they are
            at += int.from_bytes(data[at : at + 2])
        yield mark, begin, at
