"""The only module that reads Parquet."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigurationError
from pipeline.manifest.complaints import shown
from pipeline.manifest.lines import MAX_LINE_BYTES
from pipeline.manifest.rowsource import RowsError, SourceRow, open_file

_BATCH_ROWS = 1024
#: A few bytes of a Parquet file may unpack to any number of them. This is for one column of one row group ...
_MAX_COLUMN_BYTES = 512 << 20
#: ... and this for the texts of one batch, beyond which they are unpacked one by one.
_MAX_BATCH_BYTES = 64 << 20
_UNREADABLE, _TOO_LONG = object(), object()


class ParquetReader:
    """Rows from a Parquet file, a batch at a time; only the columns needed are read."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def columns(self) -> tuple[str, ...]:
        """The names of its top-level columns.

        Raises:
            RowsError: It is not a Parquet file.
            ConfigurationError: pyarrow is not installed.
        """
        with self._opened() as file:
            if not _flat(file):
                raise RowsError("has no column of texts or numbers")
            return tuple(file.schema_arrow.names)

    def rows(self, needed: Sequence[str]) -> Iterator[SourceRow]:
        """Stream the rows; the first one is number 1."""
        number = 0
        with self._opened() as file:
            flat = _flat(file)
            # A batch without columns would have no rows to count; lists and records are never unpacked.
            read = [name for name in needed if name in flat] or flat[:1]
            _refuse_bombs(file, read)
            places = [read.index(name) if name in read else None for name in needed]
            for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=read):
                for values in zip(*map(_values, batch.columns), strict=True):
                    number += 1
                    yield _row(number, [() if place is None else values[place] for place in places], needed)

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        try:
            from pyarrow import ArrowException, types
            from pyarrow.parquet import ParquetFile
        except ImportError:
            raise ConfigurationError(
                f"{self._path.name}: reading Parquet needs pyarrow",
                remedy="pip install 'fluxbatch[parquet]', or use CSV",
            ) from None
        with open_file(self._path) as source:
            try:
                texts = [
                    field.name
                    for field in ParquetFile(source).schema_arrow
                    if types.is_string(field.type) or types.is_large_string(field.type)
                ]
                # A text that is stored once stays so, however many rows have it.
                with ParquetFile(source, read_dictionary=texts) as file:
                    yield file
            except ArrowException as exc:
                raise RowsError(f"is not a Parquet file: {shown(str(exc))}") from None


def _flat(file: Any) -> list[str]:
    """The names of the columns that hold neither lists nor records."""
    from pyarrow import types

    return [field.name for field in file.schema_arrow if not types.is_nested(field.type)]


def _refuse_bombs(file: Any, names: Sequence[str]) -> None:
    groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
    columns = (group.column(number) for group in groups for number in range(group.num_columns))
    for column in columns:
        if column.path_in_schema in names and column.total_uncompressed_size > _MAX_COLUMN_BYTES:
            limit = f"{_MAX_COLUMN_BYTES >> 20} MiB"
            raise RowsError(
                f"unpacks to more than {limit} in {shown(column.path_in_schema)}; write it with smaller row groups"
            )


def _values(column: Any) -> Iterator[Any]:
    """The values of one column of a batch; those that Python has no value for are _UNREADABLE."""
    try:
        if not hasattr(column, "dictionary"):
            return iter(column.to_pylist())
        if _longest(column.dictionary) * len(column) <= _MAX_BATCH_BYTES:
            return iter(column.dictionary_decode().to_pylist())
    except (ValueError, OverflowError):  # one of them is no text, or no moment of our calendar
        return map(_value, column)
    return map(_short_value, column)


def _longest(texts: Any) -> int:
    """How long the longest is, in bytes."""
    from pyarrow import compute

    return compute.max(compute.binary_length(texts)).as_py() or 0


def _short_value(scalar: Any) -> Any:
    """The text of one cell, unless it is so long that nobody should make it."""
    stored = scalar.value
    return _TOO_LONG if stored.is_valid and len(stored.as_buffer()) > MAX_LINE_BYTES else _value(scalar)


def _value(scalar: Any) -> Any:
    try:
        return scalar.as_py()
    except (ValueError, OverflowError):
        return _UNREADABLE


def _row(number: int, values: Sequence[Any], needed: Sequence[str]) -> SourceRow:
    try:
        cells = [_text(name, value) for name, value in zip(needed, values, strict=True)]
    except ValueError as exc:
        return SourceRow(number, None, {"row": number}, str(exc))
    return SourceRow(number, cells, cells)


def _text(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is _UNREADABLE or isinstance(value, tuple | bytes):
        raise ValueError(f"{shown(name)} must be a text or a number")
    if value is _TOO_LONG:
        raise ValueError(f"{shown(name)} is longer than {MAX_LINE_BYTES:,} bytes")
    return str(value)
