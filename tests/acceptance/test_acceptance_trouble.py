"""Trouble with disk, ledger or provider: its own exit code, nothing bought beyond what should be, nothing lost."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.simulator import Fault, Simulator
from tests.acceptance.conftest import Simulate
from tests.acceptance.stage import Workspace, assert_told, spent_usd, until

# --- the ledger and the disk -------------------------------------------------------------------------------------


async def test_a_corrupt_ledger_is_74_and_left_as_it_is(workspace: Workspace, simulator: Simulator) -> None:
    manifest = workspace.manifest("A cat", "A dog")
    await workspace.run(manifest)
    damaged = bytearray(workspace.ledger.read_bytes())
    damaged[100:2000] = b"\xff" * 1900
    for leftover in workspace.output.glob("ledger.db-*"):
        leftover.unlink()
    workspace.ledger.write_bytes(damaged)
    for words in (("run", manifest), ("status",), ("ledger", "verify")):
        assert_told(await workspace.fluxbatch(*words), 74, "ledger.db", "  -> ")
    assert workspace.ledger.read_bytes() == damaged
    assert simulator.bill.pictures == 2


async def test_a_ledger_that_is_none_is_74(workspace: Workspace, simulator: Simulator) -> None:
    workspace.write("notes.txt", "These are notes, and long enough to be taken for a page of something. " * 100)
    ended = await workspace.fluxbatch("run", workspace.manifest("A cat"), "--ledger", "notes.txt")
    assert_told(ended, 74, "notes.txt", "  -> ")
    assert simulator.bill.requests == 0


async def test_a_second_run_on_the_same_ledger_is_75(workspace: Workspace, simulate: Simulate) -> None:
    simulator = await simulate(latency_s=2.0)
    manifest = workspace.manifest("A cat")
    async with workspace.started("run", manifest) as first:
        await until(lambda: simulator.bill.requests == 1)
        assert_told(await workspace.fluxbatch("run", manifest), 75, f"process {first.pid}", "another run", "  -> ")
        assert (await first.end()).code == 0
    assert simulator.bill.pictures == 1


@contextmanager
def little_disk(folder: Path, size_kib: int) -> Iterator[None]:
    """A real file system of that size, mounted there for the length of the block."""
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_kib}k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("file systems cannot be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], capture_output=True, check=True)


async def test_a_disk_with_next_to_no_room_is_74_before_anything_is_bought(
    workspace: Workspace, simulator: Simulator
) -> None:
    with little_disk(workspace.output, 4_096):
        ended = await workspace.fluxbatch("run", workspace.manifest("A cat"))
    assert_told(ended, 74, "only 4 MB are free", "  -> ")
    assert simulator.bill.requests == 0


async def test_a_disk_that_fills_up_is_74_and_what_is_paid_is_fetched_by_the_next_run(
    workspace: Workspace, simulate: Simulate
) -> None:
    simulator = await simulate(scale=1)  # some 70 kilobytes a picture
    manifest = workspace.manifest(*(f"Scene {number}" for number in range(30)))
    with little_disk(workspace.output / "batch", 160):
        full = await workspace.run(manifest, "--concurrency", "1")
        assert full.code == 74, full.err
        assert "No space left" in full.err
        assert "free some space" in full.err
        bought = simulator.bill.pictures
        assert 1 <= full.json["lost"] == bought - full.json["stored"] <= 20
        assert full.json["skipped"] == 30 - bought
    again = await workspace.run(manifest, "--limit", str(bought))
    assert simulator.bill.pictures == bought
    assert again.json["stored"] == full.json["lost"]
    assert workspace.findings() <= {"missing", "lost"}  # what the little disk took with it
    assert spent_usd(workspace) == simulator.bill.charged_usd


async def test_a_ledger_that_cannot_be_made_is_74_and_nothing_is_bought(
    workspace: Workspace, simulator: Simulator
) -> None:
    ended = await workspace.fluxbatch("run", workspace.manifest("A cat"), file_limit_bytes=8_192)
    assert_told(ended, 74, "ledger.db", "  -> ")
    assert simulator.bill.requests == 0


async def test_a_ledger_that_can_grow_no_more_stops_buying_and_every_cent_is_found_again(
    workspace: Workspace, simulator: Simulator
) -> None:
    manifest = workspace.manifest(*(f"Scene {number}" for number in range(30)))
    failed = await workspace.run(manifest, file_limit_bytes=250_000)
    assert failed.code == 74, failed.err
    assert "ledger.db" in failed.err
    assert simulator.bill.pictures < 30
    again = await workspace.run(manifest)
    assert again.code in {0, 5}, again.err
    assert set(workspace.states()) <= {"stored", "unknown"}
    prompts = [charge.prompt for charge in simulator.bill.charges]
    assert len(prompts) == len(set(prompts))
    assert workspace.findings() <= {"unknown"}


# --- the provider ------------------------------------------------------------------------------------------------


async def test_a_wrong_key_is_77_and_the_jobs_stay_as_they_were(workspace: Workspace, simulate: Simulate) -> None:
    simulator = await simulate(keys=frozenset({"right"}))
    workspace.environment["FLUXBATCH_API_KEY"] = "wrong"
    manifest = workspace.manifest("A cat", "A dog")
    ended = await workspace.run(manifest)
    assert ended.code == 77
    assert (ended.json["skipped"], ended.json["spend_usd"], ended.json["unknown_usd"]) == (2, "0.000", "0.000")
    assert "Incorrect API key" in ended.err
    workspace.environment["FLUXBATCH_API_KEY"] = "right"
    assert (await workspace.run(manifest)).json["stored"] == 2
    assert simulator.bill.pictures == 2


@pytest.mark.parametrize("prompt", ["", "[fault:no_balance_429]"])
async def test_no_balance_is_77_and_what_is_bought_is_stored(
    workspace: Workspace, simulate: Simulate, prompt: str
) -> None:
    simulator = await simulate(balance_microusd=80_000)
    manifest = workspace.manifest("One", "Two", f"Three {prompt}", "Four", limits={"concurrency": 1})
    ended = await workspace.run(manifest)
    assert ended.code == 77, ended.err
    assert (ended.json["stored"], ended.json["skipped"], ended.json["spend_usd"]) == (2, 2, "0.070")
    assert simulator.bill.charged_usd == "0.070"
    assert "balance" in ended.err


async def test_a_model_the_provider_does_not_serve_is_3_and_other_models_go_on(
    workspace: Workspace, simulate: Simulate
) -> None:
    await simulate(prices_microusd={"flux-kontext-pro": 35_000})
    manifest = workspace.manifest(["A", "1:1", "flux-kontext-max"], ["B", "1:1", "flux-kontext-pro"])
    ended = await workspace.run(manifest)
    assert ended.code == 3, ended.err
    assert (ended.json["stored"], ended.json["failed"]) == (1, 1)
    assert "does not serve flux-kontext-max" in ended.err


async def test_an_unreachable_provider_is_69_and_nothing_is_spent(workspace: Workspace) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused, and nobody else gets the port
        port = taken.getsockname()[1]
        workspace.environment = {"FLUXBATCH_BASE_URL": f"http://127.0.0.1:{port}/v1", "FLUXBATCH_API_KEY": "k"}
        ended = await workspace.run(workspace.manifest(*map(str, range(30))))
    assert ended.code == 69, ended.err
    assert "cannot be reached" in ended.err
    assert ended.json["unknown_usd"] == ended.json["spend_usd"] == "0.000"
    assert ended.json["stored"] == ended.json["unknown"] == 0


async def test_a_provider_that_is_overloaded_for_everybody_is_69(workspace: Workspace, simulate: Simulate) -> None:
    simulator = await simulate(faults=(Fault("overload_503", rate=1.0),))
    ended = await workspace.run(workspace.manifest(*map(str, range(60))))
    assert ended.code == 69, ended.err
    assert "serves nobody" in ended.err
    assert simulator.bill.pictures == 0
    assert simulator.bill.requests < 180
    assert ended.json["skipped"] > 0
