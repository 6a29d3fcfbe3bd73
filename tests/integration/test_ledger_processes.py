"""Several processes on one ledger, without the lock that usually keeps them apart: the budget still holds."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.ledger import JobState, Ledger

ROOT = Path(__file__).parents[2]
PROCESSES = 4

_BUYER = """
import asyncio, sys
from pathlib import Path
from pipeline.ledger import Caps, Reservation
from tests.contract.ledger_scene import PRICE, opened

folder, name, cap = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])

async def main():
    async with opened(folder) as scene:
        run = await scene.begin(manifest=sys.argv[4], caps=Caps(total=cap * PRICE))
        jobs = [scene.job(f"{name} {index}", index=index) for index in range(25)]
        seen = await scene.see(run, *jobs)
        print("begun", flush=True)
        sys.stdin.readline()
        bought = await asyncio.gather(*(
            scene.writer.reserve(run, placement=one.placement, key=job.key, price_microusd=PRICE)
            for one, job in zip(seen, jobs)
        ))
        print(sum(isinstance(one, Reservation) for one in bought), flush=True)

asyncio.run(main())
"""


def _buy_at_once(folder: Path, names: list[str], cap: int) -> list[int]:
    """Let processes buy at the same moment; how many reservations each was given."""
    children = [
        subprocess.Popen(
            [sys.executable, "-c", _BUYER, str(folder), name, str(cap), f"manifest {number}"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number, name in enumerate(names)
    ]
    try:
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline() == "begun\n"
        for child in children:
            assert child.stdin is not None
            child.stdin.write("\n")
            child.stdin.flush()
        return [int(child.communicate(timeout=30)[0]) for child in children]
    finally:
        for child in children:
            child.kill()
            child.communicate()


@pytest.mark.parametrize(
    ("names", "cap", "bought"),
    [
        pytest.param([f"buyer {number}" for number in range(PROCESSES)], 37, 37, id="the budget is exact"),
        pytest.param(["the same"] * PROCESSES, 1_000, 25, id="a job is bought once"),
    ],
)
def test_processes_at_once(tmp_path: Path, names: list[str], cap: int, bought: int) -> None:
    assert sum(_buy_at_once(tmp_path, names, cap)) == bought
    with Ledger(tmp_path / "ledger.db") as ledger:
        assert sum(batch.reserved_microusd for batch in ledger.status()) == bought * 35_000
        assert sum(row.state == JobState.BUYING and row.attempts for row in ledger.rows()) == bought
        assert {finding.kind for finding in ledger.verify().findings} == {"dead"}
