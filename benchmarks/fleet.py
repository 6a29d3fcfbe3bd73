"""``python -m benchmarks.fleet``: what more workers bring, and what their database takes for each picture."""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measuring import provider, till
from benchmarks.ours import write_manifest
from benchmarks.telling import machine
from pipeline import Ledger
from tests import postgres

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Some workers on a manifest of their own.

    Attributes:
        wall_s: From the first answer to the last picture stored.
        busy: Processors that workers, database and provider kept busy meanwhile.
    """

    workers: int
    pictures: int
    wall_s: float
    workers_s: float
    database_s: float
    provider_s: float

    @property
    def per_s(self) -> float:
        """Pictures a second."""
        return self.pictures / self.wall_s

    @property
    def busy(self) -> float:
        """Processors that all of it kept busy; starting counts, too."""
        return (self.workers_s + self.database_s + self.provider_s) / self.wall_s


def main(words: Sequence[str] | None = None) -> int:
    """Let 1, 2, 4 workers do as much each, and compare."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet", description=__doc__)
    parser.add_argument("--pictures", type=int, default=600, help="for each worker")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--concurrency", type=int, default=16, help="requests in flight of each worker")
    parser.add_argument("--latency", type=float, default=1.0, help="seconds the provider takes for a picture")
    parser.add_argument("--shard", type=int, default=200)
    given = parser.parse_args(words)
    _say(
        f"{machine()}\n{given.pictures} pictures for each worker, {given.concurrency} at once, {given.latency:g} s each"
    )
    _say("")
    _say("| workers | pictures/s | of linear | CPU ms a picture: workers | database | busy processors |")
    _say("| --- | --- | --- | --- | --- | --- |")
    first: Round | None = None
    with provider("small", latency_s=given.latency) as base_url, postgres.running() as server:
        os.environ |= {"FLUXBATCH_BASE_URL": base_url, "FLUXBATCH_API_KEY": "k"}
        for workers in given.workers:
            till(base_url)
            done = _round(server, base_url, workers, given)
            first = first or done
            linear = done.per_s / done.workers / (first.per_s / first.workers)
            each = 1000 / done.pictures
            _say(
                f"| {workers} | {done.per_s:.1f} | {linear:.0%} | {done.workers_s * each:.1f}"
                f" | {done.database_s * each:.2f} | {done.busy:.2f} |"
            )
    return 0


def _round(server: postgres.Postgres, base_url: str, workers: int, given: argparse.Namespace) -> Round:
    with server.database() as url, TemporaryDirectory(prefix="bench-") as folder:
        pictures = given.pictures * workers
        manifest = write_manifest(Path(folder), pictures, given.concurrency)
        output = Path(folder) / "output"
        places = ["--ledger", url, "--output", str(output)]
        command = [sys.executable, "-m", "pipeline", "fleet"]
        submit = [*command, "submit", str(manifest), "--shard-size", str(given.shard), "--yes", *places]
        subprocess.run(submit, check=True, capture_output=True)
        before_s, database_s = _children_s(), _database_s(server)
        running = [
            subprocess.Popen(
                [*command, "worker", "--until-done", "--json", *places],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            for _ in range(workers)
        ]
        told = [json.loads(process.communicate()[0]) for process in running]
        database_s = _database_s(server) - database_s
        workers_s = _children_s() - before_s
        counts = till(base_url)
        stored = sum(each["stored"] for each in told)
        assert stored == counts["charges"] == pictures, told  # noqa: S101 - a figure of a run that failed is none
        with Ledger(url, output=output) as ledger:
            rows = list(ledger.rows())
    wall_s = _seconds(max(str(row.stored_at) for row in rows)) - _seconds(min(str(row.bought_at) for row in rows))
    return Round(
        workers=workers,
        pictures=pictures,
        wall_s=wall_s + given.latency,
        workers_s=workers_s,
        database_s=database_s,
        provider_s=counts["cpu_s"],
    )


def _seconds(iso: str) -> float:
    return datetime.fromisoformat(iso).timestamp()


def _children_s() -> float:
    times = os.times()
    return times.children_user + times.children_system


def _database_s(server: postgres.Postgres) -> float:
    """What the server's processes have taken of the processors, those that have ended included."""
    parent = int(Path(server.server.pgdata, "postmaster.pid").read_text().split()[0])
    total = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(entry.name) == parent or int(fields[1]) == parent:
                own = fields[11:15] if int(entry.name) == parent else fields[11:13]
                total += sum(map(int, own))
    return total / _TICKS


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
