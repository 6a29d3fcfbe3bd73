"""Standard error as a courtesy: what cannot be told is not told, and nothing ends for it."""

import io
import sys
from typing import Any

_STDERR = 2


def bear_deaf_readers() -> None:
    """Let no command end because nobody takes what it says on standard error.

    The reader of a pipe goes, a terminal closes, a log's disk fills: to end for that while requests are under way would
    lose answers that are paid.
    """
    stream = sys.__stderr__
    if stream is None or sys.stderr is not stream:
        return  # somebody else's stream, or one that leads nowhere already
    raw = io.BufferedWriter(_Courtesy(_STDERR, "w", closefd=False))
    sys.stderr = io.TextIOWrapper(raw, encoding=stream.encoding, errors="backslashreplace", line_buffering=True)


class _Courtesy(io.FileIO):
    """A file whose writes succeed, whatever becomes of them."""

    def write(self, data: Any, /) -> int:
        size = memoryview(data).nbytes
        try:
            return super().write(data) or size
        except OSError:
            return size
