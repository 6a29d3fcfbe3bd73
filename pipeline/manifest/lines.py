"""The only module that reads text files line by line: streamed, bounded, and one bad line harms no other."""

from collections.abc import Iterator
from typing import BinaryIO

#: Longer lines are faults: a row is a prompt and some words.
MAX_LINE_BYTES = 1 << 20
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class LineError(ValueError):
    """A line that cannot be read; the next one may well be."""


class Lines(Iterator[str]):
    """The lines of an open file, with their ends. After a LineError, reading goes on with the next line.

    Attributes:
        number: The number of the line read last, from 1; 0 before the first.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.number = 0

    def __next__(self) -> str:
        raw = self._file.readline(MAX_LINE_BYTES + 1)
        if not raw:
            raise StopIteration
        self.number += 1
        if len(raw) > MAX_LINE_BYTES:
            while raw and not raw.endswith(b"\n"):
                raw = self._file.readline(MAX_LINE_BYTES)
            raise LineError(f"the line is longer than {MAX_LINE_BYTES:,} bytes")
        if self.number == 1:
            raw = raw.removeprefix(_BYTE_ORDER_MARK)
        try:
            return raw.decode()
        except UnicodeDecodeError as exc:
            raise LineError(f"is not UTF-8 text, at byte {exc.start + 1} of the line; save it as UTF-8") from None
