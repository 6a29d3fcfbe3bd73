"""The report as the command writes it: after a run, when asked, and where it cannot."""

import json
import re
from typing import Any

from PIL import Image

from pipeline.simulator import Simulator
from tests.acceptance.stage import Workspace, assert_told

PROMPTS = ("One", "Two [fault:moderated]", "Three")


def shown(workspace: Workspace, page: str = "report.html") -> dict[str, Any]:
    text = (workspace.output / page).read_text(encoding="utf-8")
    found = re.search(r'id="data">(.*?)</script>', text)
    assert found is not None
    data = json.loads(found[1])
    assert isinstance(data, dict)
    return data


async def test_a_run_writes_the_report_and_names_it_before_its_summary_also_when_jobs_failed(
    workspace: Workspace, simulator: Simulator
) -> None:
    ended = await workspace.fluxbatch("run", workspace.manifest(*PROMPTS, limits={"budget_usd": 1}))
    assert ended.code == 3, ended.err
    assert ended.out.splitlines()[0] == "Report: output/report.html"
    assert ended.out.splitlines()[-1].endswith("fluxbatch run batch.yaml --retry-failed")
    data = shown(workspace)
    assert [(row["prompt"], row["state"]) for row in sorted(data["rows"], key=lambda row: row["index"])] == [
        ("One", "stored"),
        (PROMPTS[1], "failed"),
        ("Three", "stored"),
    ]
    assert [(line["kind"], line["cap_microusd"]) for line in data["budgets"]] == [("batch", 1_000_000)]
    for row in data["rows"]:
        if row["state"] == "stored":
            assert (workspace.output / row["picture"]).is_file()
            assert data["embedded"][row["sha256"]].startswith("data:image/webp;base64,")


async def test_without_it_nothing_is_left_and_nothing_is_said(workspace: Workspace, simulator: Simulator) -> None:
    ended = await workspace.fluxbatch("run", workspace.manifest("One"), "--no-report")
    assert "eport" not in ended.out + ended.err
    assert not (workspace.output / "report.html").exists()


async def test_a_report_that_cannot_be_written_is_a_notice_and_changes_nothing(
    workspace: Workspace, simulator: Simulator
) -> None:
    workspace.output.mkdir()
    (workspace.output / "report.html").write_text("my own")
    ended = await workspace.fluxbatch("run", workspace.manifest("One"))
    assert ended.code == 0
    assert "no report: output/report.html: is there, and not a report" in ended.err
    assert (workspace.output / "report.html").read_text() == "my own"


async def test_several_manifests_have_one_report(workspace: Workspace, simulator: Simulator) -> None:
    first, second = (workspace.manifest(name, file=f"{name}.yaml") for name in ("one", "two"))
    ended = await workspace.fluxbatch("run", first, second)
    assert ended.out.count("Report: ") == 1
    assert {row["manifest"] for row in shown(workspace)["rows"]} == {"one", "two"}


async def test_a_report_of_a_manifest_or_a_run_is_a_page_of_its_own(workspace: Workspace, simulator: Simulator) -> None:
    first, second = (workspace.manifest(name, file=f"{name}.yaml") for name in ("one", "two"))
    await workspace.run(first)
    run_id = (await workspace.run(second)).json["run_id"]
    for about, page in ((first, "report-one.html"), ("one", "report-one.html"), (run_id, f"report-{run_id}.html")):
        ended = await workspace.fluxbatch("report", about)
        assert (ended.code, ended.out) == (0, f"output/{page}: 1 row\n-> fluxbatch ledger verify\n"), ended.err
        assert len(shown(workspace, page)["rows"]) == 1
    told = (await workspace.fluxbatch("report", "--json", "--contact-sheet", "sheet.png", "--to", "all.html")).json
    assert told == {
        "report": "all.html", "rows": 2, "shown": 2, "thumbnails": 2, "contact_sheet": "sheet.png",
        "contact_sheet_pictures": 2, "exit_code": 0,
    }  # fmt: skip
    with Image.open(workspace.root / "sheet.png") as sheet:
        assert sheet.size == (1654, 2339)


async def test_what_is_not_there_or_cannot_be_written_is_said(workspace: Workspace, simulator: Simulator) -> None:
    assert_told(await workspace.fluxbatch("report"), 66, "no such output folder", "  -> ")
    workspace.output.mkdir()
    assert_told(await workspace.fluxbatch("report"), 66, "no such ledger", "  -> ")
    await workspace.run(workspace.manifest("One"))
    assert_told(await workspace.fluxbatch("report", "winter"), 66, "no manifest named winter", "  -> ")
    assert_told(await workspace.fluxbatch("report", "--to", "nowhere/a.html"), 73, "nowhere/a.html", "  -> ")
    assert_told(await workspace.fluxbatch("report", "--contact-sheet", "sheet.gif"), 64, "sheet.gif", "  -> ")
