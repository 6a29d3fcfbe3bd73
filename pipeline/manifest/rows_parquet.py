"""The only module that reads Parquet."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigurationError
from pipeline.manifest.complaints import shown
from pipeline.manifest.rowsource import RowsError, SourceRow

_BATCH_ROWS = 1024


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
        with self._open() as file:
            return tuple(file.schema_arrow.names)

    def rows(self, needed: Sequence[str]) -> Iterator[SourceRow]:
        """Stream the rows; the first one is number 1."""
        number = 0
        with self._open() as file:
            # A batch without columns would have no rows to count.
            for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=list(needed) or file.schema_arrow.names[:1]):
                for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    number += 1
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
