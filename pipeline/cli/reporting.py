"""``fluxbatch report``, and the report at the end of a run."""

import sys
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread

from pipeline.cli.options import same_places
from pipeline.cli.plain import plain
from pipeline.errors import ExitCode, FluxbatchError, NotFoundError, UsageError
from pipeline.ledger import Address, Scope
from pipeline.manifest import load_manifest
from pipeline.report import to_json
from pipeline.report.page import PAGE, Places, Report, write_report, write_sheet
from pipeline.runner import RunOptions, Stop

#: How long a person who asks for a report waits for small copies at most, and how long the end of a run does.
THUMBNAILS_S = 900.0
_THUMBNAILS_AT_END_S = 20.0
#: The whole of the end of a run, whatever disk or ledger do; a run is never kept from ending by its report.
_AT_END_S = 60.0


def show_report(
    about: str | None,
    *,
    output: Path,
    ledger: Address,
    to: Path | None,
    contact_sheet: Path | None,
    options: str = "",
    json: bool,
) -> int:
    """Write the page, and the contact sheet where one is asked for.

    Args:
        about: A run's id, a manifest's file or its name; None for everything.
        options: The options that lead another command to the same ledger, as words.

    Raises:
        NotFoundError: There is no such ledger, or nothing of that name in it.
        OutputError: The page or the sheet cannot be written.
    """
    if not output.is_dir():
        raise NotFoundError(output, "no such output folder", remedy="name it with --output")
    scope = _scope(about)
    page = to or output / _page_name(scope)
    if contact_sheet is not None and contact_sheet.absolute() == page.absolute():
        raise UsageError(f"{page}: the page and the contact sheet cannot be one file")
    places = Places(ledger, output, page, options)
    made = write_report(places, scope, thumbnails_s=THUMBNAILS_S)
    drawn = None if contact_sheet is None else write_sheet(places, scope, to=contact_sheet)
    if json:
        sys.stdout.write(to_json(_as_json(made, contact_sheet, drawn)) + "\n")
        return int(ExitCode.OK)
    shown = "" if made.shown == made.rows else f", {made.shown:,} of them one by one"
    sys.stdout.write(plain(f"{made.page}: {made.rows:,} row{'s' if made.rows != 1 else ''}{shown}") + "\n")
    if drawn is not None:
        sys.stdout.write(plain(f"{contact_sheet}: {drawn:,} picture{'s' if drawn != 1 else ''}") + "\n")
    sys.stdout.write(plain(f"-> fluxbatch ledger verify{options}") + "\n")
    return int(ExitCode.OK)


async def report_at_end(options: RunOptions, stop: Stop) -> str | None:
    """Write the page of the whole ledger; one line about it, or None when somebody is in a hurry to leave.

    Nothing is raised, and it ends after a minute at most: a run has ended as it has, with or without a page.
    """
    ledger = None if options.ledger is None else str(options.ledger)
    words = same_places(options.output, ledger)
    places = Places(options.ledger_path, options.output, options.output / PAGE, words)
    thumbnails_s = 0.0 if stop.asked else _THUMBNAILS_AT_END_S
    told: str | None = None
    with anyio.move_on_after(_AT_END_S) as limit:
        async with anyio.create_task_group() as group:

            async def leave() -> None:
                await stop.at_once()
                group.cancel_scope.cancel()

            group.start_soon(leave)
            told = await anyio.to_thread.run_sync(partial(_told, places, thumbnails_s), abandon_on_cancel=True)
            group.cancel_scope.cancel()
    return f"no report: it took more than {_AT_END_S:.0f} s" if limit.cancelled_caught else told


def _told(places: Places, thumbnails_s: float) -> str:
    try:
        return f"Report: {write_report(places, Scope(), thumbnails_s=thumbnails_s).page}"
    except (FluxbatchError, OSError, ValueError) as error:
        return f"no report: {error}"


def _scope(about: str | None) -> Scope:
    """What is meant: a manifest where there is such a file, a run where it looks like one, else a manifest's name."""
    if about is None:
        return Scope()
    file = Path(about)
    if file.suffix.lower() in {".yaml", ".yml"}:
        return Scope(manifest=load_manifest(file).name)
    return Scope(run=about) if _is_run(about) else Scope(manifest=about)


def _is_run(about: str) -> bool:
    """Whether it is written as ids of runs are: a time, and a random tail."""
    start, _, tail = about.partition("-")
    return len(start) == 15 and start[8] == "T" and len(tail) == 6 and start.replace("T", "").isdigit()


def _page_name(scope: Scope) -> str:
    about = scope.run or scope.manifest
    if about is None:
        return PAGE
    safe = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in about)[:80]
    return f"{Path(PAGE).stem}-{safe}{Path(PAGE).suffix}"


def _as_json(made: Report, sheet: Path | None, drawn: int | None) -> dict[str, object]:
    return {
        "report": str(made.page),
        "rows": made.rows,
        "shown": made.shown,
        "thumbnails": made.thumbnails,
        "contact_sheet": None if sheet is None else str(sheet),
        "contact_sheet_pictures": drawn,
        "exit_code": int(ExitCode.OK),
    }
