"""The only module that reads JSON lines."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline.manifest.complaints import shown
from pipeline.manifest.lines import LineError, Lines
from pipeline.manifest.rowsource import RowsError, SourceRow, open_file


class JsonlReader:
    """Rows from a file with one JSON object a line; numbers keep the digits that were written."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def columns(self) -> tuple[str, ...]:
        """The keys of its first row.

        Raises:
            RowsError: There is no row, or the first one cannot be read.
        """
        with open_file(self._path) as file:
            lines = Lines(file)
            try:
                first = next((line for line in lines if line.strip()), None)
                if first is None:
                    raise RowsError("is empty")
                return tuple(_parse(first))
            except LineError as exc:
                raise RowsError(f"its first row cannot be read: {exc}") from None

    def rows(self, needed: Sequence[str]) -> Iterator[SourceRow]:
        """Stream the rows; empty lines are passed over. A row may have other keys, but must have the needed ones."""
        with open_file(self._path) as file:
            lines = Lines(file)
            while True:
                line = ""
                try:
                    line = next(lines)
                    if not line.strip():
                        continue
                    row = _parse(line)
                    yield SourceRow(lines.number, [_text(row, name) for name in needed], line.strip())
                except StopIteration:
                    return
                except LineError as exc:
                    yield SourceRow(lines.number, None, line.strip() or {"line": lines.number}, str(exc))


def _parse(line: str) -> dict[str, Any]:
    try:
        row = json.loads(
            line, parse_int=str, parse_float=str, parse_constant=_no_constant, object_pairs_hook=_without_duplicates
        )
    except RecursionError:
        raise LineError("is nested too deeply") from None
    except json.JSONDecodeError as exc:
        raise LineError(f"is not JSON: {exc.msg} at character {exc.pos + 1}") from None
    if not isinstance(row, dict):
        raise LineError('must be a JSON object, such as {"prompt": "a cat"}')
    return row


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) != len(pairs):
        raise LineError("gives a key twice")
    return row


def _no_constant(name: str) -> Any:
    raise LineError(f"holds {name}, which is not JSON")


def _text(row: dict[str, Any], name: str) -> str:
    if name not in row:
        raise LineError(f"has no {shown(name)}")
    value = row[name]
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    raise LineError(f"{shown(name)} must be a text or a number")
