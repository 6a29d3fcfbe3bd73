"""Standard error as events that programs read."""

import json
from pathlib import Path
from typing import Any

from pipeline.report.events import EventName
from pipeline.simulator import Simulator
from tests.acceptance.conftest import Simulate
from tests.acceptance.stage import Ended, Workspace

JSON = ("--log-format", "json")


def events(ended: Ended) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ended.err.splitlines()]


async def test_each_step_of_each_picture_is_an_event_with_its_key(workspace: Workspace, simulator: Simulator) -> None:
    ended = await workspace.run(workspace.manifest("Good", "Lost [fault:lost]", "Bad [fault:invalid]"), *JSON)
    told = events(ended)
    names = [event["event"] for event in told]
    assert names[0] == "run_begun"
    assert names[-1] == "run_ended"
    by_key = {name: [event["key"] for event in told if event["event"] == name] for name in names[1:-1]}
    rows = {row.prompt.split()[0]: row.key for row in workspace.rows()}
    assert by_key["picture_bought"] == by_key["picture_stored"] == [rows["Good"]]
    assert by_key["answer_lost"] == [rows["Lost"]]
    assert by_key["request_refused"] == [rows["Bad"]]
    end = told[-1]
    assert {name: end[name] for name in ended.json} == ended.json
    assert (end["level"], end["exit_code"]) == ("error", 5)
    assert {event["event"] for event in told} <= set(EventName)


async def test_what_ends_a_command_before_it_runs_is_an_event_too(workspace: Workspace) -> None:
    for words in (JSON, ("--log-format=json",)):
        ended = await workspace.fluxbatch("run", workspace.manifest("One"), *words)
        (event,) = events(ended)
        assert (ended.code, event["event"], event["exit_code"]) == (78, "command_failed", 78)
        assert event["remedy"].startswith("export FLUXBATCH_API_KEY")


async def test_the_summary_for_people_stays_on_standard_output(workspace: Workspace, simulator: Simulator) -> None:
    ended = await workspace.fluxbatch("run", workspace.manifest("One"), *JSON)
    assert "batch: 1 stored" in ended.out
    assert events(ended)[-1]["stored"] == 1


async def test_quiet_events_are_news_only(workspace: Workspace, simulator: Simulator) -> None:
    ended = await workspace.fluxbatch("run", workspace.manifest("One"), "--quiet", *JSON)
    assert (ended.code, ended.out, ended.err) == (0, "", "")
    ended = await workspace.fluxbatch("run", workspace.manifest("Bad [fault:invalid]"), "--quiet", *JSON)
    assert [event["event"] for event in events(ended)] == ["request_refused", "run_ended"]


async def test_no_event_holds_a_key_or_a_url(workspace: Workspace, simulate: Simulate) -> None:
    simulator = await simulate(latency_s=0.01)
    workspace.use(simulator, key="sk-canary-0123456789")
    ended = await workspace.run(workspace.manifest("One", "Twice [fault:dl_cut*1]"), *JSON)
    assert {"fetch_retried", "picture_stored"} <= {event["event"] for event in events(ended)}
    assert "sk-canary" not in ended.err
    assert "http://" not in ended.err


def test_every_event_is_documented() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert [name for name in EventName if f"`{name}`" not in readme] == []
