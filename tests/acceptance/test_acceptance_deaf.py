"""When nobody takes what a run says while it goes on: it goes on, for what is asked for is paid."""

import os
import signal
from pathlib import Path

import anyio
import pytest

from pipeline.simulator import Simulator
from tests.acceptance.conftest import Simulate
from tests.acceptance.stage import PATIENCE_S, Workspace, until

FULL = Path("/dev/full")


@pytest.fixture
async def simulator(simulate: Simulate) -> Simulator:
    return await simulate(latency_s=0.8)


async def test_a_reader_that_goes_takes_no_picture_along(workspace: Workspace, simulator: Simulator) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        with anyio.fail_after(PATIENCE_S):
            async with workspace.started(
                "run", workspace.manifest("One", "Two"), "--json", stderr=write_end
            ) as running:
                await until(lambda: simulator.bill.requests == 2)
                running.signal(signal.SIGTERM)  # what it leads to is told, to nobody
                ended = await running.end()
    finally:
        os.close(write_end)
    assert (ended.code, ended.json["stored"], ended.json["unknown"]) == (0, 2, 0)
    assert workspace.findings() == set()


@pytest.mark.skipif(not FULL.exists(), reason="nothing here is always full")
async def test_a_full_disk_under_the_log_takes_no_picture_along(workspace: Workspace, simulator: Simulator) -> None:
    full = os.open(FULL, os.O_WRONLY)
    try:
        with anyio.fail_after(PATIENCE_S):
            async with workspace.started("run", workspace.manifest("One", "Two"), stdout=full, stderr=full) as running:
                await until(lambda: simulator.bill.requests == 2)
                running.signal(signal.SIGTERM)
                ended = await running.end()
    finally:
        os.close(full)
    assert ended.code == 74  # the summary is what was asked for, and nobody has it
    assert workspace.states() == {"stored": 2}
    assert workspace.findings() == set()
