"""Two runs on one ledger: one at a time, unless both agreed to share; then budgets and pictures are had in common."""

import signal
from collections import Counter

import anyio

from pipeline.simulator import Simulator
from tests.acceptance.conftest import Simulate
from tests.acceptance.stage import PATIENCE_S, Ended, Workspace, assert_proven, spent_usd, until

SCENES = tuple(f"Scene {number:02}" for number in range(12))


def asked_once(simulator: Simulator) -> bool:
    """Whether no picture was charged twice."""
    return set(Counter(charge.prompt for charge in simulator.bill.charges).values()) <= {1}


# --- one at a time -----------------------------------------------------------------------------------------------


async def test_the_second_run_is_told_who_holds_the_ledger_and_waits_if_told_to(
    workspace: Workspace, simulate: Simulate
) -> None:
    simulator = await simulate(latency_s=1.5)
    first, second = workspace.manifest("One", file="first.yaml"), workspace.manifest("Two", file="second.yaml")
    with anyio.fail_after(PATIENCE_S):
        async with workspace.started("run", first, "--json") as running:
            await until(lambda: simulator.bill.requests == 1)
            refused = await workspace.run(second)
            impatient = await workspace.run(second, "--wait", "0.1")
            shared = await workspace.run(second, "--shared")
            waited = await workspace.run(second, "--wait", "30")
            assert (await running.end()).code == 0
    for ended in (refused, impatient, shared):
        assert (ended.code, ended.json["exit_code"]) == (75, 75)
        assert f"process {running.pid} on " in ended.err
        assert "run of first" in ended.err
        assert "--wait" in ended.json["remedy"]
    assert (waited.code, waited.json["stored"]) == (0, 1)
    assert "waiting for up to 30 s" in waited.err
    assert "run of first" in waited.err


async def test_waiting_ends_when_asked(workspace: Workspace, simulate: Simulate) -> None:
    simulator = await simulate(latency_s=3.0)
    first, second = workspace.manifest("One", file="first.yaml"), workspace.manifest("Two", file="second.yaml")
    with anyio.fail_after(PATIENCE_S):
        async with workspace.started("run", first):
            await until(lambda: simulator.bill.requests == 1)
            async with workspace.started("run", second, "--wait", "60") as waiting:
                await waiting.hears("waiting for up to 60 s")
                waiting.signal(signal.SIGTERM)
                ended = await waiting.end()
    assert ended.code == 75
    assert "stopped by SIGTERM before anything was bought" in ended.err


async def test_no_wait_is_no_number(workspace: Workspace) -> None:
    for seconds in ("nan", "-1", "1e9", "soon"):
        ended = await workspace.run(workspace.manifest("One"), "--wait", seconds)
        assert ended.code in {64, 78}, seconds


# --- sharing -----------------------------------------------------------------------------------------------------


async def _together(workspace: Workspace, *words: tuple[str, ...]) -> list[Ended]:
    ended: dict[int, Ended] = {}

    async def one(place: int) -> None:
        async with workspace.started("run", *words[place], "--json", "--shared") as running:
            ended[place] = await running.end()

    with anyio.fail_after(PATIENCE_S):
        async with anyio.create_task_group() as group:
            for place in range(len(words)):
                group.start_soon(one, place)
    return [ended[place] for place in range(len(words))]


async def test_pictures_that_two_runs_want_are_bought_once_and_each_has_its_file(
    workspace: Workspace, simulate: Simulate
) -> None:
    simulator = await simulate(latency_s=0.6)
    first = workspace.manifest(*SCENES, "Only the first", file="first.yaml", limits={"concurrency": 4})
    second = workspace.manifest(*SCENES, "Only the second", file="second.yaml", limits={"concurrency": 4})
    ended = await _together(workspace, (first,), (second,))
    assert [each.code for each in ended] == [0, 0], [each.err for each in ended]
    for each in ended:
        assert each.json["stored"] + each.json["reused"] == 13
    assert sum(each.json["stored"] for each in ended) == simulator.bill.pictures == 14
    assert asked_once(simulator)
    assert simulator.bill.charged_usd == spent_usd(workspace)
    assert {name.partition("/")[0] for name in workspace.pictures()} == {"first", "second"}
    for row in workspace.rows():
        assert_proven(workspace, row)
    assert len(workspace.pictures()) == 26
    assert workspace.findings() == set()
    assert not workspace.ledger.with_name("ledger.db.runs").exists()


