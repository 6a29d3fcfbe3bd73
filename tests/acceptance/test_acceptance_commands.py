"""Every command and option, on real files."""

import csv
import io
import json
import signal
import sys
from pathlib import Path

import aiohttp
import anyio
import pyarrow.parquet
import pytest

from pipeline.ledger import COLUMNS
from pipeline.simulator import Simulator
from tests.acceptance.conftest import Simulate
from tests.acceptance.stage import PATIENCE_S, Workspace, assert_proven

JOBS = Path(__file__).parents[2] / "jobs"


# --- run ---------------------------------------------------------------------------------------------------------


async def test_the_demo_runs_without_a_key(workspace: Workspace) -> None:
    ended = await workspace.fluxbatch("run", str(JOBS / "demo.yaml"))
    assert ended.code == 0, ended.err
    assert "demo: 12 stored" in ended.out
    assert "make-believe money (simulator)" in ended.out
    for row in workspace.rows():
        assert_proven(workspace, row)
        assert row.verdict == "ok"


async def test_limit_takes_the_first_jobs_only(workspace: Workspace, simulator: Simulator) -> None:
    manifest = workspace.manifest("One", "Two", "Three")
    ended = await workspace.run(manifest, "--limit", "2")
    assert (ended.code, ended.json["jobs"], ended.json["stored"]) == (0, 2, 2)
    assert sorted(charge.prompt for charge in simulator.bill.charges) == ["One", "Two"]
    rest = await workspace.run(manifest)
    assert (rest.json["stored"], rest.json["reused"]) == (1, 2)


async def test_quiet_says_nothing_when_all_is_well(workspace: Workspace, simulator: Simulator) -> None:
    ended = await workspace.fluxbatch("run", workspace.manifest("One"), "--quiet")
    assert (ended.code, ended.out, ended.err) == (0, "", "")


async def test_quiet_still_says_what_went_wrong(workspace: Workspace, simulator: Simulator) -> None:
    ended = await workspace.fluxbatch("run", workspace.manifest("One [fault:moderated]"), "--quiet")
    assert (ended.code, ended.out) == (3, "")
    assert "1 failed" in ended.err


async def test_concurrency_is_a_ceiling(workspace: Workspace, simulate: Simulate) -> None:
    simulator = await simulate(latency_s=0.05)
    await workspace.run(workspace.manifest(*map(str, range(12)), limits={"concurrency": 12}), "--concurrency", "3")
    assert simulator.bill.in_flight_peak == 3


async def test_output_and_ledger_go_where_they_are_told(workspace: Workspace, simulator: Simulator) -> None:
    manifest = workspace.manifest("One")
    ended = await workspace.run(manifest, "--output", "pictures", "--ledger", "books/ledger.db")
    assert (ended.json["output"], ended.json["ledger"]) == ("pictures", "books/ledger.db")
    assert len([*(workspace.root / "pictures").rglob("*.jpg")]) == 1
    assert not (workspace.root / "pictures" / "ledger.db").exists()
    verified = await workspace.fluxbatch("ledger", "verify", "--ledger", "books/ledger.db")
    assert verified.code == 0, verified.out


async def test_output_and_ledger_may_be_moved_together(workspace: Workspace, simulator: Simulator) -> None:
    manifest = workspace.manifest("One")
    await workspace.run(manifest)
    workspace.output.rename(workspace.root / "moved")
    assert (await workspace.fluxbatch("ledger", "verify", "--output", "moved")).code == 0
    assert (await workspace.run(manifest, "--output", "moved")).json["reused"] == 1


# --- before a run ------------------------------------------------------------------------------------------------


async def test_plan_says_what_a_run_would_buy_and_buys_nothing(workspace: Workspace, simulator: Simulator) -> None:
    await workspace.run(workspace.manifest("Kept", "Changing", "Refused [fault:invalid]"))
    bill, pictures, ledger = simulator.bill, workspace.pictures(), workspace.ledger.read_bytes()
    planned = await workspace.fluxbatch("plan", workspace.manifest("Kept", "Changed", "Refused [fault:invalid]", "New"))
    assert planned.code == 0
    assert "4 jobs: 1 new, 1 changed, 1 kept, 1 left as it is" in planned.out
    assert "Worst case: $0.070 for 2 pictures" in planned.out
    assert simulator.bill == bill
    assert (workspace.pictures(), workspace.ledger.read_bytes()) == (pictures, ledger)


