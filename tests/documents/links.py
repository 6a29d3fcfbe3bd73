"""Whether every link inside the site leads somewhere: ``python -m tests.documents.links build/site``.

Of links to elsewhere only the form is looked at, since a build must not need the network.
"""

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_OUTSIDE = re.compile(r"https://[a-z0-9.-]+\.[a-z]{2,}(:\d+)?(/\S*)?|mailto:\S+@\S+")


class _Page(HTMLParser):
    """The links and the anchors of one page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.anchors.add(value)
            elif name in {"href", "src"} and value and tag != "base":
                self.links.append(value)


def broken_links(site: Path) -> list[str]:
    """Each link that leads nowhere, with the page it is on."""
    pages = {path.resolve(): _read(path) for path in sorted(site.rglob("*.html"))}
    return [
        f"{path.relative_to(site.resolve())}: {link}"
        for path, page in pages.items()
        for link in page.links
        if not _leads_somewhere(link, path, pages)
    ]


def _read(path: Path) -> _Page:
    page = _Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


def _leads_somewhere(link: str, path: Path, pages: dict[Path, _Page]) -> bool:
    parts = urlsplit(link)
    if parts.scheme in {"http", "https", "mailto"}:
        return _OUTSIDE.fullmatch(link) is not None
    if parts.scheme or parts.netloc:
        return parts.scheme == "data"
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if not target.is_file():
        return False
    return not parts.fragment or target not in pages or unquote(parts.fragment) in pages[target].anchors


def broken_links_of_markdown(root: Path, files: list[Path]) -> Iterator[str]:
    """Each link of a Markdown file to a file or heading of the repository that is not there."""
    for file in files:
        for link in re.findall(r"\]\(([^)\s]+)\)", _without_code(file.read_text(encoding="utf-8"))):
            path, _, anchor = link.partition("#")
            target = (file.parent / path).resolve() if path else file
            if urlsplit(link).scheme:
                good = _OUTSIDE.fullmatch(link) is not None
            else:
                good = target.exists() and (not anchor or unquote(anchor) in _headings(target))
            if not good:
                yield f"{file.relative_to(root)}: {link}"


def _without_code(text: str) -> str:
    return re.sub(r"`[^`\n]+`", "", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))


def _headings(file: Path) -> set[str]:
    """The anchors that its headings have where repositories are read."""
    text = re.sub(r"^```.*?^```", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def main(site: Path) -> int:
    """Say what is broken; 1 when anything is."""
    broken = broken_links(site)
    sys.stdout.write("".join(f"leads nowhere: {each}\n" for each in broken))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
