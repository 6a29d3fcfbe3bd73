"""The only module that reads CSV."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.manifest.lines import LineError, Lines
from pipeline.manifest.rowsource import RowsError, SourceRow


class CsvReader:
    """Rows from a CSV file: UTF-8, with commas and a header; cells may be quoted and span lines."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def columns(self) -> tuple[str, ...]:
        """The names in its first line, ends stripped.

        Raises:
            RowsError: There is no header, or it cannot be read.
        """
        with self._path.open("rb") as file:
            try:
                header = next(csv.reader(Lines(file), strict=True), None)
            except (csv.Error, LineError) as exc:
                raise RowsError(f"its header cannot be read: {exc}") from None
        if not header or not any(name.strip() for name in header):
            raise RowsError("is empty" if header is None else "has no header in its first line")
        if len(header) == 1 and ";" in header[0]:
            raise RowsError("is parted by semicolons; save it with commas")
        return tuple(name.strip() for name in header)

    def rows(self, needed: Sequence[str]) -> Iterator[SourceRow]:
        """Stream the rows below the header; lines with nothing in them are passed over."""
        with self._path.open("rb") as file:
            lines = Lines(file)
            reader = csv.reader(lines, strict=True)
            columns = [name.strip() for name in next(reader)]
            width = len(columns)
            picks = [columns.index(name) for name in needed]
            while True:
                start = lines.number + 1
                try:
                    cells = next(reader)
                except StopIteration:
                    return
                except (csv.Error, LineError) as exc:
                    yield SourceRow(start, None, {"line": start}, f"cannot be read: {exc}")
                    continue
                if len(cells) == width:
                    yield SourceRow(start, [cells[pick] for pick in picks], cells)
                elif cells:
                    fault = f"has {len(cells)} cells, the header has {width}; text that holds a comma needs quotes"
                    yield SourceRow(start, None, cells, fault)
