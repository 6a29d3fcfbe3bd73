"""Every example of every page is run, in the order of its page, and ends and tells as the page says."""

import re
import shutil
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.acceptance.stage import Workspace
from tests.documents.blocks import Block, blocks_of, steps_of
from tests.documents.session import DATABASE, Session, shape_of

ROOT = Path(__file__).parents[2]
#: What the code writes has no examples; the Chinese page has the same blocks as the English one, which a test says.
PAGES = [
    ROOT / "README.md",
    *(page for page in sorted((ROOT / "docs").rglob("*.md")) if page.parent.name != "reference"),
]
RUN = ("sh", "console", "python", "sql")
#: The blocks that are not run, and why: whoever adds one adds it here, too.
NOT_RUN = {
    "README.md": ["make test is what runs this, and make run is run below"],
    "tutorial.md": ["it installs the program, which is here already"],
    "performance.md": ["it measures, and a test asks for the same elsewhere"],
    "cron.md": ["it needs a manager of services"],
    "s3.md": ["it installs the program, which is here already"],
    "share-a-ledger.md": ["it needs a server of yours"] * 2,
}


def named(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def examples(page: Path) -> list[Block]:
    return [block for block in blocks_of(page) if block.language in RUN or block.file]


@pytest.mark.parametrize("page", [page for page in PAGES if examples(page)], ids=named)
async def test_the_examples_of_a_page_run_as_it_says(
    page: Path, workspace: Workspace, request: pytest.FixtureRequest
) -> None:
    shutil.copytree(ROOT / "jobs", workspace.root / "jobs")
    async with AsyncExitStack() as stack:
        session = Session(workspace, stack)
        if any(DATABASE in block.text and not block.no_test for block in examples(page)):
            session.has_database(request.getfixturevalue("database"))
        for block in examples(page):
            if not block.no_test:
                try:
                    await session.act(block)
                except AssertionError as failure:
                    raise AssertionError(f"{named(page)}:{block.line}: {failure}") from failure


def test_what_is_not_run_is_known_with_its_reason() -> None:
    found = {page.name: [block.no_test for block in blocks_of(page) if block.no_test] for page in PAGES}
    assert {name: reasons for name, reasons in found.items() if reasons} == NOT_RUN


def test_every_block_says_what_it_is() -> None:
    """A block with commands and no language, or another one, would not be run."""
    known = {*RUN, "yaml", "json", "text", ""}
    for page in PAGES:
        for block in blocks_of(page):
            assert block.language in known or block.language.startswith("{"), f"{named(page)}:{block.line}"
            if block.language == "":
                assert not re.search(r"^\$? ?(fluxbatch|make|pip) ", block.text, re.MULTILINE), f"{page}:{block.line}"


@pytest.mark.parametrize(
    ("shown", "told", "alike"),
    [
        ("7 stored, in 2.5 s\n", "7 stored, in 12.0 s\n", True),
        ("7 stored, in 2.5 s\n", "6 stored, in 2.5 s\n", False),
        ("Spent $0.245\n", "Spent $0.280\n", False),
        ("first\n...\nlast\n", "first\n1\n2\nlast\n", True),
        ("first\n...\nlast\n", "first\n1\n2\n", False),
        ("5424221eefa8: $0.035\n", "c7ba8f7792cd: $0.035\n", True),
        ("a   b\n────\n", "a      b   \n──────\n", True),
        ("2026-11-25 12:37  0\n", "2031-01-02 23:59  0\n", True),
    ],
)
def test_what_is_told_has_the_shape_of_what_is_shown(shown: str, told: str, alike: bool) -> None:
    assert (re.fullmatch(shape_of(shown), told) is not None) == alike


def test_a_console_block_has_commands_and_what_they_tell(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("<!-- no-test: why -->\n\n```console\n$ one \\\n  two\ntold\n$ three\n```\n")
    (block,) = blocks_of(tmp_path / "a.md")
    assert (block.no_test, [(step.command, step.shown) for step in steps_of(block)]) == (
        "why",
        [("one    two", "told\n"), ("three", "")],
    )
