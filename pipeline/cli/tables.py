"""How results look in a terminal: tables and summaries, with colour only where it is one."""

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.cli.plain import plain
from pipeline.errors import ExitCode
from pipeline.report import Summary

_GOOD = {ExitCode.OK}


def table(columns: Sequence[tuple[str, str]], rows: Iterable[Sequence[str]], *, title: str = "") -> Table:
    """A plain table.

    Args:
        columns: Each one's heading and justification, ``left`` or ``right``.
    """
    made = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False, show_edge=False)
    for heading, justify in columns:
        made.add_column(heading, justify="right" if justify == "right" else "left", overflow="fold")
    for row in rows:
        made.add_row(*(Text(plain(cell)) for cell in row))
    return made


def show_summary(console: Console, summary: Summary) -> None:
    """Print a run's summary: the first line tells at a glance whether all is well."""
    first, *rest = summary.lines()
    console.print(
        Text(plain(first), style="bold green" if summary.exit_code in _GOOD else "bold yellow"), soft_wrap=True
    )
    for line in rest:
        console.print(Text(plain(line)), soft_wrap=True)
