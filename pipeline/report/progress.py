"""Showing a run while it goes on: a live display on a terminal, a plain line every few seconds elsewhere."""

from collections.abc import Callable
from dataclasses import asdict
from typing import IO

import anyio
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pipeline.money import format_usd
from pipeline.report.events import EventName, Log
from pipeline.report.snapshot import Snapshot

#: Seconds between two looks on a terminal, and between two plain lines elsewhere.
LIVE_EVERY_S = 0.2
LINE_EVERY_S = 5.0


async def show_live(snapshot: Callable[[], Snapshot], console: Console) -> None:
    """Keep a live display up to date until cancelled; the last state stays on the screen."""
    with Live(console=console, auto_refresh=False, transient=False) as live:
        try:
            while True:
                live.update(picture_of(snapshot(), width=console.width), refresh=True)
                await anyio.sleep(LIVE_EVERY_S)
        finally:
            live.update(picture_of(snapshot(), width=console.width), refresh=True)


async def show_lines(snapshot: Callable[[], Snapshot], stream: IO[str], *, every_s: float = LINE_EVERY_S) -> None:
    """Print one plain line every few seconds until cancelled."""
    while True:
        await anyio.sleep(every_s)
        print(line_of(snapshot()), file=stream, flush=True)


async def show_events(log: Log, snapshot: Callable[[], Snapshot], *, every_s: float = LINE_EVERY_S) -> None:
    """Log how far the run is every few seconds until cancelled."""
    while True:
        await anyio.sleep(every_s)
        now = asdict(snapshot())
        for name in ("spent", "budget"):
            amount = now.pop(f"{name}_microusd")
            now[f"{name}_usd"] = None if amount is None else format_usd(amount)
        log(EventName.PROGRESS, now)


def line_of(now: Snapshot) -> str:
    """One moment in one line, the most important first."""
    of = f"/{now.total:,}" if now.total is not None else ""
    kept = now.seen - now.to_buy
    parts = [f"{now.stored + kept:,}{of} there"]
    parts += [f"{kept:,} kept from before"] if kept else []
    parts += [f"{now.in_flight} in flight", f"{now.queued} to fetch", f"${format_usd(now.spent_microusd)} spent"]
    parts += [f"{now.failed} failed"] if now.failed else []
    parts += [f"{now.unknown} unknown"] if now.unknown else []
    parts += [f"{_clock(now.left_s)} left"] if now.left_s is not None else []
    if now.stopping:
        parts.append("stopping: nothing more is bought, what is paid is fetched")
    elif now.waiting:
        parts.append(now.waiting)
    return f"[{_clock(now.elapsed_s)}] " + " · ".join(parts)


def picture_of(now: Snapshot, *, width: int) -> Group:
    """One moment as a few lines: a bar, the counts, the money, and why it waits when it waits."""
    kept = now.seen - now.to_buy
    there = now.stored + kept
    bar = Table.grid(padding=(0, 1), expand=False)
    total = now.total if now.total is not None else max(now.seen, 1)
    of = f"{now.total:,}" if now.total is not None else "…"
    left = f"{_clock(now.left_s)} left" if now.left_s is not None else _clock(now.elapsed_s)
    bar.add_row(
        ProgressBar(total=max(total, 1), completed=there, width=max(10, min(40, width - 40))),
        Text(f"{there:,}/{of}", style="bold"),
        Text(left, style="dim"),
    )
    counts = Text("  ".join((f"bought {now.bought}", f"in flight {now.in_flight}", f"to fetch {now.queued}")))
    counts.append(f"  stored {now.stored}", style="green")
    if kept:
        counts.append(f"  kept {kept:,}", style="dim")
    if now.failed:
        counts.append(f"  failed {now.failed}", style="red")
    if now.unknown:
        counts.append(f"  unknown {now.unknown}", style="yellow")
    money = Text(f"spent ${format_usd(now.spent_microusd)}")
    if now.budget_microusd is not None:
        money.append(f" of ${format_usd(now.budget_microusd, places=2)}", style="dim")
    lines: list[Table | Text] = [bar, counts, money]
    if now.stopping:
        lines.append(Text("stopping: nothing more is bought, what is paid is fetched", style="yellow"))
    elif now.waiting:
        lines.append(Text(now.waiting, style="yellow"))
    return Group(*lines)


def _clock(seconds: float | None) -> str:
    minutes, rest = divmod(round(seconds or 0.0), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