async def test_a_plan_of_nothing_leads_on_too(workspace: Workspace, simulator: Simulator) -> None:
    await workspace.run(workspace.manifest("Kept"), "--output", "there")
    kept = await workspace.fluxbatch("plan", "batch.yaml", "--output", "there")
    assert kept.out.splitlines()[1:] == ["Nothing to buy.", "-> fluxbatch status --output there"]
    workspace.write("rows.jsonl", '{"title": ""}\n')
    unfit = await workspace.fluxbatch("plan", workspace.manifest({"rows": "rows.jsonl", "prompt": "{title}"}))
    assert unfit.out.splitlines()[-1] == "-> fluxbatch check batch.yaml"


async def test_plan_needs_no_key_and_makes_no_ledger(workspace: Workspace) -> None:
    planned = await workspace.fluxbatch("plan", workspace.manifest("One"), "--json")
    assert (planned.code, planned.json["to_buy"], planned.json["worst_case_usd"]) == (0, 1, "0.035")
    assert not workspace.output.exists()


@pytest.mark.parametrize("manifest", sorted(JOBS.glob("*.yaml")), ids=lambda path: path.stem)
async def test_check_finds_nothing_wrong_with_the_examples(workspace: Workspace, manifest: Path) -> None:
    checked = await workspace.fluxbatch("check", str(manifest), "--json")
    assert (checked.code, checked.json["unfit"], checked.json["problems"]) == (0, 0, [])
    assert checked.json["jobs"] >= 4


async def test_check_lists_rows_that_make_no_job(workspace: Workspace) -> None:
    workspace.write("rows.jsonl", '{"title": "Good"}\n{"title": ""}\n{broken\n')
    checked = await workspace.fluxbatch("check", workspace.manifest({"rows": "rows.jsonl", "prompt": "{title}"}))
    assert checked.code == 65
    assert "rows.jsonl:2: " in checked.err
    assert "rows.jsonl:3: " in checked.err
    assert "1 job, 2 rows do not fit" in checked.out
    planned = await workspace.fluxbatch("plan", "batch.yaml")
    told = await workspace.fluxbatch("plan", "batch.yaml", "--json")
    assert len(told.json["problems"]) == 2
    assert all(f"  {problem}" in planned.out for problem in told.json["problems"])


async def test_schema_is_the_one_beside_the_examples(workspace: Workspace) -> None:
    shown = await workspace.fluxbatch("schema")
    assert json.loads(shown.out) == json.loads((JOBS / "manifest.schema.json").read_text(encoding="utf-8"))


async def test_ratios_lists_uses_with_the_size_to_expect(workspace: Workspace) -> None:
    listed = (await workspace.fluxbatch("ratios", "--json")).json["ratios"]
    assert {"use": "desktop_wallpaper", "ratio": "16:9", "width": 1392, "height": 752} in listed
    shown = (await workspace.fluxbatch("ratios")).out
    assert "3:7 to 7:3" in shown
    assert "instagram_story" in shown


async def test_models_as_json(workspace: Workspace) -> None:
    listed = (await workspace.fluxbatch("models", "--json")).json["models"]
    assert [model["model"] for model in listed][:2] == ["flux-kontext-pro", "flux-kontext-max"]
    assert listed[0]["prices_usd"]["apiyi"] == "0.035"


async def test_version_and_module_are_the_command(workspace: Workspace) -> None:
    shown = await workspace.fluxbatch("--version")
    command = await anyio.run_process([str(Path(sys.executable).with_name("fluxbatch")), "--version"])
    assert shown.out == command.stdout.decode()
    assert shown.out.startswith("fluxbatch 0.")


# --- after a run -------------------------------------------------------------------------------------------------


async def test_status_tells_what_manifests_have_come_to(workspace: Workspace, simulator: Simulator) -> None:
    await workspace.run(workspace.manifest("One", "Two [fault:lost]", edition="today"))
    shown = (await workspace.fluxbatch("status")).out
    for words in ("batch / today", "1 stored, 1 unknown", "$0.035", " 5 "):
        assert words in shown
    (told,) = (await workspace.fluxbatch("status", "--json")).json["manifests"]
    assert (told["manifest"], told["last_exit_code"], told["spend_usd"], told["unknown_usd"]) == (
        "batch", 5, "0.035", "0.035",
    )  # fmt: skip


async def test_export_gives_one_row_a_job_in_three_formats(workspace: Workspace, simulator: Simulator) -> None:
    await workspace.run(workspace.manifest("One", "=Two, with\na formula [fault:moderated]", "Three [fault:lost]"))
    lines = (await workspace.fluxbatch("ledger", "export")).out
    rows = [json.loads(line) for line in lines.splitlines()]
    assert [list(row) for row in rows] == [list(COLUMNS)] * 3
    assert [row["state"] for row in rows] == ["stored", "failed", "unknown"]
    assert [(row["spend_usd"], row["unknown_usd"]) for row in rows] == [
        ("0.035", "0.000"), ("0.000", "0.000"), ("0.000", "0.035"),
    ]  # fmt: skip
    table = (await workspace.fluxbatch("ledger", "export", "--format", "csv")).out
    cells = list(csv.DictReader(io.StringIO(table)))
    assert [row["sha256"] for row in cells] == [row["sha256"] or "" for row in rows]
    assert cells[1]["prompt"].startswith("'=Two")
    ended = await workspace.fluxbatch("ledger", "export", "--format", "parquet", "--to", "rows.parquet")
    assert (ended.code, ended.out) == (0, "")
    assert pyarrow.parquet.read_table(workspace.root / "rows.parquet").to_pylist() == rows


