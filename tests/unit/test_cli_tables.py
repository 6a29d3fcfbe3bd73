"""How results look in a terminal."""

import re
from io import StringIO

import pytest
from rich.console import Console

from pipeline.cli.tables import say, show_summary, table
from pipeline.errors import ExitCode
from tests.unit.report_samples import summary


def console(*, width: int = 80, terminal: bool = False) -> Console:
    return Console(
        file=StringIO(), width=width, force_terminal=terminal, highlight=False, _environ={"TERM": "xterm-256color"}
    )


def text(of: Console) -> str:
    assert isinstance(of.file, StringIO)
    return of.file.getvalue()


def test_numbers_stand_under_each_other() -> None:
    out = console()

    out.print(table([("model", "left"), ("cost", "right")], [("pro", "$3.500"), ("max", "$10.000")], title="Costs"))

    lines = [line.rstrip() for line in text(out).splitlines()]
    assert lines[0] == "Costs"
    assert [line.split() for line in lines if "$" in line] == [["pro", "$3.500"], ["max", "$10.000"]]
    assert len({len(line) for line in lines if "$" in line}) == 1


def test_a_cell_is_shown_as_it_is() -> None:
    out = console()

    out.print(table([("prompt", "left")], [("[bold]a [red]cat",)]))

    assert "[bold]a [red]cat" in text(out)


def test_a_long_cell_is_folded_and_not_cut() -> None:
    out = console(width=20)

    out.print(table([("prompt", "left")], [("abcdefghij" * 5,)]))

    assert text(out).replace("\n", "").replace(" ", "").endswith("abcdefghij" * 5)


COLUMNS = [("manifest", "left"), ("last run", "left"), ("jobs", "left"), ("spent", "right"), ("unknown", "right")]
ROWS = [
    ("spring-campaign / 2026-11-25", "2026-11-25 12:37", "8 stored, 12 failed", "$0.280", "$0.000"),
    ("first (simulated)", "", "1 planned", "$0.000", "$0.000"),
]


@pytest.mark.parametrize("terminal", [True, False])
def test_a_table_that_does_not_fit_gives_each_row_lines_of_its_own(terminal: bool) -> None:
    out = console(width=60, terminal=terminal)

    out.print(table(COLUMNS, ROWS, title="Runs"))

    assert [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in text(out).splitlines()] == [
        "Runs",
        "spring-campaign / 2026-11-25",
        "  last run 2026-11-25 12:37 · jobs 8 stored, 12 failed",
        "  spent $0.280 · unknown $0.000",
        "first (simulated)",
        "  jobs 1 planned · spent $0.000 · unknown $0.000",
    ]


@pytest.mark.parametrize("width", [96, 200])
def test_a_table_that_fits_is_one(width: int) -> None:
    out = console(width=width)

    out.print(table(COLUMNS, ROWS))

    assert len(text(out).splitlines()) == 4


def test_nothing_is_split_where_it_can_be_told_whole() -> None:
    for width in range(30, 100):
        out = console(width=width)
        out.print(table(COLUMNS, ROWS))
        lines = text(out).splitlines()
        assert all(len(line) <= width for line in lines)
        for cell in ("spring-campaign / 2026-11-25", "2026-11-25 12:37", "8 stored, 12 failed", "$0.280"):
            assert any(cell in line for line in lines)


def test_a_sentence_goes_on_below_its_start_on_a_terminal_and_is_one_line_elsewhere() -> None:
    shown, piped = console(width=30, terminal=True), console(width=30)

    for each in (shown, piped):
        say(each, "one two three four five six seven", label="  for   ")

    assert text(shown).splitlines() == ["  for   one two three four", "        five six seven"]
    assert text(piped).splitlines() == ["  for   one two three four five six seven"]


def test_a_summary_is_never_wrapped_so_that_its_commands_can_be_copied() -> None:
    out = console(width=40)

    show_summary(out, summary(failed=1, output="a folder with a very long name", ledger="/srv/ledger.db"))

    assert (
        text(out).splitlines()
        == summary(failed=1, output="a folder with a very long name", ledger="/srv/ledger.db").lines()
    )


@pytest.mark.parametrize(
    ("code", "colour"), [(ExitCode.OK, "32"), (ExitCode.SOME_FAILED, "33"), (ExitCode.BUDGET, "33")]
)
def test_the_first_line_tells_at_a_glance_whether_all_is_well(code: ExitCode, colour: str) -> None:
    out = console(terminal=True)

    show_summary(out, summary(exit_code=code))

    assert text(out).startswith(f"\x1b[1;{colour}mspring: 8 stored")
    assert text(out).count("\x1b[1;") == 1


def test_words_of_the_provider_are_not_taken_for_markup() -> None:
    out = console()

    show_summary(out, summary(notes=("Stopped: [red]no[/red] money",)))

    assert "Stopped: [red]no[/red] money" in text(out)
