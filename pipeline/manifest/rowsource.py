"""The only module that knows what every kind of rows file has in common: a header, and rows that fit or do not."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol


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


class RowsReader(Protocol):
    """Reads one kind of rows file."""

    def columns(self) -> tuple[str, ...]:
        """The names of its columns."""
        ...

    def rows(self, needed: Sequence[str]) -> Iterator[SourceRow]:
        """Stream its rows, with the cells of the columns ``needed``; empty lines are passed over, though numbered."""
        ...
