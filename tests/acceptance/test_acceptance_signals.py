"""What a signal does to a run: finish what is paid; leave at once; or die on the spot, and go on later."""

import signal
from collections import Counter

import anyio
import pytest

from pipeline.simulator import Fault, Simulator
from tests.acceptance.conftest import Simulate
from tests.acceptance.stage import PATIENCE_S, Workspace, assert_proven, spent_usd, until

SCENES = tuple(f"Scene {number:02}" for number in range(24))


def asked_once(simulator: Simulator) -> bool:
    """Whether no picture was charged twice."""
    return set(Counter(charge.prompt for charge in simulator.bill.charges).values()) <= {1}


# --- once: gently ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
async def test_a_signal_stops_buying_and_what_is_paid_is_stored(
    workspace: Workspace, simulate: Simulate, number: signal.Signals
) -> None:
    simulator = await simulate(latency_s=0.25)
    manifest = workspace.manifest(*SCENES, limits={"concurrency": 4})
    with anyio.fail_after(PATIENCE_S):
        async with workspace.started("run", manifest, "--json") as running:
            await until(lambda: simulator.bill.requests >= 6)
            running.signal(number)
            assert number.name in await running.hears("buying has stopped")
            ended = await running.end()
    assert ended.code == 75
    bought = simulator.bill.pictures
    assert 6 <= bought <= 12
    assert (ended.json["stored"], ended.json["skipped"], ended.json["unknown"]) == (bought, 24 - bought, 0)
    assert simulator.bill.charged_usd == ended.json["spend_usd"] == spent_usd(workspace)
    assert workspace.findings() == set()
    rest = await workspace.run(manifest)
    assert (rest.code, rest.json["stored"], rest.json["reused"]) == (0, 24 - bought, bought)
    assert simulator.bill.pictures == 24


async def test_a_signal_when_nothing_is_left_to_buy_ends_with_0(workspace: Workspace, simulate: Simulate) -> None:
    simulator = await simulate(latency_s=0.8)
    with anyio.fail_after(PATIENCE_S):
        async with workspace.started("run", workspace.manifest("One", "Two"), "--json") as running:
            await until(lambda: simulator.bill.requests == 2)
            running.signal(signal.SIGTERM)
            ended = await running.end()
    assert (ended.code, ended.json["stored"]) == (0, 2)


async def test_a_signal_between_manifests_keeps_the_next_from_starting(
    workspace: Workspace, simulate: Simulate
) -> None:
    simulator = await simulate(latency_s=0.6)
    first, second = workspace.manifest("One", "Two", file="one.yaml"), workspace.manifest("Three", file="two.yaml")
    with anyio.fail_after(PATIENCE_S):
        async with workspace.started("run", first, second, "--json") as running:
            await until(lambda: simulator.bill.requests == 2)
            running.signal(signal.SIGTERM)
            ended = await running.end()
    assert ended.code == ended.json["exit_code"] == 75, ended.err
    assert "not begun: two.yaml" in ended.err
    assert simulator.bill.pictures == 2


async def test_a_signal_ends_a_wait_for_a_throttling_provider_at_once(workspace: Workspace, simulate: Simulate) -> None:
    simulator = await simulate(faults=(Fault("throttle", rate=1.0),))
    with anyio.fail_after(15):
        async with workspace.started("run", workspace.manifest(*SCENES), "--json") as running:
            await until(lambda: simulator.bill.requests >= 3)
            running.signal(signal.SIGINT)
            ended = await running.end()
    assert (ended.code, ended.json["skipped"], ended.json["unknown"]) == (75, 24, 0)
    assert "Stopped by SIGINT\n" in ended.err


# --- twice: at once ----------------------------------------------------------------------------------------------


async def test_a_second_signal_leaves_at_once_with_the_ledger_consistent(
    workspace: Workspace, simulate: Simulate
) -> None:
    simulator = await simulate()
    manifest = workspace.manifest("Good", "Never answered [fault:hang]", "Never either [fault:hang]")
    with anyio.fail_after(15):
        async with workspace.started("run", manifest, "--json") as running:
            await until(lambda: simulator.bill.pictures == 3 and workspace.states().get("stored") == 1)
            running.signal(signal.SIGINT)
            await running.hears("once more to leave at once")
            running.signal(signal.SIGINT)
            ended = await running.end()
    assert ended.code == 5
    assert (ended.json["stored"], ended.json["unknown"], ended.json["unknown_usd"]) == (1, 2, "0.070")
    assert workspace.findings() == {"unknown"}
    again = await workspace.run(manifest)
    assert (again.code, again.json["unknown"], simulator.bill.requests) == (5, 2, 3)


