"""The Chinese page says what the English one says, as far as a program can see it."""

import re
from pathlib import Path

import pytest

from tests.documents.blocks import blocks_of

ROOT = Path(__file__).parents[2]
ENGLISH, CHINESE = ROOT / "README.md", ROOT / "README.zh-CN.md"


def sections(page: Path) -> list[tuple[int, str]]:
    """The level of each heading, and the prose below it."""
    prose = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    parts = re.split(r"^(#+) (.*)$", prose, flags=re.MULTILINE)[1:]
    return [(len(level), body) for level, body in zip(parts[::3], parts[2::3], strict=True)]


def code_in(prose: str) -> set[str]:
    """Everything that stands as code: commands, options, keys, names."""
    return set(re.findall(r"`([^`]+)`", prose))


def numbers_in(prose: str) -> set[str]:
    """The figures in the prose; those that are written as words are not among them."""
    return set(re.findall(r"(?<![\w.])\d[\d.,:]*(?<![.,:])", re.sub(r"`[^`]+`|\]\([^)]*\)", "", prose)))


def links_in(prose: str) -> list[str]:
    return sorted(re.findall(r"\]\(([^)]+)\)", prose))


def without_comments(text: str) -> str:
    return re.sub(r"(^|\s+)# .*$", "", text, flags=re.MULTILINE)


def test_both_have_the_same_headings() -> None:
    assert [level for level, _ in sections(CHINESE)] == [level for level, _ in sections(ENGLISH)]


def test_both_have_the_same_blocks_but_for_their_comments() -> None:
    english, chinese = list(blocks_of(ENGLISH)), list(blocks_of(CHINESE))
    assert [(block.language, block.no_test) for block in chinese] == [
        (block.language, block.no_test) for block in english
    ]
    assert [without_comments(block.text) for block in chinese] == [without_comments(block.text) for block in english]


@pytest.mark.parametrize("number", range(len(sections(ENGLISH))))
def test_a_section_has_the_same_words_of_code_figures_links_and_rows(number: int) -> None:
    english, chinese = sections(ENGLISH)[number][1], sections(CHINESE)[number][1]
    assert code_in(chinese) == code_in(english)
    assert numbers_in(chinese) == numbers_in(english)
    assert [link.replace(ENGLISH.name, CHINESE.name) for link in links_in(chinese)] == links_in(english)
    assert chinese.count("\n|") == english.count("\n|")


def test_it_is_chinese_throughout() -> None:
    for _, body in sections(CHINESE)[1:]:
        for paragraph in body.split("\n\n"):
            if re.search(r"[a-z]{4} [a-z]{4}", re.sub(r"`[^`]+`|<!--.*?-->", "", paragraph)):
                assert re.search(r"[一-鿿]", paragraph), paragraph
