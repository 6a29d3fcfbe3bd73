"""From a manifest to proven pictures and a ledger; again; and with a row more or a word less."""

import pytest

from pipeline.simulator import Simulator
from tests.acceptance.stage import Workspace, assert_proven, money, spent_usd

JOBS = (
    ["A beautiful sunset over mountains", "3:2", "flux-kontext-max"],
    ["Portrait of a wise old wizard", "2:3"],
    ["Cyberpunk street scene", "16:9"],
    ["Minimalist app icon design", "1:1"],
)


async def test_a_run_with_key_and_base_url_buys_and_stores(workspace: Workspace, simulator: Simulator) -> None:
    ended = await workspace.run(workspace.manifest(*JOBS))
    assert ended.code == 0, ended.err
    told = ended.json
    assert (told["jobs"], told["stored"], told["exit_code"]) == (4, 4, 0)
    rows = workspace.rows()
    assert [row.prompt for row in rows] == [job[0] for job in JOBS]
    for row in rows:
        assert_proven(workspace, row)
    assert workspace.pictures() == {row.path for row in rows}


async def test_the_providers_bill_is_exactly_what_is_said_to_be_spent(
    workspace: Workspace, simulator: Simulator
) -> None:
    told = (await workspace.run(workspace.manifest(*JOBS, limits={"budget_usd": 1}))).json
    assert simulator.bill.charged_usd == told["spend_usd"] == told["manifest_spend_usd"] == "0.175"
    assert (told["unknown_usd"], told["budget_usd"]) == ("0.000", "1.00")
    assert sorted(charge.request_id for charge in simulator.bill.charges) == sorted(
        row.request_id or "" for row in workspace.rows()
    )


async def test_the_json_object_holds_what_automation_is_written_against(
    workspace: Workspace, simulator: Simulator
) -> None:
    told = (await workspace.run(workspace.manifest(*JOBS, edition="spring"))).json
    kinds = {
        "run_id": str, "manifest": str, "edition": str, "jobs": int, "stored": int, "reused": int, "failed": int,
        "unknown": int, "lost": int, "spoiled": int, "skipped": int, "spend_usd": str, "unknown_usd": str,
        "manifest_spend_usd": str, "manifest_unknown_usd": str, "budget_usd": str, "elapsed_s": float,
        "url_age_max_s": float, "exit_code": int, "ledger": str, "output": str,
        "providers": dict,
    }  # fmt: skip
    assert {name: type(value) for name, value in told.items()} == kinds
    assert (told["manifest"], told["edition"], told["output"]) == ("batch", "spring", "output")
    counts = ("stored", "reused", "failed", "unknown", "lost", "spoiled", "skipped")
    assert told["jobs"] == sum(told[name] for name in counts)


async def test_a_rerun_buys_nothing(workspace: Workspace, simulator: Simulator) -> None:
    manifest = workspace.manifest(*JOBS)
    await workspace.run(manifest)
    pictures, bill = workspace.pictures(), simulator.bill
    again = await workspace.run(manifest)
    assert again.code == 0
    assert (again.json["stored"], again.json["reused"]) == (0, 4)
    assert money(again.json) == ("0.000", "0.000")
    assert simulator.bill == bill
    assert workspace.pictures() == pictures


@pytest.mark.parametrize("place", [4, 1], ids=["at_the_end", "in_the_middle"])
async def test_adding_a_row_buys_one(workspace: Workspace, simulator: Simulator, place: int) -> None:
    await workspace.run(workspace.manifest(*JOBS))
    more = (*JOBS[:place], ["A new idea", "4:5"], *JOBS[place:])
    ended = await workspace.run(workspace.manifest(*more))
    assert (ended.code, ended.json["stored"], ended.json["reused"]) == (0, 1, 4)
    assert ended.json["spend_usd"] == "0.035"
    assert [charge.prompt for charge in simulator.bill.charges][4:] == ["A new idea"]
    assert [row.prompt for row in workspace.rows()] == [job[0] for job in more]


