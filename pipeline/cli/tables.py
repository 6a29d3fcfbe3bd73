"""How results look in a terminal: tables, sentences and summaries, for its width; with colour only where it is one."""

import os
import sys
from collections.abc import Iterable, Iterator, Sequence

from rich import box
from rich.console import Console, ConsoleOptions
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pipeline.cli.plain import plain
from pipeline.errors import ExitCode
from pipeline.report import Summary

_GOOD = {ExitCode.OK}


#: Characters in a line of what is no terminal, and so has no width that anybody knows.
_ENDLESS = 200
#: Between what is told of a row that has lines of its own.
_BETWEEN = " · "


def stdout_console() -> Console:
    """Standard output, as wide as its terminal or as ``COLUMNS`` says; wide enough for any table elsewhere."""
    known = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(highlight=False, width=None if known else _ENDLESS)


class Listing:
    """Rows under headings: a table where it fits, else each row by itself, with nothing split."""

    def __init__(self, columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[str]], title: str) -> None:
        self._columns = columns
        self._rows = rows
        self._title = title

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Table | Text | Padding]:
        """Draw it in the width there is."""
        made = self._table()
        if Measurement.get(console, options.update(width=sys.maxsize), made).maximum <= options.max_width:
            yield made
            return
        if self._title:
            yield Text(self._title)
        for first, *rest in self._rows:
            yield Text(first, style="bold", overflow="fold")
            told = [f"{heading} {cell}" for (heading, _), cell in zip(self._columns[1:], rest, strict=True) if cell]
            for line in _joined(told, options.max_width - 2):
                yield Padding(Text(line, overflow="fold"), (0, 0, 0, 2), expand=False)

    def _table(self) -> Table:
        made = Table(
            box=box.SIMPLE_HEAD, title=self._title or None, title_justify="left", pad_edge=False, show_edge=False
        )
        for heading, justify in self._columns:
            made.add_column(heading, justify="right" if justify == "right" else "left", no_wrap=True)
        for row in self._rows:
            made.add_row(*map(Text, row))
        return made


def table(columns: Sequence[tuple[str, str]], rows: Iterable[Sequence[str]], *, title: str = "") -> Listing:
    """A plain table; of its first column is made each row's heading where it is too wide.

    Args:
        columns: Each one's heading and justification, ``left`` or ``right``.
    """
    return Listing(columns, [[plain(cell) for cell in row] for row in rows], title)


def say(console: Console, words: str, *, style: str = "", label: str = "") -> None:
    """Print a sentence; on a terminal it is wrapped between words, below its start, elsewhere it stays one line.

    Args:
        label: What stands before it, and is as wide as the lines below begin further right.
    """
    text = Text(plain(words), style=style)
    if not console.is_terminal:
        console.print(Text(label).append_text(text), soft_wrap=True)
        return
    start = label
    for line in text.wrap(console, max(20, console.width - len(label))):
        line.rstrip()
        console.print(Text(start).append_text(line), soft_wrap=True)
        start = " " * len(label)


def _joined(told: Sequence[str], width: int) -> list[str]:
    """As many of them in a line as fit."""
    lines: list[str] = []
    for each in told:
        if lines and len(lines[-1]) + len(_BETWEEN) + len(each) <= width:
            lines[-1] += _BETWEEN + each
        else:
            lines.append(each)
    return lines


def show_summary(console: Console, summary: Summary) -> None:
    """Print a run's summary: the first line tells at a glance whether all is well."""
    first, *rest = summary.lines()
    console.print(
        Text(plain(first), style="bold green" if summary.exit_code in _GOOD else "bold yellow"), soft_wrap=True
    )
    for line in rest:
        console.print(Text(plain(line)), soft_wrap=True)
