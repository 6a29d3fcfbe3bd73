"""The report's files: the page, the small copies beside it, and the contact sheet."""

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pipeline.errors import FluxbatchError, NotFoundError, OutputError, UsageError
from pipeline.inputs.small import keep_small
from pipeline.ledger import Ledger, Scope
from pipeline.report.page import Places, write_report, write_sheet
from pipeline.report.page.thumbnails import EMBEDDED_MOST, FOLDER, make_thumbnails, sources
from tests.integration.report_scene import Wish, build, run_id, stored, troubled


def places(output: Path) -> Places:
    return Places(output / "ledger.db", output, output / "report.html")


def shown(page: Path) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.read_text(encoding="utf-8"))
    assert found is not None
    data = json.loads(found[1])
    assert isinstance(data, dict)
    return data


def report(output: Path, scope: Scope | None = None, **options: Any) -> dict[str, Any]:
    write_report(places(output), scope or Scope(), thumbnails_s=60, **options)
    return shown(output / "report.html")


# --- the page -----------------------------------------------------------------------------------------------------


def test_every_row_is_in_the_page_with_what_is_known_of_it(tmp_path: Path) -> None:
    build(tmp_path, [Wish(prompt="A cat", ratio="3:2", seed=2**62 + 1, age_s=0.0), *troubled()])
    data = report(tmp_path)
    by_prompt = {row.get("prompt"): row for row in data["rows"]}
    cat = by_prompt["A cat"]
    assert (cat["seed"], cat["safety_tolerance"], cat["prompt_upsampling"]) == (str(2**62 + 1), 2, False)
    assert (cat["spent_microusd"], cat["url_age_s"], cat["picture"]) == (35_000, 0.0, "pictures/00001.jpeg")
    assert cat["provider"] == "apiyi"
    assert "open" not in cat
    assert by_prompt["A page of HTML"]["open"] is True
    assert (tmp_path / FOLDER / f"{cat['sha256']}.webp").is_file()
    states = {"failed", "unknown", "lost", "spoiled", "bought", "planned", "stored"}
    assert {row["state"] for row in data["rows"]} == states
    assert {row["prompt"] for row in data["rows"] if row.get("open") and row.get("prompt")} == {
        wish.prompt for wish in troubled() if wish.prompt and wish.state not in {"stored", "planned"}
    }


def edits(output: Path, number: int, *, copies: int) -> list[Wish]:
    """So many edits of two images each, with small copies of the first so many images."""
    wishes = []
    for place in range(number):
        digests = tuple(hashlib.sha256(f"{place} {each}".encode()).hexdigest() for each in range(2))
        wishes.append(Wish(prompt=f"Edit {place}", inputs=digests))
        for each in digests[: max(0, copies - 2 * place)]:
            keep_small(output, each, Image.new("RGB", (900, 600) if place < 3 else (9, 6), (place % 256, 90, 160)))
    return wishes


def test_an_edit_shows_what_it_was_made_from(tmp_path: Path) -> None:
    wishes = [*edits(tmp_path, 3, copies=3), Wish(prompt="No edit")]
    build(tmp_path, wishes)
    data = report(tmp_path)
    rows = {row["prompt"]: row for row in data["rows"]}
    assert rows["Edit 0"]["input_pictures"] == list(wishes[0].inputs)
    assert rows["Edit 1"]["input_pictures"] == [wishes[1].inputs[0]]
    assert "input_pictures" not in rows["Edit 2"]
    assert "input_pictures" not in rows["No edit"]
    assert data["embedded"][wishes[0].inputs[1]].startswith("data:image/webp;base64,")
    with Image.open(tmp_path / FOLDER / f"{wishes[0].inputs[0]}.webp") as image:
        assert image.size == (480, 320)


def test_a_page_of_5000_edits_is_bounded(tmp_path: Path) -> None:
    wishes = edits(tmp_path, 5_000, copies=EMBEDDED_MOST + 2)
    build(tmp_path, wishes, pictures=1)
    data = report(tmp_path)
    assert sum("input_pictures" in row for row in data["rows"]) == EMBEDDED_MOST // 2 + 1
    assert not set(data["embedded"]) & set(wishes[0].inputs)
    assert (tmp_path / "report.html").stat().st_size < 6_000_000