async def test_a_second_signal_during_a_download_leaves_it_for_the_next_run(
    workspace: Workspace, simulate: Simulate
) -> None:
    simulator = await simulate()
    manifest = workspace.manifest("Stalling [fault:dl_stall*1]")
    with anyio.fail_after(15):
        async with workspace.started("run", manifest, "--json") as running:
            await until(lambda: simulator.bill.pictures == 1)
            await until(lambda: workspace.states() == {"bought": 1})
            running.signal(signal.SIGTERM)
            await running.hears("buying has stopped")
            running.signal(signal.SIGTERM)
            ended = await running.end()
    assert (ended.code, ended.json["lost"]) == (5, 1)
    assert "can still be fetched" in ended.err
    again = await workspace.run(manifest)
    assert again.code == 0
    assert workspace.states() == {"stored": 1}
    assert simulator.bill.pictures == 1


# --- kill -9 -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [1, 5, 11, 17])
async def test_after_a_kill_at_any_moment_no_picture_is_bought_twice_and_every_cent_is_accounted_for(
    workspace: Workspace, simulate: Simulate, after: int
) -> None:
    simulator = await simulate(latency_s=0.05, latency_spread=0.6)
    manifest = workspace.manifest(*SCENES, limits={"concurrency": 6})
    with anyio.fail_after(PATIENCE_S):
        async with workspace.started("run", manifest) as running:
            await until(lambda: simulator.bill.requests >= after)
            running.signal(signal.SIGKILL)
            assert (await running.end()).code == -signal.SIGKILL
    again = await workspace.run(manifest)
    assert asked_once(simulator)
    assert again.code in {0, 5}, again.err
    assert set(workspace.states()) <= {"stored", "unknown"}
    for row in workspace.rows():
        if row.state == "stored":
            assert_proven(workspace, row)
    unknown = workspace.states().get("unknown", 0)
    spent = workspace.states()["stored"] * 35_000
    assert spent <= simulator.bill.charged_microusd <= spent + unknown * 35_000
    found = workspace.findings()
    assert found <= {"unknown", "leftover"}  # killed once a picture was recorded, and before its part was let go
    assert not [path for path in workspace.output.rglob("*.part") if unknown == 0 and "leftover" not in found]


async def test_after_a_kill_urls_are_fetched_before_anything_new_is_bought(
    workspace: Workspace, simulate: Simulate
) -> None:
    simulator = await simulate()
    stalling = [f"Stalling {number} [fault:dl_stall*1]" for number in range(3)]
    first = workspace.manifest(*stalling)
    with anyio.fail_after(PATIENCE_S):
        async with workspace.started("run", first) as running:
            await until(lambda: len([*workspace.output.rglob("*.part")]) == 3)  # the downloads have begun
            running.signal(signal.SIGKILL)
            await running.end()
    again = await workspace.run(workspace.manifest("New", *stalling, "Newer"))
    assert (again.code, again.json["stored"], again.json["spend_usd"]) == (0, 5, "0.070"), again.err
    assert "3 bought and not stored by an earlier run: fetched first" in again.err
    fetched = [row.stored_at for row in workspace.rows() if row.prompt in stalling]
    bought = [row.bought_at for row in workspace.rows() if row.prompt not in stalling]
    assert max(map(str, fetched)) <= min(map(str, bought))
    assert (simulator.bill.pictures, asked_once(simulator)) == (5, True)


async def test_after_a_kill_a_url_that_died_meanwhile_is_lost(workspace: Workspace, simulate: Simulate) -> None:
    simulator = await simulate(window_s=2.0)
    manifest = workspace.manifest("Stalling [fault:dl_stall]", provider={"window_s": 2})
    with anyio.fail_after(PATIENCE_S):
        async with workspace.started("run", manifest) as running:
            await until(lambda: simulator.bill.pictures == 1)
            await until(lambda: workspace.states() == {"bought": 1})
            running.signal(signal.SIGKILL)
            await running.end()
        await anyio.sleep(2.1)
    again = await workspace.run(manifest)
    assert (again.code, again.json["lost"], again.json["spend_usd"]) == (5, 1, "0.000")
    assert simulator.bill.pictures == 1
    assert workspace.findings() == {"lost"}


