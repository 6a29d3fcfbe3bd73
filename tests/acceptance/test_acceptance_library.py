"""The library, used from a script as its documentation shows."""

import asyncio
import sys
from pathlib import Path

import anyio
import pytest

import pipeline
from pipeline import load_manifest
from pipeline.runner import RunOptions, run_async
from pipeline.simulator import Simulator
from tests.acceptance.stage import PATIENCE_S, Workspace


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
