"""What a contest came to, as a table that can be put into a document as it is."""

import os
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path

from benchmarks.contest import Record

_HEAD = (
    "contender",
    "CPU a picture",
    "spread",
    "ratio",
    "wall",
    "peak memory",
    "URL age, median and most",
    "429",
    "provider's CPU",
)


def table(records: Sequence[Record]) -> str:
    """One row a contender; ratios are to the first one's processor time."""
    base = records[0].cpu
    rows = [_HEAD, ("---",) * len(_HEAD), *(_row(record, base) for record in records)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def machine() -> str:
    """Where it was measured, and how busy that was."""
    cores = len(os.sched_getaffinity(0))
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    return f"{_processor()}, {cores} cores, {system}; load {load}"


def _row(record: Record, base: float) -> tuple[str, ...]:
    ages = record.ages_s
    age = f"{statistics.median(ages):.3f} s, {max(ages):.3f} s" if ages else "not told"
    return (
        record.contender.name + ("" if record.contender.asks else " (downloads only)"),
        f"{record.cpu:.2f} ms",
        f"{min(record.cpu_ms):.2f} to {max(record.cpu_ms):.2f}",
        f"{record.cpu / base:.1f}" if base > 0 else "",
        f"{statistics.median(record.wall_s):.1f} s",
        f"{max(record.peak_mib):.0f} MiB",
        age,
        f"{100 * statistics.median(record.throttled):.0f} %" if record.contender.asks else "",
        f"{statistics.median(record.provider_ms):.2f} ms",
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