async def test_after_a_kill_inline_pictures_are_not_lost(workspace: Workspace, simulate: Simulate) -> None:
    simulator = await simulate(answer="b64_json", latency_s=0.05)
    manifest = workspace.manifest(*SCENES)
    with anyio.fail_after(PATIENCE_S):
        async with workspace.started("run", manifest) as running:
            await until(lambda: simulator.bill.pictures >= 8)
            running.signal(signal.SIGKILL)
            await running.end()
    again = await workspace.run(manifest)
    assert again.code in {0, 5}, again.err
    assert set(workspace.states()) <= {"stored", "unknown"}
    assert asked_once(simulator)


async def test_a_kill_during_the_kills_aftermath_changes_nothing(workspace: Workspace, simulate: Simulate) -> None:
    simulator = await simulate(latency_s=0.05, latency_spread=0.6)
    manifest = workspace.manifest(*SCENES, limits={"concurrency": 6})
    with anyio.fail_after(PATIENCE_S):
        for more in (4, 4, 4):
            seen = simulator.bill.requests
            async with workspace.started("run", manifest) as running:
                await until(lambda goal=seen + more: simulator.bill.requests >= goal)  # type: ignore[misc]
                running.signal(signal.SIGKILL)
                await running.end()
    await workspace.run(manifest)
    assert set(workspace.states()) <= {"stored", "unknown"}
    assert asked_once(simulator)
    assert workspace.findings() <= {"unknown", "leftover"}  # killed once a picture was recorded, before its part went


# --- what is no haste --------------------------------------------------------------------------------------------


async def test_a_terminal_that_closes_stops_buying_and_what_is_paid_is_stored(
    workspace: Workspace, simulate: Simulate
) -> None:
    simulator = await simulate(latency_s=0.4)
    manifest = workspace.manifest(*SCENES, limits={"concurrency": 4})
    inherited = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests themselves may run under ``nohup``
    with anyio.fail_after(PATIENCE_S):
        async with workspace.started("run", manifest, "--json") as running:
            signal.signal(signal.SIGHUP, inherited)
            await until(lambda: simulator.bill.requests >= 2)
            running.signal(signal.SIGHUP)
            assert "SIGHUP" in await running.hears("buying has stopped")
            running.signal(signal.SIGHUP)  # the shell sends it, and the kernel, too
            ended = await running.end()
    assert (ended.code, ended.json["unknown"], ended.json["stored"]) == (75, 0, simulator.bill.pictures)
    assert workspace.findings() == set()


async def test_nohup_lets_a_run_outlive_its_terminal(workspace: Workspace, simulate: Simulate) -> None:
    simulator = await simulate(latency_s=0.4)
    with anyio.fail_after(PATIENCE_S):
        inherited = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        try:
            manifest = workspace.manifest(*SCENES[:6], limits={"concurrency": 2})
            context = workspace.started("run", manifest, "--json")
            running = await context.__aenter__()
        finally:
            signal.signal(signal.SIGHUP, inherited)
        try:
            await until(lambda: simulator.bill.requests >= 1)
            running.signal(signal.SIGHUP)
            ended = await running.end()
        finally:
            await context.__aexit__(None, None, None)
    assert (ended.code, ended.json["stored"]) == (0, 6)


async def test_one_wish_that_comes_twice_at_once_is_not_haste(workspace: Workspace, simulate: Simulate) -> None:
    """As from ``timeout``, which sends to the process and to its group."""
    simulator = await simulate(latency_s=0.6)
    manifest = workspace.manifest(*SCENES, limits={"concurrency": 4})
    with anyio.fail_after(PATIENCE_S):
        async with workspace.started("run", manifest, "--json") as running:
            await until(lambda: simulator.bill.requests >= 2)
            running.signal(signal.SIGTERM)
            running.signal(signal.SIGINT)
            ended = await running.end()
    assert (ended.code, ended.json["unknown"], ended.json["stored"]) == (75, 0, simulator.bill.pictures)
    assert "at once;" not in ended.err
