"""The library, used from a script as its documentation shows."""

import asyncio
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

import pipeline
from pipeline import load_manifest
from pipeline.report import Snapshot
from pipeline.runner import RunOptions, run_async
from pipeline.simulator import Simulator
from tests.acceptance.stage import PATIENCE_S, Workspace, until


def example_of(text: str, start: str) -> str:
    """The lines of an indented example that begins so, up to the end of the block."""
    lines = text[text.index(start) :].splitlines()
    kept = [lines[0]]
    for line in lines[1:]:
        if line.startswith("```") or (
            line.strip() and not line.startswith((" ", "manifest", "summary", "print", "with"))
        ):
            break
        kept.append(line.removeprefix("    ") if text is pipeline.__doc__ else line)
    return "\n".join(kept)


async def run_script(workspace: Workspace, script: str) -> tuple[int | None, str, str]:
    workspace.write("script.py", script)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "script.py",
        cwd=workspace.root,
        env=workspace.surroundings(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    with anyio.fail_after(PATIENCE_S):
        out, err = await process.communicate()
    workspace.told += [out, err]
    return process.returncode, out.decode(), err.decode()


@pytest.mark.parametrize("place", ["docstring", "readme"])
async def test_the_documented_script_runs_as_it_stands(workspace: Workspace, simulator: Simulator, place: str) -> None:
    (workspace.root / "jobs").mkdir()
    workspace.manifest("One", "Two", "Three", file="jobs/first-batch.yaml")
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    text = pipeline.__doc__ or "" if place == "docstring" else readme
    script = example_of(text, "from pipeline import Ledger, load_manifest, run")
    code, out, err = await run_script(workspace, script)
    assert (code, err) == (0, "")
    first, *rows = out.splitlines()
    assert first.split()[0] == "3"
    assert [row.split()[:2] for row in rows] == [["1", "stored"], ["2", "stored"], ["3", "stored"]]
    assert all((workspace.output / row.split()[2]).is_file() for row in rows)


async def test_run_async_runs_inside_somebody_elses_event_loop(workspace: Workspace, simulator: Simulator) -> None:
    manifest = await anyio.to_thread.run_sync(load_manifest, workspace.root / workspace.manifest("One"))
    heard: list[str] = []
    options = RunOptions(output=workspace.output, environment=workspace.environment, notice=heard.append)
    with anyio.fail_after(PATIENCE_S):
        summary = await run_async(manifest, options)
    assert (summary.stored, summary.exit_code, heard) == (1, 0, [])
    assert simulator.bill.charged_microusd == summary.spend_microusd


async def test_cancelling_run_async_leaves_a_ledger_that_says_what_is_unknown(
    workspace: Workspace, simulator: Simulator
) -> None:
    manifest = await anyio.to_thread.run_sync(load_manifest, workspace.root / workspace.manifest("One [fault:hang]"))
    options = RunOptions(output=workspace.output, environment=workspace.environment)
    with anyio.move_on_after(1.0):
        await run_async(manifest, options)
    assert simulator.bill.pictures == 1
    assert (await workspace.run("batch.yaml")).json["unknown"] == 1
    assert workspace.findings() == {"unknown"}


async def test_progress_counts_no_picture_twice_that_an_earlier_run_bought(
    workspace: Workspace, simulator: Simulator
) -> None:
    """Fetched first, and there when the planner looks, it is once among all."""
    file = workspace.manifest("Stalling [fault:dl_stall*1]", "Another")
    async with workspace.started("run", file, "--json") as running:
        with anyio.fail_after(PATIENCE_S):
            await until(lambda: any(workspace.output.rglob("*.part")) and workspace.states().get("stored") == 1)
            running.signal(signal.SIGKILL)
            await running.end()
    seen: list[int] = []

    async def watch(snapshot: Callable[[], Snapshot]) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            now = snapshot()
            seen.append(now.stored + now.seen - now.to_buy)

    options = RunOptions(output=workspace.output, environment=workspace.environment, watch=watch)
    with anyio.fail_after(PATIENCE_S):
        manifest = await anyio.to_thread.run_sync(load_manifest, workspace.root / file)
        summary = await run_async(manifest, options)
    assert (summary.exit_code, workspace.states()) == (0, {"stored": 2})
    assert seen == [2]
