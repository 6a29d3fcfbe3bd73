"""Break the code on purpose, one break at a time, and see that the tests catch it.

``python -m tests.mutants [NAME...]`` tries those named, or all.

The breaks are in the ``*.toml`` files here. Each is applied to a copy of the tree, never to the tree itself; a mutant
that its tests let through is a hole in them, and the exit code says so.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.mutants.listing import ROOT, mutants

PAGES = ("README.md", "README.zh-CN.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
#: A break that makes the tests hang is caught, too.
PATIENCE_S = 900


def main(names: list[str]) -> int:
    """Try the mutants named, or all; 0 when every one was caught."""
    chosen = [mutant for mutant in mutants() if not names or mutant.name in names]
    unknown = set(names) - {mutant.name for mutant in chosen}
    if unknown:
        _say(f"no such mutant: {', '.join(sorted(unknown))}")
        return 2
    for words in dict.fromkeys(mutant.caught_by for mutant in chosen):
        if _fails(words, lambda _: None):
            _say(f"these tests fail already, and would catch anything: {' '.join(words)}")
            return 2
    survivors = []
    for mutant in chosen:
        started = time.monotonic()
        caught = _fails(mutant.caught_by, mutant.apply_in)
        _say(f"{'caught  ' if caught else 'SURVIVED'} {mutant.name} ({time.monotonic() - started:.0f} s)")
        if not caught:
            survivors.append(mutant.name)
    _say(f"{len(chosen) - len(survivors)} of {len(chosen)} mutants caught")
    return 1 if survivors else 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _fails(tests: tuple[str, ...], change: Callable[[Path], None]) -> bool:
    """Whether these tests fail in a copy of the tree once it is changed."""
    with TemporaryDirectory(prefix="mutant-") as folder:
        copy = Path(folder) / "tree"
        for part in ("pipeline", "tests", "benchmarks", "jobs", "docs", *PAGES, "pyproject.toml", "Makefile"):
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, copy / part)
        change(copy)
        words = ["-x", "-q", "--no-header", "-p", "no:cacheprovider", *tests]
        # First on the path of the tests' own subprocesses, too: the copy is what runs, not what is installed.
        environment = os.environ | {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            ended = subprocess.run(
                [sys.executable, "-m", "pytest", *words],
                cwd=copy,
                env=environment,
                capture_output=True,
                timeout=PATIENCE_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return True
        if ended.returncode not in {0, 1}:
            raise SystemExit(f"{' '.join(tests)} could not run:\n{ended.stdout.decode()}")
        return ended.returncode == 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
