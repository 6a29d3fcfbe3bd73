"""The only module that knows rows files: which kinds there are, and what each yields."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ManifestError, NotFoundError, Problem
from pipeline.manifest.complaints import nearest, shown
from pipeline.manifest.rows_csv import CsvReader
from pipeline.manifest.rows_jsonl import JsonlReader
from pipeline.manifest.rows_parquet import ParquetReader
from pipeline.manifest.rowsource import RowsError, RowsReader, SourceRow

_READERS: dict[str, Callable[[Path], RowsReader]] = {
    ".csv": CsvReader,
    ".jsonl": JsonlReader,
    ".ndjson": JsonlReader,
    ".parquet": ParquetReader,
}

_MAX_SHOWN = 120
#: More than any sheet made by people has.
MAX_COLUMNS = 1_000
_MAX_REPEATED = 5
#: These move a terminal's cursor, turn text around or hide in it. A column's name in quotes may hold line breaks.
_HIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsFile:
    """A rows file whose header has been read.

    Attributes:
        path: Where it is.
        label: What the manifest calls it, for messages.
        columns: The names in its header, or the keys of its first row.
    """

    path: Path
    label: str
    columns: tuple[str, ...]

    def rows(self, needed: Sequence[str]) -> Iterator[SourceRow]:
        """Read the rows as a stream, from the start.

        Args:
            needed: The columns whose cells are wanted, in the order wanted.

        Raises:
            NotFoundError: It is no longer there, or cannot be read.
            ManifestError: Its header changed since it was checked.
        """
        reader = _READERS[self.path.suffix.lower()](self.path)
        try:
            if reader.columns() != self.columns:
                raise RowsError("its header changed since it was checked")
            yield from reader.rows(needed)
        except RowsError as exc:
            problem = Problem(file=self.label, line=1, column=1, path="", message=str(exc), hint="start again")
            raise ManifestError([problem]) from None
        except OSError as exc:
            raise NotFoundError(self.path, exc.strerror or shown(str(exc))) from exc


def _check_header(columns: tuple[str, ...]) -> None:
    """Refuse a header that is none. What it holds is not shown: a file that is no table may be anybody's secret."""
    if not columns:
        raise RowsError("has no columns")
    if len(columns) > MAX_COLUMNS:
        raise RowsError(f"has more than {MAX_COLUMNS:,} columns; is it a table?")
    if (bad := _HIDDEN.search("".join(columns))) is not None:
        raise RowsError(f"its header holds the character U+{ord(bad[0]):04X}; is it a table?")
    repeated = sorted(name for name, times in Counter(columns).items() if name and times > 1)
    if repeated:
        raise RowsError("has two columns named " + ", and two named ".join(map(shown, repeated[:_MAX_REPEATED])))


def open_rows(path: Path, label: str) -> RowsFile:
    """Read a rows file's header, and make sure that there is at least one row.

    Raises:
        RowsError: It is not there, of an unknown kind, empty, or its header is no header.
        ConfigurationError: What reads this kind of file is not installed.
    """
    label, full = (label if len(label) <= _MAX_SHOWN else shown(label)), label
    if _HIDDEN.search(full) or any(map(full.__contains__, "\t\r\n")):
        raise RowsError(f"{shown(full)} is not the name of a file; rename it")
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        near = nearest(path.suffix, _READERS)
        raise RowsError(f"{label}: rows are read from {', '.join(_READERS)} files" + (f"; {near}" if near else ""))
    try:
        opened = reader(path)
        columns = opened.columns()
        _check_header(columns)
        if next(iter(opened.rows(())), None) is None:
            raise RowsError("has no rows")
    except OSError as exc:
        raise RowsError(f"{label}: cannot be read: {exc.strerror or shown(str(exc))}") from None
    except RowsError as exc:
        raise RowsError(f"{label}: {exc}") from None
    return RowsFile(path=path, label=full, columns=columns)
