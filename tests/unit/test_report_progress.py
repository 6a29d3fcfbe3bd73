"""What people see while a run goes on: numbers of a moment, a plain line, a live picture."""

from collections.abc import Callable
from functools import partial
from io import StringIO

import anyio
import pytest
from rich.console import Console

from pipeline.report import Snapshot
from pipeline.report.progress import line_of, picture_of, show_lines, show_live
from tests.unit.report_samples import snapshot


def drawn(now: Snapshot, *, width: int, terminal: bool = True, environment: dict[str, str] | None = None) -> list[str]:
    """A picture as a terminal of that width gets it."""
    console = Console(
        file=StringIO(),
        force_terminal=terminal,
        width=width,
        _environ={"TERM": "xterm-256color", **(environment or {})},
    )
    console.print(picture_of(now, width=width))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue().splitlines()


def plain(now: Snapshot, *, width: int = 160) -> list[str]:
    return [line.rstrip() for line in drawn(now, width=width, terminal=False)]


# --- a moment ----------------------------------------------------------------------------------------------------


def test_the_time_left_follows_from_the_pace_so_far() -> None:
    assert snapshot(elapsed_s=60.0, stored=25).left_s == 180.0


def test_rows_that_were_kept_take_no_time() -> None:
    assert snapshot(elapsed_s=60.0, to_buy=75, stored=25).left_s == 120.0


def test_failures_are_settled_too() -> None:
    assert snapshot(stored=10, failed=5, unknown=1).settled == 16


@pytest.mark.parametrize(
    "changes", [{"total": None}, {"stored": 0}, {"stopping": True}], ids=["unread", "nothing yet", "stopping"]
)
def test_the_time_left_is_not_guessed(changes: dict[str, bool | None]) -> None:
    assert snapshot(**changes).left_s is None


def test_no_time_is_left_when_more_is_settled_than_was_counted() -> None:
    assert snapshot(total=40).left_s == 0.0


# --- a plain line ------------------------------------------------------------------------------------------------


def test_a_line_tells_the_most_important_first() -> None:
    assert line_of(snapshot()) == ("[1:05] 50/100 there · 8 in flight · 2 to fetch · $1.820 spent · 1:05 left")


def test_a_line_tells_what_went_wrong_and_what_was_kept() -> None:
    told = line_of(snapshot(to_buy=90, stored=40, failed=3, unknown=2))

    assert told.startswith("[1:05] 50/100 there · 10 kept from before · ")
    assert " · 3 failed · 2 unknown · " in told


def test_a_line_has_no_total_while_rows_are_still_read() -> None:
    assert line_of(snapshot(total=None)).startswith("[1:05] 50 there · ")


def test_a_line_says_why_it_waits() -> None:
    assert line_of(snapshot(waiting="downloads are slow")).endswith(" · downloads are slow")


def test_a_line_says_that_it_stops_rather_than_why_it_waits() -> None:
    told = line_of(snapshot(waiting="downloads are slow", stopping=True))

    assert told.endswith(" · stopping: nothing more is bought, what is paid is fetched")


@pytest.mark.parametrize(("elapsed_s", "told"), [(0.0, "[0:00]"), (59.6, "[1:00]"), (3_725.0, "[1:02:05]")])
def test_a_line_tells_the_time(elapsed_s: float, told: str) -> None:
    assert line_of(snapshot(elapsed_s=elapsed_s)).startswith(told)


# --- a picture ---------------------------------------------------------------------------------------------------


def test_a_wide_picture() -> None:
    bar, counts, money = plain(snapshot())

    assert bar.endswith(" 50/100 1:05 left")
    assert counts == "bought 52  in flight 8  to fetch 2  stored 50"
    assert money == "spent $1.820 of $5.00"


def test_a_picture_of_a_run_in_trouble() -> None:
    told = plain(snapshot(to_buy=90, failed=3, unknown=2, waiting="downloads are slow", budget_microusd=None))

    assert told[1] == "bought 52  in flight 8  to fetch 2  stored 50  kept 10  failed 3  unknown 2"
    assert told[2:] == ["spent $1.820", "downloads are slow"]


def test_a_picture_of_a_run_that_stops() -> None:
    told = plain(snapshot(stopping=True, waiting="downloads are slow"))

    assert told[-1] == "stopping: nothing more is bought, what is paid is fetched"


def test_a_picture_before_anything_is_known() -> None:
    bar, *_ = plain(snapshot(total=None, seen=0, to_buy=0, stored=0, elapsed_s=3.0))

    assert bar.endswith(" 0/… 0:03")


@pytest.mark.parametrize("width", [40, 80, 160])
def test_a_picture_fits_its_terminal(width: int) -> None:
    crowded = snapshot(
        total=1_000_000,
        seen=1_000_000,
        to_buy=900_000,
        failed=1_234,
        unknown=56,
        waiting="waiting for the first downloads: 12 pictures bought or on order and not fetched",
    )

    lines = drawn(crowded, width=width, environment={"NO_COLOR": "1"}, terminal=False)

    assert max(len(line) for line in lines) <= width
    assert "failed 1234" in " ".join(lines)


def test_a_terminal_gets_colour() -> None:
    assert any("\x1b[32m" in line for line in drawn(snapshot(), width=160))


def test_no_colour_where_nobody_wants_it() -> None:
    lines = drawn(snapshot(failed=1, waiting="slow"), width=160, environment={"NO_COLOR": "1"})

    assert not any(f"\x1b[{code}m" in line for line in lines for code in (31, 32, 33))


def test_no_codes_at_all_where_there_is_no_terminal() -> None:
    assert not any("\x1b" in line for line in drawn(snapshot(failed=1), width=160, terminal=False))


# --- while it goes on --------------------------------------------------------------------------------------------


async def _until(enough: Callable[[], bool], show: Callable[[], object]) -> None:
    """Let something show until that is enough, then cancel it as a run does at its end."""
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(show)  # type: ignore[arg-type]
            while not enough():
                await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()


async def test_lines_are_printed_one_after_the_other() -> None:
    stream, looks = StringIO(), iter(range(1_000_000))

    await _until(
        lambda: stream.getvalue().count("\n") >= 3,
        partial(show_lines, lambda: snapshot(stored=next(looks)), stream, every_s=0.0),
    )

    assert [line.split()[1] for line in stream.getvalue().splitlines()[:3]] == ["0/100", "1/100", "2/100"]


async def test_the_last_state_stays_on_the_screen() -> None:
    console = Console(file=StringIO(), force_terminal=True, width=80, _environ={"TERM": "xterm"})
    assert isinstance(console.file, StringIO)
    stream, stored = console.file, [7]

    def look() -> Snapshot:
        return snapshot(stored=stored[0])

    def shown() -> bool:
        if "stored 7" not in stream.getvalue():
            return False
        stored[0] = 99
        return True

    await _until(shown, partial(show_live, look, console))

    assert "stored 99" in stream.getvalue()
    assert stream.getvalue().count("\x1b[?25h") == 1, "the cursor is back"
