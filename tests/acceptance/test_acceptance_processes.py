"""One run divided over several processes: one ledger, one budget, one end."""

import json
import os
import re
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import anyio
from PIL import Image

from pipeline.simulator import Simulator
from tests.acceptance.conftest import Simulate
from tests.acceptance.secrecy import KEY
from tests.acceptance.stage import PATIENCE_S, Ended, Entry, Workspace, assert_proven, spent_usd, until
from tests.acceptance.test_acceptance_providers import point, submitted
from tests.acceptance.test_acceptance_trouble import little_disk

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


def told_by_metrics(workspace: Workspace, file: str) -> list[str]:
    """The lines of a metrics file, but for what is as long as it took."""
    lines = (workspace.root / file).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if not line.startswith("#") and "_seconds" not in line]


def shown(workspace: Workspace, output: str) -> list[tuple[str, str, str]]:
    """Every row of a report: prompt, state, picture."""
    text = (workspace.root / output / "report.html").read_text(encoding="utf-8")
    found = re.search(r'id="data">(.*?)</script>', text)
    assert found is not None
    return sorted(
        (row.get("prompt", ""), row["state"], row.get("picture") or "") for row in json.loads(found[1])["rows"]
    )


async def test_several_processes_come_to_what_one_comes_to(workspace: Workspace, simulate: Simulate) -> None:
    rows = workspace.write("rows.csv", "prompt,seed\n" + "".join(f"Row {n % 9},\n" for n in range(12)) + "Bad,x\n")
    edits = workspace.write("edits.csv", "file\none.png\ntwo.png\nnone.png\n")
    for name in ("one", "two"):
        Image.new("RGB", (24, 16), "pink" if name == "one" else "grey").save(workspace.root / f"{name}.png")
    jobs: tuple[Entry, ...] = (
        *SCENES[:6],
        "Scene 00",
        {"rows": rows.name, "prompt": "{prompt}", "seed": "{seed}"},
        {"rows": edits.name, "prompt": "Edit {file}", "images": ["{file}"]},
    )
    append = "import sys; open('told.jsonl', 'a').write(sys.stdin.read())"
    manifest = workspace.manifest(*jobs, notify={"command": [sys.executable, "-c", append]})
    ends: list[Any] = []
    for number in (1, 3):
        simulator = await simulate()
        told = ("--output", f"out{number}", "--metrics-file", f"{number}.prom", "--processes", str(number))
        ended = await workspace.run(manifest, *told, report=True)
        assert ended.code == 3, ended.out + ended.err
        again = await workspace.run(manifest, "--output", f"out{number}")
        pictures = {file.name for file in (workspace.root / f"out{number}").glob("**/*.jpg")}
        counts = [[run.json[count] for count in COUNTS] for run in (ended, again)]
        ends.append((counts, pictures, told_by_metrics(workspace, f"{number}.prom"), shown(workspace, f"out{number}")))
        assert (simulator.bill.pictures, asked_once(simulator)) == (17, True)
        assert simulator.bill.charged_usd == ended.json["spend_usd"]
    assert ends[0] == ends[1]
    one, three = ((json.loads(line)) for line in (workspace.root / "told.jsonl").read_text().splitlines())
    assert [[news[count] for count in ("event", *COUNTS)] for news in (one, three)] == [["trouble", *ends[0][0][0]]] * 2


async def test_the_budget_is_one_wall_and_events_and_notices_come_by_whole_lines(
    workspace: Workspace, simulate: Simulate
) -> None:
    simulator = await simulate(latency_s=0.05)
    prompts = (*SCENES[:22], "Gone [fault:dl_404]", "Page [fault:dl_html]")
    manifest = workspace.manifest(*prompts, limits={"budget_usd": "0.20", "concurrency": 4})
    ended = await workspace.run(manifest, "--processes", "2", "--log-format", "json")
    assert ended.code in {4, 5}, ended.err
    events = [json.loads(line) for line in ended.err.splitlines()]
    named = Counter(event["event"] for event in events)
    price = simulator.bill.charges[0].microusd
    assert simulator.bill.pictures == named["picture_bought"] == 200_000 // price
    assert ended.json["stored"] == named["picture_stored"]
    assert (named["run_begun"], named["run_ended"]) == (1, 1)
    stops = {event["exit_code"] for event in events if event["event"] == "buying_stopped"}
    assert (stops, named["buying_stopped"]) == ({4}, 1), "told once, however many processes it stops"
    assert ended.json["skipped"] == 24 - simulator.bill.pictures
    assert simulator.bill.charged_usd == ended.json["spend_usd"] == spent_usd(workspace)
    assert asked_once(simulator)


async def test_a_stated_rate_holds_for_all_processes_together(workspace: Workspace, simulate: Simulate) -> None:
    simulator = await simulate()
    limits = {"concurrency": 12, "rate_per_minute": 240}
    ended = await workspace.run(workspace.manifest(*SCENES[:16], limits=limits), "--processes", "3")
    assert (ended.code, ended.json["stored"]) == (0, 16), ended.err
    times = sorted(charge.time for charge in simulator.bill.charges)
    # Of 16 starts at 4 a second, each process may be one ahead of its turn: three times that rate would take 1.25 s.
    assert times[-1] - times[0] >= (16 - 3) / 4 * 0.9
    assert_squared(workspace, simulator, ended)


