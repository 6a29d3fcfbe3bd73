"""One run divided over several processes: one ledger, one budget, one end."""

import os
import signal
from collections import Counter
from pathlib import Path

import anyio

from pipeline.simulator import Simulator
from tests.acceptance.conftest import Simulate
from tests.acceptance.stage import PATIENCE_S, Ended, Entry, Workspace, assert_proven, spent_usd, until

SCENES = tuple(f"Scene {number:02}" for number in range(24))
#: What is counted, and must be the same however many processes there are.
COUNTS = ("jobs", "stored", "reused", "failed", "unknown", "lost", "spoiled", "skipped", "spend_usd", "exit_code")


def asked_once(simulator: Simulator) -> bool:
    """Whether no picture was charged twice."""
    return set(Counter(charge.prompt for charge in simulator.bill.charges).values()) <= {1}


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    """Whether a process is there, and not only waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


def assert_squared(workspace: Workspace, simulator: Simulator, ended: Ended) -> None:
    """What the provider billed is what the run says and what the ledger holds, and the ledger proves it."""
    assert simulator.bill.charged_usd == ended.json["spend_usd"] == spent_usd(workspace)
    assert asked_once(simulator)
    assert workspace.findings() == set()


# --- the same end ------------------------------------------------------------------------------------------------


async def test_several_processes_come_to_what_one_comes_to(workspace: Workspace, simulate: Simulate) -> None:
    rows = workspace.write("rows.csv", "prompt,seed\n" + "".join(f"Row {n % 9},\n" for n in range(12)) + "Bad,x\n")
    ends = []
    for number in (1, 3):
        simulator = await simulate()
        jobs: tuple[Entry, ...] = (*SCENES[:6], "Scene 00", {"rows": rows.name, "prompt": "{prompt}", "seed": "{seed}"})
        manifest = workspace.manifest(*jobs, file=f"batch{number}.yaml")
        told = ("--output", f"out{number}", "--processes", str(number))
        ended = await workspace.run(manifest, *told)
        assert ended.code == 3, ended.out + ended.err
        again = await workspace.run(manifest, *told)
        ends.append(([ended.json[count] for count in COUNTS], [again.json[count] for count in COUNTS]))
        assert (simulator.bill.pictures, asked_once(simulator)) == (15, True)
        assert simulator.bill.charged_usd == ended.json["spend_usd"]
        assert (await workspace.fluxbatch("ledger", "verify", "--output", f"out{number}")).code == 0
    assert ends[0] == ends[1]
    one, three = ({file.name for file in (workspace.root / f"out{n}").glob("**/*.jpg")} for n in (1, 3))
    assert one == three


async def test_the_budget_is_one_wall_for_all_processes(workspace: Workspace, simulate: Simulate) -> None:
    simulator = await simulate(latency_s=0.05)
    manifest = workspace.manifest(*SCENES, limits={"budget_usd": "0.20"})
    ended = await workspace.run(manifest, "--processes", "3")
    assert ended.code == 4, ended.err
    price = simulator.bill.charges[0].microusd
    assert simulator.bill.pictures == 200_000 // price
    assert ended.json["stored"] == simulator.bill.pictures
    assert ended.json["skipped"] == 24 - simulator.bill.pictures
    assert_squared(workspace, simulator, ended)


async def test_a_refused_key_stops_all_processes(workspace: Workspace, simulate: Simulate) -> None:
    simulator = await simulate(latency_s=0.05, keys=frozenset({"right"}))
    ended = await workspace.run(workspace.manifest(*SCENES, limits={"concurrency": 4}), "--processes", "2")
    assert (ended.code, ended.json["skipped"], ended.json["spend_usd"]) == (77, 24, "0.000")
    assert simulator.bill.requests <= 8


async def test_more_processes_than_there_is_to_divide_are_refused(workspace: Workspace, simulate: Simulate) -> None:
    await simulate()
    manifest = workspace.manifest("One", limits={"concurrency": 2})
    for words, code in ((("--processes", "3"), 64), (("--processes", "0"), 64)):
        ended = await workspace.run(manifest, *words)
        assert ended.code == code, ended.err
    written = workspace.manifest("One", file="written.yaml", limits={"concurrency": 2, "processes": 3})
    ended = await workspace.run(written)
    assert (ended.code, "3 processes" in ended.json["error"]) == (78, True)
    assert not workspace.ledger.exists()


# --- signals and deaths ------------------------------------------------------------------------------------------


async def test_a_signal_stops_all_processes_gently(workspace: Workspace, simulate: Simulate) -> None:
    simulator = await simulate(latency_s=0.4)
    manifest = workspace.manifest(*SCENES, limits={"concurrency": 4, "processes": 2})
    with anyio.fail_after(PATIENCE_S):
        async with workspace.started("run", manifest, "--json") as running:
            await until(lambda: simulator.bill.requests >= 6)
            members = children(running.pid)
            for pid in (running.pid, *members):  # as a terminal's Ctrl-C does, or systemd
                os.kill(pid, signal.SIGTERM)
            ended = await running.end()
    assert ended.code == 75, ended.err
    assert len(members) == 2
    assert not any(map(alive, members))
    assert ended.json["stored"] == simulator.bill.pictures < 24
    assert ended.json["unknown"] == 0
    assert_squared(workspace, simulator, ended)


async def test_a_second_signal_ends_all_processes_at_once(workspace: Workspace, simulate: Simulate) -> None:
    simulator = await simulate(latency_s=30.0)
    manifest = workspace.manifest(*SCENES, limits={"concurrency": 4, "processes": 2})
    with anyio.fail_after(PATIENCE_S):
        async with workspace.started("run", manifest, "--json") as running:
            await until(lambda: simulator.bill.requests == 4)
            members = children(running.pid)
            running.signal(signal.SIGTERM)
            await running.hears("buying has stopped")
            running.signal(signal.SIGTERM)
            ended = await running.end()
    assert (ended.code, ended.json["unknown"], ended.json["stored"]) == (5, 4, 0)
    assert not any(map(alive, members))


async def test_a_killed_process_leaves_its_requests_unknown_and_stops_the_rest(
    workspace: Workspace, simulate: Simulate
) -> None:
    simulator = await simulate(latency_s=1.0)
    manifest = workspace.manifest(*SCENES, limits={"concurrency": 4, "processes": 2})
    with anyio.fail_after(PATIENCE_S):
        async with workspace.started("run", manifest, "--json") as running:
            await until(lambda: simulator.bill.requests == 4)
            members = children(running.pid)

            os.kill(members[0], signal.SIGKILL)
            ended = await running.end()
    assert ended.code == 5, ended.err
    assert "killed (SIGKILL)" in ended.err
    assert not any(map(alive, members))
    lost = ended.json["unknown"]
    assert (1 <= lost <= 2, ended.json["skipped"] > 0) == (True, True)
    assert ended.json["stored"] >= 2
    for row in workspace.rows():
        if row.state == "stored":
            assert_proven(workspace, row)
    again = await workspace.run(manifest)
    assert (again.code, again.json["unknown"], again.json["skipped"]) == (5, lost, 0)
    assert asked_once(simulator)


async def test_the_processes_of_a_killed_run_finish_what_is_paid_and_hold_the_ledger_until_then(
    workspace: Workspace, simulate: Simulate
) -> None:
    simulator = await simulate(latency_s=2.0)
    manifest = workspace.manifest(*SCENES, limits={"concurrency": 4, "processes": 2})
    with anyio.fail_after(PATIENCE_S):
        async with workspace.started("run", manifest, "--json") as running:
            await until(lambda: simulator.bill.requests == 4)
            members = children(running.pid)
            running.signal(signal.SIGKILL)
            refused = await workspace.run(manifest)
            shared = await workspace.run(manifest, "--shared")
            assert (refused.code, shared.code) == (75, 75)
            await until(lambda: not any(map(alive, members)))
            assert simulator.bill.requests == 4
            assert workspace.states()["stored"] == 4
    again = await workspace.run(manifest, "--processes", "2")
    assert (again.code, again.json["stored"], again.json["reused"]) == (0, 20, 4)
    assert asked_once(simulator)
    assert simulator.bill.charged_usd == spent_usd(workspace)
