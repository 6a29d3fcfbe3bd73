"""``fluxbatch fleet submit``, ``worker`` and ``cancel``: work handed out, done, and called off."""

import signal
import sys
from contextlib import closing, nullcontext
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from pipeline.cli.options import ledger_path, same_places
from pipeline.cli.running import ask_to_spend
from pipeline.cli.tables import say, stdout_console
from pipeline.cli.voice import speaking
from pipeline.clock import SystemClock
from pipeline.errors import ExitCode, UsageError
from pipeline.fleet import Submitted, Worker, WorkerOptions, submit
from pipeline.ledger import Server
from pipeline.ledger.postgres.board import Board
from pipeline.manifest import Manifest, load_manifest
from pipeline.money import format_usd
from pipeline.report import to_json
from pipeline.report.logfile import LogFile
from pipeline.runner import RunOptions, Stop, asked_by_signals, in_thread, unless_stopped
from pipeline.runner.loop import run_loop
from pipeline.wording import counted


def server_of(ledger: str, output: Path) -> Server:
    """The server that a fleet's command names.

    Raises:
        UsageError: It names a file.
    """
    found = ledger_path(output, ledger)
    if not isinstance(found, Server):
        raise UsageError(f"--ledger {ledger}: a fleet's ledger is on a server", remedy="postgresql://HOST/DATABASE")
    return found


def submit_manifests(paths: list[Path], options: RunOptions, *, size: int, yes: bool, json: bool) -> int:
    """Hand each manifest out; all of them are read first, so that a bad one keeps any from being."""
    server = server_of(str(getattr(options.ledger, "url", options.ledger)), options.output)
    err = Console(stderr=True, highlight=False)
    options = replace(options, ledger=server)
    if not yes and sys.stdin.isatty() and err.is_terminal:
        options = replace(options, confirm=partial(ask_to_spend, err))
    options = speaking(options, err, quiet=True, log_json=False, file=None)
    found: list[Submitted] = []

    async def work() -> None:
        stop = Stop()
        async with asked_by_signals(stop, options.notice):
            manifests: list[Manifest] = await unless_stopped(stop, in_thread(lambda: list(map(load_manifest, paths))))
            for manifest in manifests:
                found.append(await unless_stopped(stop, partial(submit, manifest, options, size=size)))  # noqa: PERF401 - shown so far, whatever the next comes to

    run_loop(work)
    words = same_places(options.output, server.url)
    if json:
        told = [_as_json(each, server, options) for each in found]
        sys.stdout.write(to_json(told[0] if len(told) == 1 else {"manifests": told, "exit_code": 0}) + "\n")
        return int(ExitCode.OK)
    console = stdout_console()
    for each in found:
        say(console, _sentence(each))
    new = any(each.new or each.waiting for each in found)
    say(console, f"-> fluxbatch fleet {'worker' if new else 'status'}{words}")
    return int(ExitCode.OK)


def _sentence(made: Submitted) -> str:
    edition = f" / {made.edition}" if made.edition else ""
    counts = (
        (made.waiting, "handed out before"),
        (made.there, "settled already"),
        (made.unfit, "that do not fit"),
    )
    rest = "".join(f", {number:,} {what}" for number, what in counts if number)
    budget = "" if made.budget_microusd is None else f"; the budget is ${format_usd(made.budget_microusd, places=2)}"
    shards = f" in {counted(made.shards, 'shard')}" if made.shards else ""
    return f"{made.manifest}{edition}: {made.new:,} of {counted(made.jobs, 'job')} handed out{shards}{rest}{budget}"


def _as_json(made: Submitted, server: Server, options: RunOptions) -> dict[str, Any]:
    told = asdict(made)
    budget = told.pop("budget_microusd")
    return told | {
        "budget_usd": None if budget is None else format_usd(budget, places=2),
        "ledger": str(server),
        "output": str(options.output),
        "exit_code": int(ExitCode.OK),
    }


def run_worker(
    options: RunOptions,
    *,
    shards: int,
    until_done: bool,
    outage_s: float,
    log_json: bool,
    log_file: Path | None,
    json: bool,
) -> int:
    """Work until a signal asks to stop, or nothing is left."""
    server = server_of(str(getattr(options.ledger, "url", options.ledger)), options.output)
    own = WorkerOptions(concurrency=options.concurrency, shards=shards, until_done=until_done, outage_s=outage_s)
    with LogFile(log_file, SystemClock()) if log_file else nullcontext() as file:
        err = Console(stderr=True, highlight=False)
        options = speaking(options, err, quiet=False, log_json=log_json, file=file)
        code, worker = ExitCode.OK, None

        async def work() -> None:
            nonlocal code, worker
            stop = Stop()
            worker = Worker(server=server, run_options=options, options=own, stop=stop)
            async with asked_by_signals(stop, options.notice):
                code = await worker.work()

        run_loop(work)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # all is written down: only to be told
            signal.signal(number, signal.SIG_IGN)
        assert worker is not None  # noqa: S101 - it has worked
        done = worker.done
        told = f"{counted(done.shards, 'shard')}, {counted(done.stored, 'picture')} stored,"
        options.notice(f"{told} ${format_usd(done.spent_microusd)} spent here")
    if json:
        sys.stdout.write(
            to_json(
                {
                    "shards": done.shards,
                    "stored": done.stored,
                    "spend_usd": format_usd(done.spent_microusd),
                    "ledger": str(server),
                    "output": str(server.folder),
                    "exit_code": int(code),
                }
            )
            + "\n"
        )
    return int(code)


def cancel_manifests(ledger: str, output: Path, names: list[str], *, everything: bool, json: bool) -> int:
    """End what is left of some manifests, or of all."""
    if bool(names) == everything:
        raise UsageError("name manifests, or say --all", remedy="`fluxbatch fleet status` names them")
    server = server_of(ledger, output)
    with closing(Board(server)) as board:
        ended = board.cancel(None) if everything else {}
        for name in names:
            ended |= board.cancel(name)
    if json:
        sys.stdout.write(to_json({"cancelled": ended, "ledger": str(server), "exit_code": int(ExitCode.OK)}) + "\n")
        return int(ExitCode.OK)
    console = stdout_console()
    for name, number in ended.items():
        say(console, f"{name}: {counted(number, 'shard')} called off" if number else f"{name}: nothing was left to do")
    if not ended:
        say(console, "nothing was submitted")
    say(console, f"-> fluxbatch fleet status{same_places(output, ledger)}")
    return int(ExitCode.OK)


__all__ = ["cancel_manifests", "run_worker", "server_of", "submit_manifests"]
