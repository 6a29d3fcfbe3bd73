"""``fluxbatch run``: manifests in, progress while it goes on, a summary and an exit code at the end."""

import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
from rich.console import Console

from pipeline.cli.aftermath import Aftermath
from pipeline.cli.plain import plain
from pipeline.cli.reporting import report_at_end
from pipeline.cli.tables import show_summary
from pipeline.cli.voice import speaking
from pipeline.clock import SystemClock
from pipeline.errors import ExitCode, FluxbatchError, most_serious
from pipeline.manifest import Manifest, load_manifest
from pipeline.money import format_usd
from pipeline.plan import Plan
from pipeline.report import Snapshot, Summary, combined, to_json
from pipeline.report.ending import Ending, code_of, told_of
from pipeline.report.events import EventName, Notice
from pipeline.report.logfile import LogFile
from pipeline.runner import RunOptions, Stop, asked_by_signals, check_sellers, in_thread, run_async, unless_stopped
from pipeline.runner.loop import run_loop
from pipeline.runner.news import is_news

#: What ends a run for reasons that the manifests after it would meet too.
_STOPS = {ExitCode.BUG, ExitCode.STORAGE, ExitCode.ACCOUNT, ExitCode.UNAVAILABLE, ExitCode.TEMPORARY}


@dataclass(frozen=True, slots=True, kw_only=True)
class Showing:
    """How runs are shown besides their progress and summary: a report at the end, and a live page, opened or not."""

    report: bool = True
    watch: bool = False
    show: bool = False


def run_manifests(
    paths: list[Path],
    options: RunOptions,
    *,
    yes: bool,
    json: bool,
    quiet: bool,
    showing: Showing,
    log_json: bool = False,
    metrics_file: Path | None = None,
    log_file: Path | None = None,
) -> int:
    """Run each manifest in turn; all of them are read first, so that a bad one keeps anything from being bought.

    Args:
        log_json: Standard error is one JSON object for each event, and nothing else.
        log_file: Every event goes there as well.

    Raises:
        OutputError: The log's file cannot be made.
    """
    with LogFile(log_file, SystemClock()) if log_file else nullcontext() as file:
        err = Console(stderr=True, highlight=False)
        options = speaking(options, err, quiet=quiet, log_json=log_json, file=file)
        if not yes and not log_json and sys.stdin.isatty() and err.is_terminal:
            options = replace(options, confirm=partial(ask_to_spend, err))
        people = err if json or quiet else Console(highlight=False)
        out = None if log_json and people is err else people
        batch = _Batch(options, out=out, quiet=quiet, showing=showing)
        aftermath = Aftermath(metrics_file=metrics_file, notice=options.notice, environment=options.environment)
        try:
            run_loop(batch.run, paths)
        except BaseException as error:  # told to whoever does not watch, and raised again
            if file is not None:
                file.log(EventName.COMMAND_FAILED, {"message": told_of(error), "exit_code": int(code_of(error))})
            aftermath.tell(batch.endings(paths, code_of(error), told_of(error)), batch.manifests)
            raise
        finally:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # all is written down: only to be told
                signal.signal(number, signal.SIG_IGN)
        aftermath.tell(batch.endings(paths, batch.exit_code), batch.manifests)
    if json:
        sys.stdout.write(to_json(batch.as_json()) + "\n")
    return int(batch.exit_code)


