"""News of runs, as the command sends it."""

import json
import sys
from typing import Any

from pipeline.simulator import Simulator
from tests.acceptance.stage import Workspace

_APPEND = "import sys; open('told.jsonl', 'a').write(sys.stdin.read())"
TELL = {"command": [sys.executable, "-c", _APPEND]}


def told(workspace: Workspace) -> list[dict[str, Any]]:
    file = workspace.root / "told.jsonl"
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


async def test_what_is_bought_is_told_once_and_a_rerun_with_nothing_new_is_silent(
    workspace: Workspace, simulator: Simulator
) -> None:
    manifest = workspace.manifest("One", "Bad [fault:invalid]", notify=TELL)
    ended = await workspace.run(manifest)
    assert [(each["event"], each["stored"], each["exit_code"]) for each in told(workspace)] == [("trouble", 1, 3)]
    assert {name: told(workspace)[0][name] for name in ended.json} == ended.json
    assert (await workspace.run(manifest)).code == 3
    assert len(told(workspace)) == 1
    assert (await workspace.run(workspace.manifest("One", notify=TELL))).code == 0
    assert [each["event"] for each in told(workspace)] == ["trouble", "finish"]


async def test_a_run_that_breaks_is_told_and_a_failure_to_tell_changes_nothing(workspace: Workspace) -> None:
    assert (await workspace.run(workspace.manifest("One", notify=TELL))).code == 78
    assert "FLUXBATCH_API_KEY is not set" in told(workspace)[0]["text"]
    ended = await workspace.run(workspace.manifest("One", notify={"command": ["/no/such/program"]}))
    assert ended.code == 78
    assert "warning: nobody was told: /no/such/program" in ended.err
