"""The only module that knows what every kind of rows file has in common: a header, and rows that fit or do not."""

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol


class RowsError(ValueError):
    """A whole rows file that cannot be used: its header is wrong, or it is no such file."""


class SourceRow(NamedTuple):
    """One row.

    Attributes:
        line: Where it starts, from 1; in a file without lines, its number.
        cells: The texts of the columns asked for, in the order asked for; None when the row is broken.
        raw: The row as it stands in the file, as a JSON value: its identity when it makes no job.
        fault: Why it is broken.
    """

    line: int
    cells: Sequence[str] | None
    raw: Any
    fault: str = ""


def open_file(path: Path) -> BinaryIO:
    """Open a rows file to read bytes, if it is one: a device has no end, and a pipe is read once or waits for ever.

    Raises:
        RowsError: It is no ordinary file.
        OSError: It is not there, or cannot be read.
    """
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        # A folder is opened, too; reading it says so in the system's own words.
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise RowsError("is not an ordinary file; copy the rows into one")
        return os.fdopen(handle, "rb")
    except BaseException:  # closed, whatever it is, and raised again
        os.close(handle)
        raise


class RowsReader(Protocol):
    """Reads one kind of rows file."""

    def columns(self) -> tuple[str, ...]:
        """The names of its columns."""
        ...

    def rows(self, needed: Sequence[str]) -> Iterator[SourceRow]:
        """Stream its rows, with the cells of the columns ``needed``; empty lines are passed over, though numbered."""
        ...