class _Batch:
    """Several manifests, one after the other, under one pair of signals."""

    def __init__(self, options: RunOptions, *, out: Console | None, quiet: bool, showing: Showing) -> None:
        self._options = options
        self._out = out
        self._quiet = quiet
        self._showing = showing
        self._summaries: list[Summary] = []
        self._error: FluxbatchError | None = None
        self._unbegun = 0
        self._skipped = 0
        self._several = False
        self.manifests: dict[str, Manifest] = {}

    async def run(self, paths: list[Path]) -> None:
        self._several = len(paths) > 1
        stop = Stop()
        options = replace(self._options, stop=stop)
        async with asked_by_signals(stop, options.notice):
            manifests = await unless_stopped(stop, in_thread(_load, paths))
            self.manifests = {str(manifest.path): manifest for manifest in manifests}
            for manifest in manifests:
                check_sellers(manifest.profiles, options.environment)
                options.processes_of(manifest)
            async with self._window(options, stop, manifests) as watched:
                for manifest in manifests:
                    if stop.asked or self._ended:
                        break
                    await self._run_one(manifest, watched)
            if self._showing.report and self._summaries:
                await self._tell_report(options, stop)
        self._show(self._summaries[-1:])
        await self._leave(manifests[len(self._summaries) + (self._error is not None) :])

    @asynccontextmanager
    async def _window(self, options: RunOptions, stop: Stop, manifests: list[Manifest]) -> AsyncIterator[RunOptions]:
        """Serve the live page for the length of the block, where it is asked for; the options that feed it."""
        if not self._showing.watch:
            yield options
            return
        from pipeline.cli.watching import Window

        only = manifests[0].name if len(manifests) == 1 else None
        window = Window(options, stop, manifest=only, show=self._showing.show)
        usual = options.watch

        async def watch(snapshot: Callable[[], Snapshot]) -> None:
            window.snapshot = snapshot
            await (usual(snapshot) if usual is not None else anyio.sleep_forever())

        async with window.open():
            yield replace(options, watch=watch)

    async def _tell_report(self, options: RunOptions, stop: Stop) -> None:
        told = await report_at_end(options, stop)
        if told is not None and told.startswith("no report"):
            options.notice(told)
        elif told is not None and not self._quiet and self._out is not None:
            self._out.print(plain(told), markup=False, soft_wrap=True)

    async def _leave(self, manifests: list[Manifest]) -> None:
        """Say which manifests were not begun, and count their jobs as skipped."""
        self._unbegun = len(manifests)
        for manifest in manifests:
            self._skipped += await anyio.to_thread.run_sync(manifest.count)
        if manifests:
            told = f"not begun: {', '.join(str(manifest.path) for manifest in manifests)}"
            self._options.notice(Notice.of(EventName.MANIFESTS_NOT_BEGUN, told))

    @property
    def exit_code(self) -> ExitCode:
        """The most serious of what the manifests came to."""
        codes = [summary.exit_code for summary in self._summaries]
        codes += [self._error.exit_code] if self._error else []
        codes += [ExitCode.TEMPORARY] if self._unbegun else []
        return most_serious(codes)

    def as_json(self) -> dict[str, Any]:
        """The contract's object; with the error that kept a later manifest from being run."""
        told = combined(self._summaries, several=self._several) | {"exit_code": int(self.exit_code)}
        told |= {"jobs": told["jobs"] + self._skipped, "skipped": told["skipped"] + self._skipped}
        if self._error is not None:
            told |= {"error": self._error.message, "remedy": self._error.remedy}
        return told

    def endings(self, paths: list[Path], code: ExitCode, error: str = "") -> list[Ending]:
        """How each manifest's run ended.

        Args:
            code: What those end with that came to no summary.
            error: What broke the first of them, and kept the others from being run.
        """
        done = {summary.manifest_path: summary for summary in self._summaries}
        error = told_of(self._error) if self._error else error
        found = []
        for path in map(str, paths):
            if summary := done.get(path):
                made = Ending(manifest=summary.manifest, path=path, exit_code=summary.exit_code, summary=summary)
            else:
                name = self.manifests[path].name if path in self.manifests else Path(path).stem
                made = Ending(manifest=name, path=path, exit_code=code, error=error)
                error = ""
            found.append(made)
        return found

    @property
    def _ended(self) -> bool:
        return self._error is not None or any(summary.exit_code in _STOPS for summary in self._summaries)

    async def _run_one(self, manifest: Manifest, options: RunOptions) -> None:
        try:
            summary = await run_async(manifest, options)
        except FluxbatchError as error:
            if not self._summaries:
                raise  # nothing has been bought: the error alone is the outcome
            self._error = error
            told = f"fluxbatch: {manifest.path}: {error}"
            options.notice(Notice.of(EventName.COMMAND_FAILED, told, exit_code=int(error.exit_code)))
            return
        self._show(self._summaries[-1:])  # the last one's waits for the report, so that it ends with what to do next
        self._summaries.append(summary)

    def _show(self, summaries: list[Summary]) -> None:
        for summary in summaries:
            news = summary.exit_code is not ExitCode.OK and is_news(summary)
            if self._out is not None and (not self._quiet or news):
                show_summary(self._out, summary)


def _load(paths: list[Path]) -> list[Manifest]:
    return [load_manifest(path) for path in paths]


async def ask_to_spend(console: Console, plan: Plan) -> bool:
    """Ask a person whether to go on without a budget."""
    pictures = f"{plan.to_buy:,} picture{'s' if plan.to_buy != 1 else ''}"
    cost = format_usd(plan.worst_case_microusd)
    console.print(f"No budget is set. This run would buy {pictures} for at most ${cost}, and not a cent more.")
    console.print("Go on? [y/N] ", markup=False, end="")
    await anyio.wait_readable(sys.stdin)  # a thread that reads could not be left alone: it would keep the process
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
