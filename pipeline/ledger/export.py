"""Writing the ledger's rows out: JSON Lines, CSV, Parquet."""

import csv
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, fields
from functools import partial
from io import StringIO
from itertools import chain, islice
from pathlib import Path
from typing import IO, Literal, get_args

from pipeline.errors import ConfigurationError, OutputError, UsageError
from pipeline.ledger.views import COLUMNS, Row

ExportFormat = Literal["jsonl", "csv", "parquet"]

#: A spreadsheet runs a cell that begins with one of these as a formula (OWASP, CSV injection); some take the
#: full-width forms too.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")

_PARQUET_ROWS = 10_000


def write_jsonl(rows: Iterable[Row], handle: IO[str]) -> None:
    """One JSON object a line; absent values are null."""
    for row in rows:
        handle.write(json.dumps(asdict(row), ensure_ascii=False) + "\n")


def write_csv(rows: Iterable[Row], handle: IO[str]) -> None:
    """A header and one line a row; absent values are empty; text that a spreadsheet would run gets a leading ``'``."""
    line = StringIO()
    writer = csv.writer(line)  # with its own line end it quotes a carriage return inside a cell, too
    for cells in chain([COLUMNS], (map(_cell, asdict(row).values()) for row in rows)):
        writer.writerow(cells)
        handle.write(line.getvalue().removesuffix("\r\n") + "\n")
        line.seek(0)
        line.truncate()


def write_parquet(rows: Iterable[Row], path: Path) -> None:
    """One Parquet file, in groups of 10,000 rows; money stays text, so that no cent is rounded.

    Raises:
        ConfigurationError: The optional library is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise ConfigurationError("Parquet needs pyarrow", remedy="pip install 'fluxbatch[parquet]'") from error
    kinds = {str: pa.string(), int: pa.int64(), float: pa.float64()}
    schema = pa.schema([(field.name, kinds[(get_args(field.type) or (field.type,))[0]]) for field in fields(Row)])
    with pq.ParquetWriter(path, schema) as writer:
        for group in _groups(rows, _PARQUET_ROWS):
            writer.write_table(pa.Table.from_pylist([asdict(row) for row in group], schema=schema))


def export(rows: Iterable[Row], *, to: Path | None, form: ExportFormat, stdout: IO[str]) -> None:
    """Write rows to a file, or to ``stdout`` when there is none.

    A file is written beside its place and takes it at the end, so that what fails half way leaves what was there.
    Whether the place is free to be taken is not asked here; ``Ledger.export`` does.

    Raises:
        UsageError: Parquet was asked for on standard output.
        OutputError: The file cannot be written.
    """
    if form == "parquet":
        if to is None:
            raise UsageError("Parquet is not for the terminal", remedy="name a file with --to")
        _writing(to, partial(write_parquet, rows))
        return
    write = write_jsonl if form == "jsonl" else write_csv
    if to is None:
        write(rows, stdout)
        return

    def to_file(file: Path) -> None:
        with file.open("w", encoding="utf-8", newline="") as handle:
            write(rows, handle)

    _writing(to, to_file)


def _writing(path: Path, write: Callable[[Path], None]) -> None:
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            write(path)  # a pipe or a device: nothing there to keep, and nothing to be put in its place
            return
        place = Path(os.path.realpath(path))
        spare = place.with_name(f".fluxbatch-export-{secrets.token_hex(8)}")
        try:
            write(spare)
            _take_over(spare, place)
        finally:
            spare.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror})", remedy="name another file") from error


def _take_over(spare: Path, place: Path) -> None:
    if place.is_file():
        shutil.copymode(place, spare)
    with spare.open("rb") as handle:
        os.fsync(handle.fileno())
    spare.replace(place)


def _cell(value: object) -> object:
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return "'" + value
    return value


def _groups(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    source = iter(rows)
    while group := list(islice(source, size)):
        yield group
