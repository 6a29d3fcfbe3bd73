"""This pipeline, whole: durable ledger, proof by a full decode, digest, everything synced."""

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks import loops
from benchmarks.loopwatch import LoopWatch
from benchmarks.pictures import prompt
from pipeline import Ledger, load_manifest
from pipeline.report import Snapshot
from pipeline.runner import RunOptions, run_async
from pipeline.runner.loop import run_loop


def write_manifest(folder: Path, count: int, concurrency: int) -> Path:
    """A manifest with a rows file, so that a run reads its rows as it goes, as large ones do."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = folder / "rows.csv"
    rows.write_text("text\n" + "".join(f'"{prompt(number)}"\n' for number in range(count)))
    limits = {"concurrency": concurrency, "downloads": concurrency, "budget_usd": count}
    head = {"version": 1, "name": "bench", "provider": {"profile": "simulator"}, "limits": limits}
    lines = [f"{key}: {json.dumps(value)}" for key, value in head.items()]
    manifest = folder / "bench.yaml"
    lines += ['output: {folder: "", file: "{index:07}"}', "jobs:", '  - {rows: rows.csv, prompt: "{text}", ratio: 1:1}']
    manifest.write_text("\n".join(lines) + "\n")
    return manifest


def environment(base_url: str) -> Mapping[str, str]:
    """What a run sees, so that it finds the provider."""
    return {**os.environ, "FLUXBATCH_BASE_URL": base_url}


async def _work(errand: loops.Errand) -> loops.Told:
    manifest = load_manifest(write_manifest(errand.output / "manifest", errand.count, errand.concurrency))
    watch = LoopWatch()

    async def look(_: Callable[[], Snapshot]) -> None:
        await watch.look()

    options = RunOptions(output=errand.output, watch=look, environment=environment(errand.base_url))
    summary = await run_async(manifest, options)
    if summary.exit_code:
        sys.exit(f"the run ended with {summary.exit_code}: {summary.notes} {summary.troubles}")
    with Ledger(options.ledger_path) as ledger:
        ages = [row.url_age_s for row in ledger.rows() if row.url_age_s is not None]
    return loops.Told(ages_s=ages, longest_stretch_ms=watch.longest_stretch_ms, longest_wait_ms=watch.longest_wait_ms)


if __name__ == "__main__":
    told = loops.errand()
    loops.tell(run_loop(_work, told))
