"""``fluxbatch check``: whether a manifest could be run; quick, because it loads nothing that buys."""

import shlex
import sys
from pathlib import Path

from pipeline.cli.plain import plain
from pipeline.errors import ExitCode
from pipeline.job import UnfitRow
from pipeline.manifest import load_manifest
from pipeline.report import to_json
from pipeline.wording import counted

#: Unfit rows shown one by one; the rest are counted.
SHOWN_ROWS = 20


def check_manifest(path: Path, *, json: bool) -> int:
    """Read a manifest and every row; list the rows that make no job."""
    manifest = load_manifest(path)
    jobs = 0
    unfit: list[str] = []
    beyond = 0
    for row in manifest.jobs():
        jobs += 1
        if not isinstance(row, UnfitRow):
            continue
        if len(unfit) < SHOWN_ROWS:
            unfit.append(f"{row.source}: {row.message}")
        else:
            beyond += 1
    code = ExitCode.MANIFEST if unfit else ExitCode.OK
    if json:
        found = {"manifest": manifest.name, "jobs": jobs, "unfit": len(unfit) + beyond, "problems": unfit}
        sys.stdout.write(to_json({**found, "exit_code": int(code)}) + "\n")
        return int(code)
    for problem in unfit:
        sys.stderr.write(plain(problem) + "\n")
    if beyond:
        sys.stderr.write(f"and {beyond:,} more\n")
    good = f"{plain(str(path))}: {counted(jobs - len(unfit) - beyond, 'job')}"
    misfits = counted(len(unfit) + beyond, "row does not fit", "rows do not fit")
    sys.stdout.write(f"{good}, {misfits if unfit else 'nothing wrong'}\n")
    if not unfit:
        sys.stdout.write(f"-> fluxbatch plan {plain(shlex.quote(str(path)))}\n")
    return int(code)
