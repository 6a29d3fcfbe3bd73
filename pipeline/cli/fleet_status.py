"""``fluxbatch fleet status``: what was submitted, how far it is, who works on it, and what waits and why."""

import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from pipeline.cli.fleet import server_of
from pipeline.cli.options import same_places
from pipeline.cli.plain import plain
from pipeline.cli.tables import stdout_console, table
from pipeline.errors import ExitCode
from pipeline.fleet.engine import STALE_S
from pipeline.fleet.excerpt import Settings
from pipeline.fleet.outage import time_told
from pipeline.ledger import JobState, Server
from pipeline.ledger.postgres.board import PACE_S, BatchLine, Board, WorkerLine
from pipeline.money import format_usd
from pipeline.report import to_json
from pipeline.wording import counted

#: Seconds between two looks.
EVERY_S = 2.0


def show_fleet(ledger: str, output: Path, *, watch: bool, json: bool) -> int:
    """Print it once, or again and again until nothing is left to do."""
    server = server_of(ledger, output)
    with closing(Board(server)) as board:
        if json:
            sys.stdout.write(to_json(_as_json(server, board.batches(), board.workers())) + "\n")
            return int(ExitCode.OK)
        console, words = stdout_console(), same_places(output, ledger)
        if not (watch and console.is_terminal):
            console.print(_page(board.batches(), board.workers(), words))
            while watch and board.is_anything_left():
                time.sleep(EVERY_S)
                console.print(_page(board.batches(), board.workers(), words))
            return int(ExitCode.OK)
        with Live(console=console, auto_refresh=False) as live:
            while True:
                live.update(_page(board.batches(), board.workers(), words), refresh=True)
                if not board.is_anything_left():
                    return int(ExitCode.OK)
                time.sleep(EVERY_S)


def _page(batches: list[BatchLine], workers: list[WorkerLine], words: str) -> RenderableType:
    if not batches:
        return Group(Text("nothing was submitted"), Text(f"-> fluxbatch fleet submit MANIFEST{words}"))
    columns = [("manifest", "left"), ("pictures", "left"), ("shards", "left"), ("a minute", "right")]
    columns += [("spent", "right"), ("unknown", "right"), ("on order", "right"), ("budget", "right")]
    parts: list[RenderableType] = [table(columns, [_row(batch) for batch in batches])]
    parts += [Text(plain(f"{batch.manifest}: {line}")) for batch in batches for line in _waits(batch)]
    parts.append(Text())
    if workers:
        parts.append(
            table([("worker", "left"), ("up", "right"), ("heard", "right"), ("does", "left")], _workers(workers))
        )
    else:
        parts.append(Text("no worker is there"))
    parts.append(Text(f"-> {_next(batches, workers, words)}", overflow="fold"))
    return Group(*parts)


def _row(batch: BatchLine) -> list[str]:
    edition = f" / {batch.edition}" if batch.edition else ""
    settings = Settings.model_validate_json(batch.settings)
    budget = settings.limits.budget_microusd
    return [
        batch.manifest + edition,
        ", ".join(f"{batch.states[state]:,} {state}" for state in JobState if batch.states.get(state)),
        ", ".join(f"{number:,} {what}" for what, number in batch.shards.items() if number),
        f"{batch.stored_lately * 60 / PACE_S:,.0f}",
        f"${format_usd(batch.spent_microusd)}",
        f"${format_usd(batch.unknown_microusd)}",
        f"${format_usd(batch.reserved_microusd)}",
        "" if budget is None else f"${format_usd(budget, places=2)}",
    ]


def _waits(batch: BatchLine) -> list[str]:
    return [f"{counted(number, 'shard')}: {why}" for why, number in sorted(batch.why.items())]


def _workers(workers: list[WorkerLine]) -> list[list[str]]:
    return [
        [
            worker.signature,
            time_told(worker.up_s),
            f"{worker.seen_s:.0f} s ago" if worker.seen_s > STALE_S else "now",
            "silent: dead, asleep or cut off" if worker.seen_s > STALE_S else _does(worker.told),
        ]
        for worker in workers
    ]


def _does(told: dict[str, Any]) -> str:
    shards = [
        f"{each['shard']}: {each['stored']:,} of {each['to_buy']:,} stored, {each['in_flight']:,} in flight"
        + (f", waits: {each['waiting']}" if each["waiting"] else "")
        for each in told.get("shards", [])
    ]
    if rests := told.get("rests"):
        shards.append(f"rests for {time_told(rests['for_s'])}: {rests['why']}")
    return plain("; ".join(shards)) or ("ending" if told.get("ending") else "waits for a shard")


def _next(batches: list[BatchLine], workers: list[WorkerLine], words: str) -> str:
    if any(batch.is_open for batch in batches):
        heard = any(worker.seen_s <= STALE_S for worker in workers)
        return f"fluxbatch fleet status --watch{words}" if heard else f"fluxbatch fleet worker{words}"
    if any(batch.unknown_microusd for batch in batches):
        return f"fluxbatch reconcile{words}"
    if any(batch.states.get(JobState.PLANNED) for batch in batches):
        return f"fluxbatch fleet submit MANIFEST{words} (with a larger --budget, where that was reached)"
    return f"fluxbatch report{words}"


def _as_json(server: Server, batches: list[BatchLine], workers: list[WorkerLine]) -> dict[str, Any]:
    return {
        "ledger": str(server),
        "manifests": [
            {
                "manifest": batch.manifest,
                "edition": batch.edition,
                "shards": batch.shards,
                "waits": batch.why,
                "states": {str(state): number for state, number in batch.states.items()},
                "stored_last_minute": batch.stored_lately,
                "spend_usd": format_usd(batch.spent_microusd),
                "unknown_usd": format_usd(batch.unknown_microusd),
                "on_order_usd": format_usd(batch.reserved_microusd),
            }
            for batch in batches
        ],
        "workers": [
            {
                "worker": worker.signature,
                "seen_s": round(worker.seen_s, 1),
                "up_s": round(worker.up_s, 1),
                **worker.told,
            }
            for worker in workers
        ],
        "exit_code": int(ExitCode.OK),
    }


__all__ = ["show_fleet"]