async def test_a_disk_that_fills_stops_all_processes_and_loses_nothing(
    workspace: Workspace, simulate: Simulate
) -> None:
    simulator = await simulate(scale=1)  # some 70 kilobytes a picture
    manifest = workspace.manifest(*SCENES, limits={"concurrency": 2})
    with little_disk(workspace.output / "batch", 160):
        full = await workspace.run(manifest, "--processes", "2")
        assert full.code == 74, full.err
        assert "No space left" in full.err
        bought = simulator.bill.pictures
        assert 1 <= full.json["lost"] == bought - full.json["stored"] < 24
        assert (full.json["skipped"], full.json["unknown"]) == (24 - bought, 0)
    again = await workspace.run(manifest)
    gone = full.json["stored"]  # what the little disk took with it
    assert (again.json["stored"], again.json["lost"], again.json["unknown"]) == (24 - gone, gone, 0)
    assert asked_once(simulator)
    assert simulator.bill.charged_usd == spent_usd(workspace)


async def test_a_refused_key_stops_all_processes(workspace: Workspace, simulate: Simulate) -> None:
    simulator = await simulate(keys=frozenset({"right"}))
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
    simulator = await simulate(latency_s=1.5)
    manifest = workspace.manifest(*SCENES[:8], limits={"concurrency": 4, "processes": 2})
    other = workspace.manifest(*SCENES[8:10], file="other.yaml")
    with anyio.fail_after(PATIENCE_S):
        async with workspace.started("run", manifest, "--json", "--shared") as running:
            await until(lambda: simulator.bill.requests == 4)
            members = children(running.pid)
            running.signal(signal.SIGKILL)
            assert (await workspace.run(other)).code == 75, "the ledger is held until then"
            assert (await workspace.run(manifest, "--shared")).code == 75, "the run is on until its last process ends"
            assert (await workspace.run(other, "--shared")).code == 0
            again = await workspace.run(manifest, "--wait", "60")
            assert not any(map(alive, members))
    assert (again.code, again.json["stored"], again.json["reused"]) == (0, 4, 4)
    assert sum(workspace.states().values()) == workspace.states()["stored"] == 10
    assert asked_once(simulator)
    assert simulator.bill.charged_usd == spent_usd(workspace)


# --- several providers, and one that is asked after --------------------------------------------------------------


async def test_every_process_goes_on_to_the_next_provider_and_says_so_once(
    workspace: Workspace, simulate: Simulate
) -> None:
    first, second = await simulate(keys=frozenset({"another"})), await simulate(keys=frozenset({KEY}))
    point(workspace, apiyi=first, bfl=second)
    manifest = workspace.manifest(*SCENES[:8], provider=["apiyi", "bfl"], limits={"concurrency": 2, "processes": 2})
    ended = await workspace.run(manifest)
    assert (ended.code, ended.json["stored"]) == (0, 8), ended.err
    assert ended.err.count("apiyi was left out for the rest of this run") == 1
    assert (first.bill.pictures, second.bill.pictures, asked_once(second)) == (0, 8, True)
    assert first.bill.requests <= 4, "each process finds it out for itself"
    assert spent_usd(workspace) == ended.json["spend_usd"] == "0.320"


async def test_tasks_of_a_killed_process_are_asked_after_by_the_run_and_those_of_a_killed_run_by_the_next(
    workspace: Workspace, simulate: Simulate
) -> None:
    vendor = await simulate(latency_s=4.0, keys=frozenset({KEY}))
    point(workspace, bfl=vendor)
    limits = {"concurrency": 8, "processes": 2}  # so that each may have all four under way
    manifest = workspace.manifest(*SCENES[:4], provider="bfl", limits=limits)
    with anyio.fail_after(PATIENCE_S):
        async with workspace.started("run", manifest, "--json", "--no-report") as running:
            await until(lambda: submitted(workspace) == 4)
            os.kill(children(running.pid)[0], signal.SIGKILL)
            ended = await running.end()
    assert "bought and not stored by a process of this run that ended early: fetched now" in ended.err
    assert (ended.code, ended.json["stored"], ended.json["unknown"]) == (0, 4, 0), ended.err
    manifest = workspace.manifest(*SCENES[:8], provider="bfl", limits=limits)
    with anyio.fail_after(PATIENCE_S):
        async with workspace.started("run", manifest, "--no-report") as running:
            await until(lambda: submitted(workspace) == 4)
            for pid in (running.pid, *children(running.pid)):
                os.kill(pid, signal.SIGKILL)
            await running.end()
    again = await workspace.run(manifest)
    assert again.code == 0, again.err
    assert "4 bought and not stored by an earlier run: fetched first" in again.err
    assert workspace.states() == {"stored": 8}
    assert (vendor.bill.requests, vendor.bill.pictures) == (8, 8), "submitted once, charged once"
    assert (spent_usd(workspace), workspace.findings()) == ("0.320", set())
