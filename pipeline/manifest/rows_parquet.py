"""The only module that reads Parquet."""

from collections.abc import Iterator, Sequence
from itertools import islice, repeat
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigurationError
from pipeline.manifest.complaints import shown
from pipeline.manifest.rowsource import RowsError, SourceRow, is_blank

_BATCH_ROWS = 1024
#: Fewer at once of the columns that nothing uses: they may hold whole pictures.
_REST_BATCH_ROWS = 64
#: How the names of types start whose values may be blank texts.
_TEXTS = ("string", "large_string", "dictionary<values=string", "dictionary<values=large_string")


class ParquetReader:
    """Rows from a Parquet file, a batch at a time; only the columns needed are read, until a row is blank in them."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def columns(self) -> tuple[str, ...]:
        """The names of its top-level columns.

        Raises:
            RowsError: It is not a Parquet file.
            ConfigurationError: pyarrow is not installed.
        """
        with self._open() as file:
            return tuple(file.schema_arrow.names)

    def rows(self, needed: Sequence[str]) -> Iterator[SourceRow]:
        """Stream the rows; the first one is number 1. Those whose cells are all null or blank are passed over."""
        with self._open() as file:
            names: list[str] = file.schema_arrow.names
            # A batch without columns would have no rows to count.
            read = list(needed) or names[:1]
            rest = _Rest(file, [name for name in names if name not in read])
            for number, values in enumerate(_values(file, read), start=1):
                if not (is_blank(values) and rest.is_blank(number)):
                    yield _row(number, values, needed)

    def _open(self) -> Any:
        try:
            from pyarrow import ArrowException
            from pyarrow.parquet import ParquetFile
        except ImportError:
            raise ConfigurationError(
                f"{self._path.name}: reading Parquet needs pyarrow",
                remedy="pip install 'fluxbatch[parquet]', or use CSV",
            ) from None
        try:
            return ParquetFile(self._path)
        except ArrowException as exc:
            raise RowsError(f"is not a Parquet file: {shown(str(exc))}") from None


class _Rest:
    """The columns that nothing uses: read only when a row is blank in all the others, as a stream of its own."""

    def __init__(self, file: Any, columns: list[str]) -> None:
        # Without such columns there is nothing in them.
        self._blanks = _blanks(file, columns) if columns else repeat(object=True)
        self._passed = 0

    def is_blank(self, number: int) -> bool:
        """Whether that row, further down than the one asked for before, has nothing in these columns."""
        skipped = number - self._passed - 1
        self._passed = number
        return next(islice(self._blanks, skipped, None))


def _blanks(file: Any, columns: list[str]) -> Iterator[bool]:
    for batch in file.iter_batches(batch_size=_REST_BATCH_ROWS, columns=columns):
        yield from map(all, zip(*map(_blank_cells, batch.columns), strict=True))


def _blank_cells(column: Any) -> list[bool]:
    if str(column.type).startswith(_TEXTS):
        return [is_blank([value]) for value in column.to_pylist()]
    # What is no text is never taken out: some moments in time, for one, have no value here.
    found: list[bool] = column.is_null().to_pylist()
    return found


def _values(file: Any, columns: list[str]) -> Iterator[tuple[Any, ...]]:
    for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=columns):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _row(number: int, values: Sequence[Any], needed: Sequence[str]) -> SourceRow:
    try:
        cells = [_text(name, value) for name, value in zip(needed, values, strict=False)]
    except ValueError as exc:
        return SourceRow(number, None, {"row": number}, str(exc))
    return SourceRow(number, cells, cells)


def _text(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | dict | tuple | bytes):
        raise ValueError(f"{shown(name)} must be a text or a number")
    return str(value)
