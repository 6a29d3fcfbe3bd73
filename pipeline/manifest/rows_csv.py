"""The only module that reads CSV."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.manifest.lines import LineError, Lines
from pipeline.manifest.rowsource import RowsError, SourceRow, open_file
from pipeline.wording import counted

_PARTED_BY = {";": "semicolons", "\t": "tabs", "|": "bars"}


class _CsvLines(Iterator[str]):
    """Lines on their way to the reader; remembers where the quote that is open opened.

    Attributes:
        opened: The line of that quote, from 1; 0 when none is open, as far as counting quotes tells.
    """

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self.opened = 0

    def __next__(self) -> str:
        line = next(self._lines)
        # Two quotes side by side are one in the text, or an empty cell.
        quotes = line.replace('""', "").count('"')
        if quotes % 2:
            self.opened = 0 if self.opened else self._lines.number
        elif quotes and self.opened:
            self.opened = self._lines.number
        return line


class CsvReader:
    """Rows from a CSV file: UTF-8, with commas and a header; cells may be quoted and span lines."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def columns(self) -> tuple[str, ...]:
        """The names in its first line, ends stripped.

        Raises:
            RowsError: There is no header, or it cannot be read.
        """
        with open_file(self._path) as file:
            try:
                lines = _CsvLines(Lines(file))
                header = next(csv.reader(lines, strict=True), None)
            except LineError as exc:
                raise RowsError(f"its header cannot be read: {exc}") from None
            except csv.Error as exc:
                raise RowsError(f"its header cannot be read: {_sentence(exc, lines.opened or 1)}") from None
        if not header or not any(name.strip() for name in header):
            raise RowsError("is empty" if header is None else "has no header in its first line")
        if len(header) == 1 and (marks := [mark for mark in _PARTED_BY if mark in header[0]]):
            raise RowsError(f"is parted by {_PARTED_BY[marks[0]]}; save it with commas")
        return tuple(name.strip() for name in header)

    def rows(self, needed: Sequence[str]) -> Iterator[SourceRow]:
        """Stream the rows below the header; those whose cells are all blank are passed over, like empty lines.

        A blank row is passed over whatever the number of its cells.
        """
        with open_file(self._path) as file:
            lines = Lines(file)
            watched = _CsvLines(lines)
            reader = csv.reader(watched, strict=True)
            columns = [name.strip() for name in next(reader)]
            width = len(columns)
            picks = [columns.index(name) for name in needed]
            while True:
                start = lines.number + 1
                watched.opened = 0
                try:
                    cells = next(reader)
                except StopIteration:
                    return
                except (csv.Error, LineError) as exc:
                    said = exc if isinstance(exc, LineError) else _sentence(exc, watched.opened)
                    yield SourceRow(start, None, {"line": start}, f"cannot be read: {said}")
                    continue
                if not any(map(str.strip, cells)):
                    continue
                if len(cells) == width:
                    yield SourceRow(start, [cells[pick] for pick in picks], cells)
                else:
                    has = counted(len(cells), "cell")
                    fault = f"has {has}, the header has {width}; text that holds a comma needs quotes"
                    yield SourceRow(start, None, cells, fault)


def _sentence(exc: csv.Error, opened: int) -> str:
    """Say what the reader found, in our words; its own where it finds something new."""
    said = str(exc)
    if "unexpected end of data" in said:
        return f"the quote that opens in line {opened} is never closed"
    if "field larger" in said:
        unclosed = f"; is the quote that opens in line {opened} closed?" if opened else ""
        return f"a cell is longer than {csv.field_size_limit():,} characters{unclosed}"
    if "new-line character" in said:
        return "a line break unlike the file's others stands in it; put text with line breaks in quotes"
    if "expected after" in said:
        return "text stands after a closing quote; write a quote inside quotes twice"
    return said