def test_a_link_in_the_place_of_the_folder_is_no_way_out(tmp_path: Path) -> None:
    (tmp_path / "output").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "output" / FOLDER).symlink_to(tmp_path / "elsewhere")
    keep_small(tmp_path / "output", "a" * 64, Image.new("RGB", (9, 6)))
    assert not list((tmp_path / "elsewhere").iterdir())


def test_no_signed_url_is_in_the_page(tmp_path: Path) -> None:
    build(tmp_path, troubled())
    report(tmp_path)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "SECRET" not in text
    assert "images.example" not in text


def test_addresses_are_relative_and_quoted(tmp_path: Path) -> None:
    build(tmp_path / "out", [Wish(prompt="A cat")])
    there = Places(tmp_path / "out/ledger.db", tmp_path / "out", tmp_path / "pages/a.html")
    assert there.picture("a b/50%#1?.jpeg") == "../out/a%20b/50%25%231%3F.jpeg"
    assert there.thumbnails() == "../out/.thumbnails"


def test_few_small_copies_travel_in_the_page_and_many_do_not(tmp_path: Path) -> None:
    build(tmp_path / "few", stored(8))
    few = report(tmp_path / "few")
    for row in few["rows"]:
        kind, _, data = few["embedded"][row["sha256"]].partition(",")
        assert kind == "data:image/webp;base64"
        assert base64.b64decode(data) == (tmp_path / "few" / FOLDER / f"{row['sha256']}.webp").read_bytes()
    build(tmp_path / "many", stored(EMBEDDED_MOST + 1))
    assert report(tmp_path / "many")["embedded"] == {}


def test_beyond_its_bound_a_page_shows_troubles_first_then_the_newest_and_counts_all(tmp_path: Path) -> None:
    build(tmp_path, [*troubled(), *stored(30)])
    data = report(tmp_path, most_rows=12)
    assert (data["total"], len(data["rows"])) == (40, 12)
    assert sum(row.get("open", False) for row in data["rows"]) == 8
    assert {row["index"] for row in data["rows"] if not row.get("open")} == {37, 38, 39, 40}
    assert sum(count["rows"] for count in data["counts"]) == 40
    assert sum(line["pictures"] for line in data["money"]) == 34


def test_a_page_may_be_about_one_manifest_or_one_run(tmp_path: Path) -> None:
    build(
        tmp_path, [Wish(prompt="One"), Wish(prompt="Two", manifest="autumn"), Wish(prompt="Three", manifest="autumn")]
    )
    for scope in (Scope(manifest="autumn"), Scope(run=run_id(2))):
        data = report(tmp_path, scope)
        assert [row["prompt"] for row in data["rows"]] == ["Three", "Two"]
        assert [line["spent_microusd"] for line in data["money"]] == [70_000]
        assert [run["manifest"] for run in data["runs"]] == ["autumn"]
    for scope in (Scope(manifest="winter"), Scope(run="20261123T120000-ffffff")):
        with pytest.raises(NotFoundError):
            report(tmp_path, scope)


def test_a_report_takes_the_place_of_an_older_one_and_of_nothing_else(tmp_path: Path) -> None:
    build(tmp_path, [Wish(prompt="A cat")])
    page = tmp_path / "report.html"
    report(tmp_path)
    report(tmp_path)
    page.write_text("<h1>My own notes</h1>")
    with pytest.raises(OutputError, match="not a report"):
        report(tmp_path)
    assert page.read_text() == "<h1>My own notes</h1>"
    page.unlink()
    page.symlink_to(tmp_path / "elsewhere.html")
    with pytest.raises(OutputError):
        report(tmp_path)
    assert not (tmp_path / "elsewhere.html").exists()
    with pytest.raises(UsageError):
        write_report(Places(tmp_path / "ledger.db", tmp_path, tmp_path / "ledger.db"), Scope(), thumbnails_s=0)
    assert [file.name for file in tmp_path.glob(".*")] == [FOLDER]


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    build(tmp_path, [Wish(prompt="A cat")])
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        write_report(Places(tmp_path / "ledger.db", tmp_path, tmp_path / "file/a.html"), Scope(), thumbnails_s=0)


