"""``fluxbatch run``: manifests in, progress while it goes on, a summary and an exit code at the end."""

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import anyio
from rich.console import Console

from pipeline.cli.tables import show_summary
from pipeline.errors import ExitCode, most_serious
from pipeline.manifest import load_manifest
from pipeline.money import format_usd
from pipeline.plan import Plan
from pipeline.report import Snapshot, Summary, combined, to_json
from pipeline.report.progress import show_lines, show_live
from pipeline.runner import RunOptions, run_async

#: What ends a run for reasons that the manifests after it would meet too.
_STOPS = {ExitCode.BUG, ExitCode.STORAGE, ExitCode.ACCOUNT, ExitCode.UNAVAILABLE, ExitCode.TEMPORARY}


def run_manifests(paths: list[Path], options: RunOptions, *, yes: bool, json: bool, quiet: bool) -> int:
    """Run each manifest in turn; all of them are read first, so that a bad one keeps anything from being bought."""
    manifests = [load_manifest(path) for path in paths]
    err = Console(stderr=True, highlight=False)
    out = err if json else Console(highlight=False)
    options = replace(
        options,
        handle_signals=True,
        notice=partial(_notice, err),
        watch=None if quiet else partial(_watch, err),
        confirm=None if yes or not (sys.stdin.isatty() and err.is_terminal) else partial(_confirm, err),
    )
    summaries: list[Summary] = []
    for manifest in manifests:
        summary = anyio.run(partial(run_async, manifest, options), backend_options={"use_uvloop": _uvloop()})
        summaries.append(summary)
        if not quiet or summary.exit_code is not ExitCode.OK:
            show_summary(err if quiet else out, summary)
        if summary.stopped or summary.exit_code in _STOPS:
            break
    unbegun = [str(manifest.path) for manifest in manifests[len(summaries) :]]
    codes = [summary.exit_code for summary in summaries]
    if unbegun:
        _notice(err, f"not begun: {', '.join(unbegun)}")
        codes.append(ExitCode.TEMPORARY)
    code = most_serious(codes)
    if json:
        sys.stdout.write(to_json(combined(summaries) | {"exit_code": int(code)}) + "\n")
    return int(code)


def _notice(console: Console, text: str) -> None:
    console.print(text, markup=False)


async def _watch(console: Console, snapshot: Callable[[], Snapshot]) -> None:
    if console.is_terminal:
        await show_live(snapshot, console)
    else:
        await show_lines(snapshot, sys.stderr)


def _confirm(console: Console, plan: Plan) -> bool:
    cost = format_usd(plan.worst_case_microusd)
    console.print(
        f"No budget is set. This run would buy {plan.to_buy:,} pictures for at most ${cost}, and not a cent more."
    )
    return console.input("Go on? [y/N] ", markup=False).strip().lower() in {"y", "yes"}


def _uvloop() -> bool:
    return find_spec("uvloop") is not None
