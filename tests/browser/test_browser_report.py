"""The page in a real browser, opened from a file: what people do with it."""

import json
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from pipeline import load_manifest
from pipeline.inputs.small import keep_small
from pipeline.job import Job
from pipeline.ledger import Scope
from pipeline.money import format_usd
from pipeline.report.page import Places, write_report
from tests.browser.conftest import Open, until
from tests.integration.report_scene import Wish, build, stored, troubled


def written(output: Path, wishes: list[Wish], *, thumbnails_s: float = 60.0, pictures: int | None = None) -> Path:
    build(output, wishes, pictures=pictures, caps={"batch": 5_000_000, "daily": 9_000_000})
    page = output / "report.html"
    write_report(Places(output / "ledger.db", output, page), Scope(), thumbnails_s=thumbnails_s)
    return page


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with 30 pictures and one row in each state that is not as it should be."""
    return written(tmp_path_factory.mktemp("mixed"), [*stored(30), *troubled()])


def images_shown(page: Page) -> int:
    """Images near the screen that have come; waits until all have."""
    until(page, "[...document.querySelectorAll('.tile img')].every(each => each.complete)")
    return int(page.evaluate("[...document.querySelectorAll('.tile img')].filter(each => each.naturalWidth).length"))


def test_it_opens_from_a_file_and_tells_what_there_is(mixed: Path, opened: Open) -> None:
    page = opened(mixed)
    expect(page.locator("h1")).to_have_text("All pictures")
    expect(page.locator("#counted")).to_have_text("40 of 40")
    expect(page.locator("#figures dd > span")).to_have_text(["31", "$1.505", "$0.215", "8"])
    assert images_shown(page) > 5


def test_pictures_are_chosen_by_state_model_ratio_and_words(mixed: Path, opened: Open) -> None:
    page = opened(mixed)
    page.select_option("#filter-state", "unknown")
    expect(page.locator(".tile .prompt")).to_have_text(["A letter that never came"])
    page.click("#clear")
    page.select_option("#filter-ratio", "7:3")
    expect(page.locator("#counted")).to_have_text("4 of 40")
    page.select_option("#filter-model", "flux-kontext-max")
    expect(page.locator("#nothing")).to_be_visible()
    page.click("#clear")
    page.locator("h1").click()
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.type("15 SUNSET")
    expect(page.locator(".tile .prompt")).to_have_text(["A beautiful sunset over mountains, no. 15"])
    page.fill("#search", page.evaluate("shown[0].sha256.slice(0, 9)"))
    expect(page.locator("#counted")).to_have_text("1 of 40")
    page.focus("#search")
    page.keyboard.press("Escape")
    expect(page.locator("#counted")).to_have_text("40 of 40")
    page.select_option("#filter-order", "oldest_url")
    assert page.evaluate("shown.slice(0, 31).every((row, at) => !at || row.url_age_s <= shown[at - 1].url_age_s)")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_edit_is_shown_beside_what_it_was_made_from(tmp_path: Path, opened: Open, scheme: str) -> None:
    digests = ("a" * 64, "b" * 64, "c" * 64)
    for digest, colour, size in zip(
        digests, ("teal", "orange", "gray"), ((300, 500), (700, 300), (30, 30)), strict=True
    ):
        keep_small(tmp_path, digest, Image.new("RGB", size, colour))
    written(tmp_path, [Wish(prompt="Edit", inputs=digests), Wish(prompt="None")])
    for copy in (tmp_path / ".thumbnails").iterdir():
        copy.unlink()  # they are in the page
    page = opened(tmp_path / "report.html", color_scheme=scheme)
    page.locator(".tile button", has_text="Edit").click()
    expect(page.locator(".inputs img")).to_have_count(3)
    until(page, "[...document.querySelectorAll('.inputs img')].every(each => each.complete && each.naturalWidth)")
    facts, strip = page.locator("#facts").bounding_box(), page.locator(".inputs").bounding_box()
    assert facts is not None
    assert strip is not None
    assert facts["x"] <= strip["x"]
    assert strip["x"] + strip["width"] <= facts["x"] + facts["width"]
    assert page.evaluate("byId('facts').scrollWidth <= byId('facts').clientWidth")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#details-title")).to_have_text("Picture 2")
    expect(page.locator(".inputs")).to_have_count(0)


def test_the_keyboard_is_enough(mixed: Path, opened: Open) -> None:
    page = opened(mixed)
    page.locator(".tile button").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    focused = page.locator(".tile button:focus")
    expect(focused).to_contain_text("no. 2")
    outline = "getComputedStyle(document.activeElement.querySelector('.frame')).outlineWidth"
    assert page.evaluate(outline) == "3px"
    page.keyboard.press("ArrowDown")
    line = page.evaluate("grid.line[grid.at]")
    assert line == 1
    page.keyboard.press("ArrowUp")
    page.keyboard.press("End")
    expect(focused).to_contain_text("A square for a strip")
    expect(focused).to_be_in_viewport()
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    expect(page.locator("#details")).to_be_visible()
    expect(page.locator("#details-title")).to_have_text("Picture 1")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#details-title")).to_have_text("Picture 2")
    page.keyboard.press("Escape")
    expect(page.locator("#details")).to_be_hidden()
    expect(focused).to_contain_text("no. 2")
    page.locator("#tab-pictures").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#panel-problems")).to_be_visible()
    expect(page.locator("#tab-problems")).to_be_focused()


def test_a_picture_opens_large_with_all_that_is_known_of_it(mixed: Path, opened: Open) -> None:
    page = opened(mixed)
    page.locator(".tile button").first.click()
    until(page, "document.querySelector('#stage img').naturalWidth > 0")
    facts = page.locator("#facts").inner_text()
    row = page.evaluate("looked")
    for word in (
        row["prompt"],
        row["sha256"],
        row["key"],
        "$0.070 (official $0.080)",
        "0.4 s",
        "safety tolerance 2",
        "3:2",
    ):
        assert word in facts
    page.click("#next")
    expect(page.locator("#details-title")).to_have_text("Picture 2")
    page.click("#close")
    page.select_option("#filter-state", "lost")
    page.locator(".tile button").first.click()
    expect(page.locator("#facts .trouble")).to_contain_text("404 after the window")
    expect(page.locator("#facts .command code")).to_contain_text("--billed")


def test_what_is_copied_is_a_row_that_makes_the_same_job(tmp_path: Path, opened: Open) -> None:
    prompt = 'Braces {like} these, "quotes", a colon: and # too,\nover\u2028two lines \\ 雨 🌧'
    wish = Wish(prompt=prompt, ratio="16:9", model="flux-kontext-max", seed=2**62 + 1, format="png")
    page = opened(written(tmp_path / "output", [wish]))
    page.locator(".tile button").first.click()
    page.get_by_role("button", name="Copy as manifest row").click()
    expect(page.locator("#toast")).to_have_text("Copied")
    row = page.evaluate("navigator.clipboard.readText()")
    manifest = tmp_path / "again.yaml"
    manifest.write_text(
        f"version: 1\nprovider: apiyi\ndefaults: {{format: jpeg, safety_tolerance: 5}}\njobs:\n{row}", "utf-8"
    )
    [job] = load_manifest(manifest).jobs()
    assert isinstance(job, Job)
    assert (job.request.prompt, job.request.seed) == (prompt, 2**62 + 1)
    assert job.key == page.evaluate("looked.key")


def test_problems_are_told_with_their_reason_and_what_to_do(mixed: Path, opened: Open) -> None:
    page = opened(mixed)
    page.click("#tab-problems")
    expect(page.locator(".problem")).to_have_count(8)
    unknown = page.locator(".problem", has_text="Answer lost")
    expect(unknown).to_contain_text("no answer in 180 s")
    key = page.evaluate("[...rows.values()].find(row => row.state === 'unknown').key.slice(0, 12)")
    commands = [f"fluxbatch ledger resolve {key} --{word}" for word in ("billed", "not-billed")]
    assert unknown.locator(".command code").all_text_contents() == commands
    unknown.get_by_role("button", name="Details").click()
    expect(page.locator("#facts")).to_contain_text("A letter that never came")


def test_money_is_written_as_elsewhere_and_drawn_with_a_table_beside_it(mixed: Path, opened: Open) -> None:
    page = opened(mixed)
    amounts = [0, 1, 35_000, 1_000_000, 1_234_567, 999_999_999_999, -40_500, 10_000_000]
    assert page.evaluate("amounts => amounts.map(usd)", amounts) == [
        format_usd(amount).replace("-", "-$") if amount < 0 else f"${format_usd(amount)}" for amount in amounts
    ]
    page.click("#tab-money")
    expect(page.locator("#charts figure")).to_have_count(6)
    expect(page.locator(".budget").first).to_contain_text("$1.540 of $5.000")
    for figure in page.locator("#charts figure:has(svg.plot)").all():
        expect(figure.locator("svg.plot")).to_have_attribute("aria-label", re.compile(r"\w"))
        assert figure.locator("table tbody tr").count() > 0
    rows = page.locator("figure", has_text="By model").locator("tbody tr").all_inner_texts()
    assert len(rows) == 2


def test_theme_and_language_change_and_are_remembered(mixed: Path, opened: Open) -> None:
    page = opened(mixed)
    paper = "getComputedStyle(document.body).backgroundColor"
    day = page.evaluate(paper)
    page.click("#theme")
    night = page.evaluate(paper)
    assert day != night
    page.click("#language")
    expect(page.locator("h1")).to_have_text("全部图片")
    page.reload()
    expect(page.locator("h1")).to_have_text("全部图片")
    assert page.evaluate(paper) == night
    assert page.evaluate("document.documentElement.lang") == "zh-CN"


@pytest.mark.parametrize(("width", "language"), [(375, "zh-CN"), (1920, "en-US")])
def test_it_follows_the_system_and_fits_the_screen(mixed: Path, opened: Open, width: int, language: str) -> None:
    page = opened(mixed, width=width, height=812, locale=language, color_scheme="dark")
    expect(page.locator("h1")).to_have_text("全部图片" if language == "zh-CN" else "All pictures")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(19, 20, 23)"
    for tab in ("pictures", "problems", "money"):
        page.click(f"#tab-{tab}")
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0, tab
    left = page.evaluate("[...document.querySelectorAll('[data-word]')].filter(each => !each.textContent).length")
    assert left == 0


def test_everything_has_a_name_for_those_who_listen(mixed: Path, opened: Open) -> None:
    page = opened(mixed)
    nameless = """() => [...document.querySelectorAll('button, input, select, img, svg[role=img], a, [role=list]')]
        .filter(each => !each.closest('[hidden]'))
        .filter(each => !(each.getAttribute('aria-label') || each.alt || each.textContent.trim()
            || (each.labels && [...each.labels].some(label => label.textContent.trim()))))
        .map(each => each.outerHTML.slice(0, 120))"""
    page.locator(".tile button").first.click()
    assert page.evaluate(nameless) == []
    page.click("#close")
    for tab in ("problems", "money"):
        page.click(f"#tab-{tab}")
        assert page.evaluate(nameless) == []


def test_a_page_that_was_moved_alone_still_shows_small_copies_and_all_words(
    mixed: Path, opened: Open, tmp_path: Path
) -> None:
    alone = tmp_path / "alone.html"
    shutil.copy(mixed, alone)
    page = opened(alone)
    assert images_shown(page) > 5
    page.locator(".tile button").first.click()
    until(page, "document.querySelector('#stage img').naturalWidth > 0")


def test_without_small_copies_the_pictures_themselves_are_shown_and_without_those_words(
    tmp_path: Path, opened: Open
) -> None:
    page_file = written(tmp_path, stored(5), thumbnails_s=0)
    (tmp_path / "pictures/00002.jpeg").unlink()
    page = opened(page_file)
    expect(page.locator(".tile .blank")).to_have_text("The picture's file is not beside this page.")
    assert images_shown(page) == 4


def test_an_empty_ledger_has_a_page_too(tmp_path: Path, opened: Open) -> None:
    page = opened(written(tmp_path, []))
    expect(page.locator("#nothing")).to_be_visible()
    for tab in ("problems", "money"):
        page.click(f"#tab-{tab}")
    expect(page.locator("#charts")).to_contain_text("Nothing was spent.")


def test_five_thousand_pictures_scroll_with_a_small_document_and_nothing_moves(tmp_path: Path, opened: Open) -> None:
    page = opened(written(tmp_path, stored(5_000), pictures=4))
    expect(page.locator("#counted")).to_have_text("5,000 of 5,000")
    told = page.evaluate(
        """async () => {
            let shift = 0, most = 0, seen = new Set();
            new PerformanceObserver(list => list.getEntries().forEach(each => { shift += each.value; }))
                .observe({ type: 'layout-shift', buffered: true });
            const end = document.documentElement.scrollHeight, work = [];
            for (let top = 0; top < end; top += 600) {
                scrollTo(0, top);
                const begun = performance.now();
                grid.show();
                work.push(performance.now() - begun);
                const tiles = document.querySelectorAll('.tile');
                most = Math.max(most, tiles.length);
                tiles.forEach(tile => seen.add(tile.dataset.place));
            }
            await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
            work.sort((a, b) => a - b);
            return { shift, most, seen: seen.size, half: work[work.length >> 1] };
        }"""
    )
    assert told["seen"] == 5_000
    assert told["most"] < 150
    assert told["shift"] == 0
    assert told["half"] < 16, json.dumps(told)
