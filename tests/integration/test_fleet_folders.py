"""Workers who share no folder, only a bucket: what one fetched and never sent, another fetches while its URL lives."""

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from pipeline.fleet import engine, worker
from pipeline.ledger import JobState, Server
from tests.acceptance.stage import Running, until
from tests.buckets import Gate, Shop
from tests.integration.test_fleet_worker import PATIENCE_S, Fleet, fleet_with


@pytest.fixture
async def fleet(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Fleet]:
    for module in (engine, worker):
        monkeypatch.setattr(module, "STALE_S", 1.0)
    monkeypatch.setattr(engine, "BEGIN_S", 1.0)
    async with fleet_with(database, tmp_path, latency_s=1.0) as made:
        yield made


async def killed_with_a_picture_unsent(fleet: Fleet, gate: Gate, folder: Path) -> None:
    """One buys and fetches, but the bucket is away by then; it dies, and its machine does."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FLUXBATCH_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pipeline", "fleet", "worker", "--ledger", fleet.server.url, "--output", str(folder)),
        env=environment | dict(fleet.options.environment),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    running = Running(process, [])
    try:
        await until(lambda: fleet.simulator.bill.requests == 1)
        gate.down = True
        await until(lambda: any(part.stat().st_size for part in folder.rglob("*.part")))
        running.signal(signal.SIGKILL)
    finally:
        await running.killed()
    shutil.rmtree(folder)
    gate.down = False


async def test_a_fleets_ledger_knows_the_server_of_its_bucket(
    fleet: Fleet, shop: Shop, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fleet.submit("One", store=f"s3://{shop.name}/set, endpoint: {gate.url!r}")
    assert await fleet.work() == [0]
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    assert await anyio.to_thread.run_sync(fleet.findings) == ()
    assert await anyio.to_thread.run_sync(fleet.repaired) == []
    [key] = [key for key in await shop.objects() if key.startswith("set/set/")]
    await shop.client.delete_object(Bucket=shop.name, Key=key)
    assert [finding.kind for finding in await anyio.to_thread.run_sync(fleet.findings)] == ["missing"]
    assert "gone from its bucket" in (await anyio.to_thread.run_sync(fleet.repaired))[0]


async def test_what_a_dead_machine_fetched_and_never_sent_is_fetched_again_by_another(
    fleet: Fleet, shop: Shop, gate: Gate
) -> None:
    await fleet.submit("One", store=f"s3://{shop.name}/set")
    with anyio.fail_after(PATIENCE_S):
        await killed_with_a_picture_unsent(fleet, gate, fleet.folder / "gone")
        assert fleet.states() == {JobState.BOUGHT: 1}
        successor = fleet.worker()
        successor.server = Server(fleet.server.url, fleet.folder / "there")
        successor.run_options = replace(fleet.options, output=fleet.folder / "there", ledger=successor.server)
        assert await successor.work() == 0
    assert fleet.states() == {JobState.STORED: 1}
    assert fleet.simulator.bill.pictures == 1
    assert len([key for key in await shop.objects() if key.startswith("set/set/")]) == 1
    assert await anyio.to_thread.run_sync(fleet.findings) == ()
