"""``python -m benchmarks.processes``: what a run gains when it is divided over processes."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.measuring import measured, provider, till
from benchmarks.ours import write_manifest
from benchmarks.telling import machine

#: Starting the command, reading its manifest, and the report take as long however many pictures there are.
_QUIET = ("--quiet", "--json", "--no-report", "--yes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One run: its time on the clock, and what it and the provider took of the processors.

    Attributes:
        wall_s: Of the run by its own count, which begins after the command has started.
        whole_s: Of the command, to which the processors' times belong.
    """

    wall_s: float
    whole_s: float
    cpu_s: float
    provider_s: float


def main(words: Sequence[str] | None = None) -> int:
    """Run each number of processes in turn, again and again, and compare within the rounds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.processes", description=__doc__)
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--latency", type=float, default=0.02, help="seconds the provider takes for a picture")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--size", choices=("small", "large"), action="append")
    parser.add_argument("--folder", type=Path, help="where pictures go meanwhile; a disk, not memory")
    given = parser.parse_args(words)
    _say(f"{machine()}\n{given.pictures} pictures, {given.rounds} rounds, {given.concurrency} at once\n")
    for size in given.size or ["small", "large"]:
        with (
            TemporaryDirectory(prefix="bench-", dir=given.folder) as folder,
            provider(size, latency_s=given.latency) as base_url,
        ):
            os.environ["FLUXBATCH_BASE_URL"] = base_url
            till(base_url)
            manifest = write_manifest(Path(folder), given.pictures, given.concurrency)
            rounds = [
                (_run(manifest, base_url, 1), _run(manifest, base_url, given.processes)) for _ in range(given.rounds)
            ]
        _tell(size, given.pictures, given.processes, rounds)
    return 0


def _run(manifest: Path, base_url: str, processes: int) -> Round:
    output = manifest.parent / "output"
    words = [sys.executable, "-m", "pipeline", "run", str(manifest), "--output", str(output)]
    cost = measured([*words, "--processes", str(processes), *_QUIET])
    counts = till(base_url)
    told = json.loads(cost.output)
    assert told["stored"] == counts["charges"], told  # noqa: S101 - a figure of a run that failed is none
    rmtree(output)
    return Round(wall_s=told["elapsed_s"], whole_s=cost.wall_s, cpu_s=cost.cpu_s, provider_s=counts["cpu_s"])


def _tell(size: str, pictures: int, processes: int, rounds: Sequence[tuple[Round, Round]]) -> None:
    one, more = zip(*rounds, strict=True)
    _say(f"{size} pictures\n")
    _say("| processes | pictures/s | CPU ms a picture | busy processors | with the provider |")
    _say("| --- | --- | --- | --- | --- |")
    for number, runs in ((1, one), (processes, more)):
        rate = median(pictures / run.wall_s for run in runs)
        cpu = median(1000 * run.cpu_s / pictures for run in runs)
        busy = median(run.cpu_s / run.whole_s for run in runs)
        both = median((run.cpu_s + run.provider_s) / run.whole_s for run in runs)
        _say(f"| {number} | {rate:.0f} | {cpu:.2f} | {busy:.2f} | {both:.2f} |")
    gains = sorted(single.wall_s / several.wall_s for single, several in rounds)
    _say(f"\nThroughput: x{median(gains):.2f} (from {gains[0]:.2f} to {gains[-1]:.2f}).")
    worth = median(single.cpu_s / several.cpu_s for single, several in rounds)
    _say(f"By processor time alone, with a processor for each process: x{processes * worth:.2f}.\n")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
