"""The site is built without a warning, and no link in it or in the repository's pages leads nowhere."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.documents.links import broken_links, broken_links_of_markdown

ROOT = Path(__file__).parents[2]
PATIENCE_S = 300


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    words = ["-q", "-W", "--keep-going", "-b", "html", "-d", str(folder / "doctrees")]
    ended = subprocess.run(
        [sys.executable, "-m", "sphinx", *words, str(ROOT / "docs"), str(folder / "html")],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return folder / "html"


def test_every_page_is_there_and_every_link_leads_somewhere(site: Path) -> None:
    pages = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    assert len(pages) > 15
    assert [str(page) for page in pages if not (site / page).is_file()] == []
    assert broken_links(site) == []


def test_a_page_loads_nothing_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert 'src="http' not in text, page
        assert 'rel="stylesheet" href="http' not in text, page


def test_every_link_of_the_repositorys_pages_leads_somewhere() -> None:
    files = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    assert list(broken_links_of_markdown(ROOT, files)) == []


def test_a_link_that_leads_nowhere_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text('<a href="b.html#here">x</a><h2 id="top"></h2><a href="#top">y</a>')
    (tmp_path / "b.html").write_text('<h2 id="there"></h2><img src="gone.png"><a href="http:/nowhere">z</a>')
    assert broken_links(tmp_path) == ["a.html: b.html#here", "b.html: gone.png", "b.html: http:/nowhere"]
    (tmp_path / "a.md").write_text("# Some `title`, here\n[x](#some-title-here) [y](#other) [z](c.md)\n")
    assert list(broken_links_of_markdown(tmp_path, [tmp_path / "a.md"])) == ["a.md: #other", "a.md: c.md"]