async def test_a_budget_of_the_ledger_holds_across_runs_that_share_it(workspace: Workspace, simulate: Simulate) -> None:
    simulator = await simulate(latency_s=0.1)
    names = [f"m{number}.yaml" for number in range(3)]
    for name in names:
        workspace.manifest(*(f"{name} {scene}" for scene in SCENES), file=name, limits={"total_usd": "0.35"})
    ended = await _together(workspace, *((name,) for name in names))
    assert simulator.bill.charged_usd == spent_usd(workspace) == "0.350"
    assert all(each.code == 4 for each in ended)
    assert sum(each.json["stored"] for each in ended) == 10


async def test_one_manifest_is_not_run_twice_at_once(workspace: Workspace, simulate: Simulate) -> None:
    simulator = await simulate(latency_s=1.0)
    manifest = workspace.manifest("One")
    with anyio.fail_after(PATIENCE_S):
        async with workspace.started("run", manifest, "--shared", "--json") as running:
            await until(lambda: simulator.bill.requests == 1)
            second = await workspace.run(manifest, "--shared")
            alone = await workspace.run(workspace.manifest("Two", file="other.yaml"))
            waited = await workspace.run(manifest, "--shared", "--wait", "30")
            assert (await running.end()).code == 0
    assert second.code == alone.code == 75
    assert "only different manifests or editions share a ledger" in second.err
    assert "run of batch" in alone.err
    assert (waited.code, waited.json["reused"], simulator.bill.pictures) == (0, 1, 1)


async def test_requests_of_a_killed_run_are_unknown_to_the_one_that_shares_with_it(
    workspace: Workspace, simulate: Simulate
) -> None:
    simulator = await simulate(latency_s=6.0)
    first = workspace.manifest(*SCENES[:3], file="first.yaml")
    second = workspace.manifest(*SCENES[:3], "Mine", file="second.yaml")
    with anyio.fail_after(PATIENCE_S):
        async with workspace.started("run", first, "--shared") as dying:
            await until(lambda: simulator.bill.requests == 3)
            async with workspace.started("run", second, "--shared", "--json") as living:
                await until(lambda: simulator.bill.requests == 4)
                dying.signal(signal.SIGKILL)
                ended = await living.end()
    assert (ended.code, ended.json["stored"], ended.json["unknown"]) == (5, 1, 3), ended.err
    assert {row.state for row in workspace.rows() if row.prompt != "Mine"} == {"unknown"}
    again = await workspace.run(second)
    assert (again.code, again.json["reused"], again.json["unknown"]) == (5, 1, 3)
    assert simulator.bill.requests == 4


async def test_pictures_that_a_killed_run_paid_are_fetched_by_the_one_that_shares_with_it(
    workspace: Workspace, simulate: Simulate
) -> None:
    simulator = await simulate()
    slow = "A slow one [fault:dl_stall*1]"
    first, second = workspace.manifest(slow, file="first.yaml"), workspace.manifest(slow, file="second.yaml")
    with anyio.fail_after(PATIENCE_S):
        async with workspace.started("run", first, "--shared") as dying:
            await until(lambda: simulator.bill.pictures == 1)
            await until(lambda: workspace.states() == {"bought": 1})
            async with workspace.started("run", second, "--shared", "--json") as living:
                await until(lambda: len(workspace.rows()) == 2)
                dying.signal(signal.SIGKILL)
                ended = await living.end()
    assert (ended.code, ended.json["stored"], simulator.bill.pictures) == (0, 1, 1), ended.err
    assert "by a run that died meanwhile: fetched now" in ended.err
    for row in workspace.rows():
        assert_proven(workspace, row)


async def test_a_refusal_for_good_is_not_asked_again_by_the_other(workspace: Workspace, simulate: Simulate) -> None:
    simulator = await simulate(latency_s=0.5)
    prompt = "A bad one [fault:moderated]"
    first, second = workspace.manifest(prompt, file="first.yaml"), workspace.manifest(prompt, file="second.yaml")
    ended = await _together(workspace, (first,), (second,))
    assert [each.code for each in ended] == [3, 3]
    assert simulator.bill.requests == 1