async def test_changing_a_prompt_buys_one(workspace: Workspace, simulator: Simulator) -> None:
    await workspace.run(workspace.manifest(*JOBS))
    before = workspace.pictures()
    ended = await workspace.run(workspace.manifest(*JOBS[:2], ["Cyberpunk street scene, rain", "16:9"], *JOBS[3:]))
    assert (ended.code, ended.json["stored"], ended.json["reused"]) == (0, 1, 3)
    assert simulator.bill.pictures == 5
    assert workspace.pictures() > before


async def test_two_manifests_on_one_ledger_share_a_picture(workspace: Workspace, simulator: Simulator) -> None:
    first = workspace.manifest("A shared lighthouse", file="first.yaml")
    second = workspace.manifest("A shared lighthouse", "Another", file="second.yaml")
    await workspace.run(first)
    ended = await workspace.run(second)
    assert (ended.code, ended.json["stored"], ended.json["reused"]) == (0, 1, 1)
    assert simulator.bill.pictures == 2
    shared = [row for row in workspace.rows() if row.prompt == "A shared lighthouse"]
    assert [row.manifest for row in shared] == ["first", "second"]
    assert len({row.path for row in shared}) == 2
    for row in shared:
        assert_proven(workspace, row)
    assert spent_usd(workspace) == simulator.bill.charged_usd


async def test_equal_rows_are_bought_once_and_placed_for_each(workspace: Workspace, simulator: Simulator) -> None:
    ended = await workspace.run(workspace.manifest("Twins", "Twins"))
    assert (ended.code, ended.json["stored"], ended.json["reused"]) == (0, 1, 1)
    assert simulator.bill.pictures == 1
    assert len(workspace.pictures()) == 2


async def test_a_new_edition_buys_anew(workspace: Workspace, simulator: Simulator) -> None:
    await workspace.run(workspace.manifest("Nightly", edition="monday"))
    ended = await workspace.run(workspace.manifest("Nightly", edition="tuesday"))
    assert (ended.code, ended.json["stored"]) == (0, 1)
    assert simulator.bill.pictures == 2


async def test_several_manifests_run_in_turn_and_tell_one_object(workspace: Workspace, simulator: Simulator) -> None:
    first, second = workspace.manifest("One", file="one.yaml"), workspace.manifest("Two", "Three", file="two.yaml")
    told = (await workspace.fluxbatch("run", first, second, "--json")).json
    assert (told["jobs"], told["stored"], told["spend_usd"], told["manifest"]) == (3, 3, "0.105", "one, two")
    assert [each["stored"] for each in told["runs"]] == [1, 2]


async def test_a_row_that_does_not_fit_is_a_failed_job_and_the_others_go_on(
    workspace: Workspace, simulator: Simulator
) -> None:
    workspace.write("rows.csv", "title,shape\nGood,3:2\nBad,99:1\nAlso good,1:1\n")
    manifest = workspace.manifest({"rows": "rows.csv", "prompt": "{title}", "ratio": "{shape}"})
    ended = await workspace.run(manifest)
    assert (ended.code, ended.json["stored"], ended.json["failed"]) == (3, 2, 1)
    (failed,) = [row for row in workspace.rows() if row.state == "failed"]
    assert "rows.csv:3" in (failed.error_message or "")
    assert simulator.bill.pictures == 2


async def test_a_picture_removed_from_the_folder_is_missed_by_verify_and_not_bought_again(
    workspace: Workspace, simulator: Simulator
) -> None:
    manifest = workspace.manifest("Precious")
    await workspace.run(manifest)
    workspace.file_of(workspace.rows()[0]).unlink()
    await workspace.run(manifest)
    assert simulator.bill.pictures == 1
    verified = await workspace.fluxbatch("ledger", "verify")
    assert verified.code == 5
    assert workspace.findings() <= {"missing", "lost"}
