"""What a run asks of its event loop and of the machine's: never long without a look, and nothing loaded too early."""

import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from benchmarks.loopwatch import LoopWatch
from benchmarks.ours import environment, write_manifest
from pipeline import load_manifest
from pipeline.runner import RunOptions, run_async
from pipeline.simulator import Simulator, SimulatorSettings

#: Processor time, not time on the clock, so that other programs are not in it; what is meant is 20 ms, and usual 9.
BUYING_MS = 60.0
#: Where only rows are read and held against the ledger, 2 ms are usual.
READING_MS = 10.0
#: Rows enough for several chunks of the planner.
ROWS = 700


async def test_a_run_never_keeps_its_loop_from_its_timers_for_long(tmp_path: Path) -> None:
    watch = LoopWatch()
    settings = SimulatorSettings(scale=16)
    manifest = load_manifest(write_manifest(tmp_path / "manifest", ROWS, 16))

    async with Simulator(settings) as simulator:
        options = RunOptions(
            output=tmp_path / "output",
            limit=24,
            watch=lambda _: watch.look(),
            environment=environment(simulator.base_url),
        )
        with anyio.fail_after(120):
            bought = await run_async(manifest, options)
    assert bought.exit_code == 0

    assert watch.longest_stretch_ms < BUYING_MS


async def test_a_rerun_of_many_rows_never_keeps_its_loop_from_its_timers_for_long(tmp_path: Path) -> None:
    """Regression: where links lead was looked up for each row of a chunk, which held the loop for 15 ms."""
    watch = LoopWatch()
    manifest = load_manifest(write_manifest(tmp_path / "manifest", ROWS, 1))
    options = RunOptions(
        output=tmp_path / "output", watch=lambda _: watch.look(), environment=environment("http://127.0.0.1:9/v1")
    )
    with anyio.fail_after(120):
        await run_async(manifest, options)  # nobody answers: every row is held against the ledger, and nothing bought

    assert watch.longest_stretch_ms < READING_MS


@pytest.mark.parametrize(
    ("words", "unneeded"),
    [
        (["--help"], ["aiohttp", "anyio", "apsw", "asyncio", "PIL", "pydantic", "yaml", "rich"]),
        (["ratios"], ["aiohttp", "apsw", "PIL", "yaml"]),
        (["status"], ["aiohttp", "PIL", "yaml"]),
    ],
)
def test_a_command_loads_only_what_it_needs(tmp_path: Path, words: list[str], unneeded: list[str]) -> None:
    program = (
        f"import sys; from pipeline.cli.main import _commands, run_command; run_command({words!r}, _commands);"
        f"sys.stderr.write('\\n' + ' '.join(name for name in {unneeded!r} if name in sys.modules))"
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, check=True)

    assert ended.stderr.decode().rpartition("\n")[2] == ""