async def test_verify_is_0_when_all_is_proven(workspace: Workspace, simulator: Simulator) -> None:
    await workspace.run(workspace.manifest("One", "Two"))
    verified = await workspace.fluxbatch("ledger", "verify")
    assert (verified.code, verified.out) == (
        0,
        "2 pictures and 2 attempts checked, $0.070 spent: all proven\n-> fluxbatch report\n",
    )


async def test_verify_is_5_when_a_picture_was_altered(workspace: Workspace, simulator: Simulator) -> None:
    await workspace.run(workspace.manifest("One", "Two"))
    file = workspace.file_of(workspace.row("Two"))
    file.write_bytes(file.read_bytes()[::-1])
    verified = await workspace.fluxbatch("ledger", "verify", "--json")
    assert verified.code == verified.json["exit_code"] == 5
    ((kind, subject),) = [(found["kind"], found["subject"]) for found in verified.json["findings"]]
    assert (kind, subject) == ("altered", workspace.row("Two").path)


@pytest.mark.parametrize("by", ["day", "month", "model", "manifest", "provider"])
async def test_spend_groups_add_up_to_the_bill(workspace: Workspace, simulator: Simulator, by: str) -> None:
    await workspace.run(workspace.manifest(["One"], ["Two", "1:1", "flux-kontext-max"]))
    told = (await workspace.fluxbatch("ledger", "spend", "--by", by, "--json")).json
    assert sum(round(float(group["spend_usd"]) * 1000) for group in told["groups"]) == 105
    assert simulator.bill.charged_usd == "0.105"


async def test_the_simulators_money_is_kept_apart_from_real_money(workspace: Workspace, simulator: Simulator) -> None:
    real = workspace.manifest("One", file="real.yaml")
    pretend = workspace.manifest("One", file="pretend.yaml", provider="simulator", limits={"total_usd": 0.04})
    ended = await workspace.fluxbatch("run", real, pretend, "--json")
    assert (ended.code, ended.json["stored"]) == (0, 2)
    shown = (await workspace.fluxbatch("ledger", "spend", "--by", "manifest")).out
    assert "pretend (pretend)" in shown
    assert shown.count("total") == 2


# --- the simulator -----------------------------------------------------------------------------------------------


async def test_simulate_serves_until_stopped_and_tells_its_bill(workspace: Workspace) -> None:
    with anyio.fail_after(PATIENCE_S):
        async with workspace.started(
            "simulate", "--port", "0", "--latency", "0", "--scale", "16", "--key", "sesame"
        ) as serving:
            variable, _, url = (await serving.first_line()).partition("=")
            assert variable == "FLUXBATCH_BASE_URL"
            workspace.environment = {variable: url, "FLUXBATCH_API_KEY": "sesame"}
            assert (await workspace.run(workspace.manifest("One", "Two"))).json["stored"] == 2
            async with aiohttp.ClientSession() as session, session.get(f"{url}/models") as refused:
                assert refused.status == 401
            serving.signal(signal.SIGTERM)
            ended = await serving.end()
    assert ended.code == 0
    assert "charged $0.070 of make-believe money for 2 pictures" in ended.err


async def test_simulate_on_a_taken_port_is_73(workspace: Workspace, simulator: Simulator) -> None:
    port = simulator.base_url.split(":")[2].removesuffix("/v1")
    ended = await workspace.fluxbatch("simulate", "--port", port)
    assert ended.code == 73
    assert "--port" in ended.err


@pytest.mark.parametrize("manifest", sorted(JOBS.glob("*.yaml")), ids=lambda path: path.stem)
async def test_every_example_is_planned_and_bought_as_planned(
    workspace: Workspace, simulator: Simulator, manifest: Path
) -> None:
    planned = await workspace.fluxbatch("plan", str(manifest), "--json")
    assert planned.code == 0, planned.err
    ran = await workspace.run(str(manifest), "--no-report")
    assert ran.code == 0, ran.err
    assert (ran.json["stored"], ran.json["spend_usd"]) == (planned.json["to_buy"], planned.json["worst_case_usd"])
    assert simulator.bill.charged_usd == ran.json["spend_usd"]