def test_the_page_is_no_stranger_among_the_pictures(tmp_path: Path) -> None:
    path = build(tmp_path, [Wish(prompt="A cat")])
    (tmp_path / "pictures/00001.jpeg").rename(tmp_path / "00001.jpeg")
    import apsw

    with apsw.Connection(str(path)) as connection:
        connection.execute("UPDATE placements SET path = '00001.jpeg'")
    report(tmp_path)
    report(tmp_path, Scope(manifest="spring"))
    with Ledger(path) as ledger:
        assert [finding.kind for finding in ledger.verify().findings if finding.kind == "foreign"] == []


# --- small copies -------------------------------------------------------------------------------------------------


def pictures(output: Path) -> list[Any]:
    with Ledger(output / "ledger.db") as ledger:
        rows = ledger.survey(Scope(), limit=1000, prompts=10_000).rows
    return sources(rows, lambda recorded: output / recorded)


def test_small_copies_are_made_once_for_each_digest(tmp_path: Path) -> None:
    build(tmp_path, stored(14), pictures=1)
    wanted = pictures(tmp_path)
    assert len(wanted) == 7
    made = make_thumbnails(tmp_path / FOLDER, wanted, within_s=60)
    assert len(made.made) == 7
    times = {file.name: file.stat().st_mtime_ns for file in (tmp_path / FOLDER).iterdir()}
    make_thumbnails(tmp_path / FOLDER, wanted, within_s=60)
    assert {file.name: file.stat().st_mtime_ns for file in (tmp_path / FOLDER).iterdir()} == times


def test_none_is_begun_when_the_time_is_over_but_those_that_are_there_count(tmp_path: Path) -> None:
    build(tmp_path, stored(7))
    wanted = pictures(tmp_path)
    make_thumbnails(tmp_path / FOLDER, wanted[:3], within_s=60)
    made = make_thumbnails(tmp_path / FOLDER, wanted, within_s=0)
    assert list(made.order) == [picture.sha256 for picture in wanted[:3]]


def test_what_is_no_picture_any_more_gets_none_and_stops_nothing(tmp_path: Path) -> None:
    build(tmp_path, stored(4))
    (tmp_path / "pictures/00001.jpeg").unlink()
    (tmp_path / "pictures/00002.jpeg").write_bytes((tmp_path / "pictures/00004.jpeg").read_bytes())
    third = tmp_path / "pictures/00003.jpeg"
    third.write_bytes(b"x" * third.stat().st_size)
    made = make_thumbnails(tmp_path / FOLDER, pictures(tmp_path), within_s=60)
    assert len(made.made) == 1
    assert sorted(file.name for file in (tmp_path / FOLDER).iterdir()) == [f"{made.order[0]}.webp"]


def test_a_folder_that_leads_elsewhere_is_not_written_to(tmp_path: Path) -> None:
    build(tmp_path / "out", stored(2))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out" / FOLDER).symlink_to(tmp_path / "elsewhere")
    assert make_thumbnails(tmp_path / "out" / FOLDER, pictures(tmp_path / "out"), within_s=60).made == frozenset()
    assert list((tmp_path / "elsewhere").iterdir()) == []


# --- the contact sheet --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "form"), [("sheet.png", "PNG"), ("sheet.jpg", "JPEG"), ("sheet.webp", "WEBP")])
def test_a_contact_sheet_is_one_printable_picture(tmp_path: Path, name: str, form: str) -> None:
    build(tmp_path, [*stored(11), *troubled()])
    assert write_sheet(places(tmp_path), Scope(), to=tmp_path / name) == 12
    with Image.open(tmp_path / name) as sheet:
        assert (sheet.format, sheet.size) == (form, (1654, 2339))
        assert len(sheet.convert("RGB").getcolors(1 << 24) or []) > 1000


@pytest.mark.parametrize("number", [0, 1, 40])
def test_any_number_of_pictures_makes_a_sheet(tmp_path: Path, number: int) -> None:
    build(tmp_path, stored(number))
    assert write_sheet(places(tmp_path), Scope(), to=tmp_path / "sheet.pdf") == number
    assert (tmp_path / "sheet.pdf").read_bytes().startswith(b"%PDF")


def test_a_sheet_goes_where_it_may(tmp_path: Path) -> None:
    build(tmp_path, stored(1))
    refused: list[tuple[str, type[FluxbatchError]]] = [
        ("sheet.gif", UsageError),
        ("pictures/00001.jpeg", UsageError),
        ("nowhere/sheet.png", OutputError),
    ]
    for name, error in refused:
        with pytest.raises(error):
            write_sheet(places(tmp_path), Scope(), to=tmp_path / name)
