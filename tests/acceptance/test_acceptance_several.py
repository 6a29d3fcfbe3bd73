"""Several manifests, early and late signals, odd surroundings: what a tester broke once."""

import os
import signal
import sys
from pathlib import Path

import anyio
import pytest

from pipeline.simulator import Simulator
from tests.acceptance.conftest import Simulate
from tests.acceptance.stage import Workspace, until


async def test_a_signal_during_the_first_manifest_keeps_the_second_from_being_begun(
    workspace: Workspace, simulate: Simulate
) -> None:
    """The signal was forgotten with the manifest it came in, and the next was bought in full."""
    simulator = await simulate(latency_s=1.0)
    first, second = workspace.manifest("One", file="a.yaml"), workspace.manifest("Two", "Three", file="b.yaml")
    async with workspace.started("run", first, second, "--json") as running:
        with anyio.fail_after(20):
            await until(lambda: simulator.bill.requests > 0)
        running.signal(signal.SIGTERM)
        ended = await running.end()
    assert ended.code == 75
    told = ended.json
    assert (told["jobs"], told["stored"], told["skipped"], len(told["runs"]), told["exit_code"]) == (3, 1, 2, 1, 75)
    assert "not begun: b.yaml" in ended.err
    assert simulator.bill.pictures == 1


async def test_two_signals_while_leftovers_are_fetched_leave_with_work_left(
    workspace: Workspace, simulate: Simulate
) -> None:
    """It said "nothing to do" and ended with 0."""
    simulator = await simulate()
    manifest = workspace.manifest("Slow [fault:dl_stall]", *map(str, range(8)))
    async with workspace.started("run", manifest, "--limit", "1") as running:
        with anyio.fail_after(20):
            await until(lambda: workspace.ledger.exists() and workspace.states() == {"bought": 1})
        running.signal(signal.SIGKILL)
        await running.end()
    async with workspace.started("run", manifest, "--json") as running:
        await running.hears("fetched first")
        running.signal(signal.SIGTERM)
        await running.hears("buying has stopped")
        running.signal(signal.SIGTERM)
        ended = await running.end()
    assert ended.code == 5  # a picture that is paid for is not here
    assert (ended.json["jobs"], ended.json["lost"], ended.json["skipped"]) == (9, 1, 8)  # each is told of once
    assert "1 paid picture can still be fetched" in ended.err
    assert "bought by an earlier run can still be fetched" not in ended.err
    assert simulator.bill.pictures == 1


async def test_a_signal_while_a_long_manifest_is_read_is_told_as_one(
    workspace: Workspace, simulator: Simulator
) -> None:
    """It died of the signal: no message, no JSON."""
    workspace.write("rows.csv", "title\n" + "a picture\n" * 200_000)
    manifest = workspace.manifest({"rows": "rows.csv", "prompt": "{title}"})
    async with workspace.started("run", manifest, "--json") as running:
        with anyio.fail_after(20):
            await until(workspace.ledger.exists)  # its plan, without a budget, comes next
        running.signal(signal.SIGTERM)
        ended = await running.end()
    assert ended.code == ended.json["exit_code"] == 75
    assert simulator.bill.requests == 0


async def test_what_is_being_read_keeps_nobody_waiting_who_asked_to_stop(
    workspace: Workspace, simulator: Simulator
) -> None:
    """The thread that read went on to the last row, and a second signal met no handler."""
    workspace.write("rows.csv", "title\n" + "a picture\n" * 1_000_000)
    manifest = workspace.manifest({"rows": "rows.csv", "prompt": "{title}"})
    async with workspace.started("run", manifest) as running:
        with anyio.fail_after(20):
            await until(workspace.ledger.exists)
        running.signal(signal.SIGINT)
        with anyio.fail_after(5):  # reading all of it takes far longer
            ended = await running.end()
    assert ended.code == 75
    assert "Traceback" not in ended.err


