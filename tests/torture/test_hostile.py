"""Hostile manifests: each is refused at its line, at once, with a remedy; nothing is bought, and nothing written."""

import re
from pathlib import Path

import pytest

from pipeline.simulator import Simulator, SimulatorSettings
from tests.acceptance.stage import Ended, Workspace
from tests.acceptance.warm import Warm
from tests.torture.crashing import within
from tests.torture.hostile.cases import MANIFEST, Case, cases

#: Of a processor, not by the clock: other processes may take most of it.
MOST_CPU_S = 1.0
#: A machine whose memory and caches others use is slower at times.
TRIES = 3
MOST_BYTES = 600 << 20
LONGEST_LINE = 800
_RAW = re.compile(r"[^\n\x20-\x7e\xa0-\ud7ff\ue000-\U0010ffff]|[\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069]")

CASES = {case.name: case for case in cases()}


def test_there_are_at_least_a_hundred_of_different_names() -> None:
    assert len(CASES) == len(cases()) >= 100


@pytest.mark.parametrize("name", CASES)
async def test_a_hostile_manifest_is_refused_and_costs_nothing(name: str, tmp_path: Path, crew: list[Warm]) -> None:
    case = CASES[name]
    workspace = Workspace(tmp_path / "far" / "inside", crew[0])
    workspace.root.mkdir(parents=True)
    workspace.covered = False
    case.make(workspace.root)
    with within():
        async with Simulator(SimulatorSettings(scale=16)) as simulator:
            workspace.use(simulator)
            before = _everything(tmp_path)
            if case.runs != 65:
                await _refused(workspace, case, 65, "check", MANIFEST)
            await _refused(workspace, case, case.runs, "run", MANIFEST, "--yes", "--no-report")
            assert simulator.bill.requests == 0
    after = {path: kind for path, kind in _everything(tmp_path).items() if "ledger.db" not in path}
    assert after.pop("far/inside/output", "folder") == "folder"
    assert after == before


async def _refused(workspace: Workspace, case: Case, code: int, *words: str) -> None:
    """A command refuses it: soon, in little room, and in so many words."""
    tried = [await workspace.fluxbatch(*words)]
    while tried[-1].cpu_s >= MOST_CPU_S and len(tried) < TRIES:
        tried.append(await workspace.fluxbatch(*words))
    for ended in tried:
        assert_told(ended, case, code)
    assert tried[-1].cpu_s < MOST_CPU_S
    assert tried[-1].peak_bytes < MOST_BYTES


def assert_told(ended: Ended, case: Case, code: int) -> None:
    """The exit code, the place and the words, in lines that a terminal can show."""
    assert ended.code == code, ended.err
    told = ended.out + ended.err
    for word in (case.place, *case.words):
        assert word in told
    assert "Traceback" not in told
    assert _RAW.search(told) is None
    assert max(map(len, told.splitlines())) <= LONGEST_LINE


def _everything(folder: Path) -> dict[str, str]:
    """What is in a folder and below it, each with what it is."""
    return {path.relative_to(folder).as_posix(): "folder" if path.is_dir() else "file" for path in folder.rglob("*")}
