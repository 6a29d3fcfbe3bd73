"""``python -m benchmarks.scale``: what many rows cost: plan, rerun, what people ask of their ledger, start-up."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.full_ledger import fill, write_manifest
from benchmarks.measuring import Cost, measured
from benchmarks.telling import machine

_ROWS = 1_000_000
#: Rows of the manifest that is YAML throughout: as many as are meant to stand in one.
_YAML_ROWS = 100_000
#: Nobody listens there: what is all stored asks nobody.
_NOWHERE = "http://127.0.0.1:9/v1"


def main(words: Sequence[str] | None = None) -> int:
    """Make a folder of many stored rows, and measure commands on it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--rows", type=int, default=_ROWS)
    parser.add_argument("--yaml-rows", type=int, default=_YAML_ROWS)
    parser.add_argument("--folder", type=Path, help="where the folder is made meanwhile")
    given = parser.parse_args(words)
    _say(f"{machine()}\n{given.rows:,} rows\n")
    _say("| what | CPU | wall | peak memory |\n| --- | --- | --- | --- |")
    with TemporaryDirectory(prefix="scale-", dir=given.folder) as folder:
        for what, cost in _costs(Path(folder), given.rows, given.yaml_rows):
            _say(f"| {what} | {cost.cpu_s:.2f} s | {cost.wall_s:.2f} s | {cost.peak_mib:.0f} MiB |")
        size = sum(file.stat().st_size for file in Path(folder, "full/output").glob("ledger.db*"))
        _say(f"\nThe ledger takes {size / given.rows:.0f} bytes a job.")
    return 0


def _costs(folder: Path, rows: int, yaml_rows: int) -> Iterator[tuple[str, Cost]]:
    """Each thing measured, with what it is."""
    new = write_manifest(folder / "new", rows)
    yield "`fluxbatch --help`", _fluxbatch("--help")
    yaml = _yaml(folder, yaml_rows)
    yield f"`plan` of {yaml_rows:,} rows in YAML", _fluxbatch("plan", str(yaml), "--output", str(folder))
    yield "`plan`, all new", _fluxbatch("plan", str(new), "--output", str(folder / "new"))
    full = fill(folder / "full", rows)
    output = ["--output", str(folder / "full/output")]
    ledger = ["--ledger", str(folder / "full/output/ledger.db")]
    yield "`plan`, all stored", _fluxbatch("plan", str(full), *output)
    yield "`run`, all stored", _fluxbatch("run", str(full), *output, "--quiet")
    yield "`status`", _fluxbatch("status", *ledger)
    yield "`ledger spend`", _fluxbatch("ledger", "spend", *ledger)
    yield "`ledger export`", _fluxbatch("ledger", "export", *ledger, "--to", str(folder / "rows.jsonl"))


def _yaml(folder: Path, rows: int) -> Path:
    manifest = folder / "rows.yaml"
    jobs = "".join(f"  - [a quiet harbour with {number} boats, 3:2, flux-kontext-pro]\n" for number in range(rows))
    manifest.write_text(f"version: 1\nname: rows\nprovider: simulator\njobs:\n{jobs}")
    return manifest


def _fluxbatch(*words: str) -> Cost:
    return measured(["env", f"FLUXBATCH_BASE_URL={_NOWHERE}", sys.executable, "-m", "pipeline", *words])


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