async def test_a_picture_that_cannot_be_put_in_its_place_is_told_with_its_row(
    workspace: Workspace, simulator: Simulator
) -> None:
    """It was said to be refused, and --retry-failed to be the remedy."""
    await workspace.run(workspace.manifest("One", file="a.yaml"))
    workspace.output.joinpath("b").write_text("in the way")
    again = workspace.manifest("One", file="b.yaml")
    ended = await workspace.run(again)
    assert (ended.code, ended.json["failed"], ended.json["reused"]) == (73, 1, 0)
    assert "row 1: stored, but not put in its place" in ended.err
    assert "--retry-failed" not in ended.err
    workspace.output.joinpath("b").unlink()
    mended = await workspace.run(again)
    assert (mended.code, mended.json["reused"]) == (0, 1)
    assert simulator.bill.pictures == 1


async def test_the_setting_of_every_manifest_is_looked_at_before_anything_is_bought(
    workspace: Workspace, simulator: Simulator
) -> None:
    """The first was bought, and its summary lost to the second's missing key."""
    first = workspace.manifest("One", file="a.yaml")
    second = workspace.manifest("Two", file="b.yaml", provider={"api_key_env": "NOT_SET"})
    ended = await workspace.run(first, second)
    assert ended.code == ended.json["exit_code"] == 78
    assert "NOT_SET" in ended.json["error"]
    assert simulator.bill.requests == 0


async def test_several_manifests_are_one_object_with_each_ones_own_in_it(
    workspace: Workspace, simulator: Simulator
) -> None:
    first, second = (
        workspace.manifest("One", file="a.yaml"),
        workspace.manifest({"rows": "r.csv", "prompt": "{p}"}, file="b.yaml"),
    )
    workspace.write("r.csv", "p\nTwo\n")
    third = workspace.manifest("Three", file="c.yaml")
    ended = await workspace.run(first, second, third)
    assert (ended.code, ended.json["stored"], len(ended.json["runs"])) == (0, 3, 3)
    assert simulator.bill.charged_usd == ended.json["spend_usd"] == "0.105"


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is Linux's")
@pytest.mark.parametrize("words", [("models",), ("ratios", "--json"), ("schema",)])
async def test_standard_output_that_is_full_is_74_and_no_bug(workspace: Workspace, words: tuple[str, ...]) -> None:
    with Path("/dev/full").open("wb") as full:  # noqa: ASYNC230
        ended = await workspace.fluxbatch(*words, stdout=full.fileno())
    assert ended.code == 74
    assert "standard output cannot be written (No space left on device)" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
async def test_a_run_without_standard_streams_buys_and_stores(
    workspace: Workspace, simulator: Simulator, closed: str
) -> None:
    """Without an input it was a bug; without an output the loop aborted: its files had taken the streams' numbers."""
    manifest = workspace.manifest("One")
    process = await anyio.run_process(
        ["sh", "-c", f"exec {sys.executable} -m pipeline run {manifest} {closed}"],
        cwd=workspace.root,
        env=workspace.surroundings(),
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert simulator.bill.pictures == 1
    assert workspace.states() == {"stored": 1}


async def test_a_summary_that_nobody_reads_any_more_is_no_traceback(workspace: Workspace, simulator: Simulator) -> None:
    """A closed pipe inside the run's task group came out as a group that nobody took apart."""
    manifest = workspace.manifest("One")
    process = await anyio.run_process(
        ["sh", "-c", f"{{ {sys.executable} -m pipeline run {manifest}; echo ended $? >&2; }} | true"],
        cwd=workspace.root,
        env=workspace.surroundings(),
    )
    assert b"Traceback" not in process.stderr
    assert b"ended 75" in process.stderr
    assert workspace.states() == {"stored": 1}


async def test_notices_are_one_line_each_where_there_is_no_terminal(workspace: Workspace, simulator: Simulator) -> None:
    """They were broken at 80 columns, in the middle of paths and remedies."""
    workspace.environment["COLUMNS"] = "40"
    ended = await workspace.fluxbatch("run", workspace.manifest("One [fault:dl_html]"))
    told = [line for line in ended.err.splitlines() if "spoiled" in line]
    assert ended.code == 5
    assert told
    assert "html" in told[0]


async def test_nobody_is_asked_where_there_is_no_terminal_and_the_plan_is_the_budget(
    workspace: Workspace, simulator: Simulator
) -> None:
    ended = await workspace.run(workspace.manifest("One", "Two"))
    assert (ended.code, ended.json["budget_usd"], ended.json["spend_usd"]) == (0, "0.07", "0.070")
    assert os.environ.get("FLUXBATCH_API_KEY") is None
