"""How results look in a terminal."""

from io import StringIO

import pytest
from rich.console import Console

from pipeline.cli.tables import show_summary, table
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
