"""The only module that reads text files line by line: streamed, bounded, and one bad line harms no other."""

import io
import re
from collections.abc import Callable, Iterator
from typing import BinaryIO

#: Longer lines are faults: a row is a prompt and some words.
MAX_LINE_BYTES = 1 << 20
#: How much of a file tells how its lines end.
_START_BYTES = 1 << 16
_BREAK_OR_QUOTE = re.compile(rb'"|\r\n?|\n')
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class LineError(ValueError):
    """A line that cannot be read; the next one may well be."""


class Lines(Iterator[str]):
    """The lines of an open file, with their ends. After a LineError, reading goes on with the next line.

    A line ends at a line feed; at a carriage return only in a file whose first line ends so. Elsewhere a stray one ends
    nothing: what was meant as one row must not become two pictures.

    Attributes:
        number: The number of the line read last, from 1; 0 before the first.
    """

    def __init__(self, file: BinaryIO) -> None:
        start = file.read(_START_BYTES)
        file.seek(0)
        old = _ends_at_returns(start)
        self._read: Callable[[int], bytes] = _ended_by_returns(file) if old else file.readline
        self._end = b"\r" if old else b"\n"
        self.number = 0

    def __next__(self) -> str:
        raw = self._read(MAX_LINE_BYTES + 1)
        if not raw:
            raise StopIteration
        self.number += 1
        if len(raw) > MAX_LINE_BYTES:
            while raw and not raw.endswith(self._end):
                raw = self._read(MAX_LINE_BYTES)
            raise LineError(f"the line is longer than {MAX_LINE_BYTES:,} bytes")
        if self.number == 1:
            raw = raw.removeprefix(_BYTE_ORDER_MARK)
        try:
            return raw.decode()
        except UnicodeDecodeError as exc:
            raise LineError(f"is not UTF-8 text, at byte {exc.start + 1} of the line; save it as UTF-8") from None


def _ends_at_returns(start: bytes) -> bool:
    """Whether the first line break outside quotes is a carriage return alone."""
    quoted = False
    for match in _BREAK_OR_QUOTE.finditer(start):
        if match[0] == b'"':
            quoted = not quoted
        elif not quoted:
            # At the very end of what was looked at, a line feed may follow.
            return match[0] == b"\r" and match.end() < _START_BYTES
    return False


def _ended_by_returns(file: BinaryIO) -> Callable[[int], bytes]:
    """Read lines that end at carriage returns; Latin-1 takes any byte, and gives it back."""
    text = io.TextIOWrapper(file, encoding="latin-1", newline="\r")
    return lambda limit: text.readline(limit).encode("latin-1")
