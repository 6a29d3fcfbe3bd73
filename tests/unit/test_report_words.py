"""Every word of the page is in its table, in every language; every colour can be read."""

import re
from importlib.resources import files
from itertools import product

import pytest

from pipeline.ledger import JobState
from pipeline.report.page.joining import scripts, words

ASSETS = files("pipeline.report.page").joinpath("assets")
TEMPLATE = ASSETS.joinpath("template.html").read_text("utf-8")
STYLE = ASSETS.joinpath("style.css").read_text("utf-8")
LANGUAGES = {"en", "zh"}
#: Names that the script puts together: what stands before, and what may follow.
BUILT = {
    "state_": [*(state.value for state in JobState), "missed", "wrong_shape"],
    "order_": ["manifest", "newest", "oldest_url"],
    "problem_": ["bought", "unknown", "lost", "missed", "spoiled", "passing", "unfit", "moderated", "failed"],
    "advice_": ["bought", "unknown", "lost", "missed", "spoiled", "passing", "unfit", "moderated", "failed"],
    "live_": ["on", "stopping", "ended", "died", "idle", "away", "left"],
    "budget_": ["batch", "daily", "monthly", "total"],
    "fact_": re.findall(r'^    \["(\w+)",', scripts(), re.MULTILINE),
}


def used() -> set[str]:
    found = set(re.findall(r'(?:word|label)\("(\w+)"\)|data-placeholder="(\w+)"', TEMPLATE))
    names = {name for pair in found for name in pair if name}
    names |= set(re.findall(r'\bone\("(\w+)"', scripts()))
    said = re.findall(r"\bsay\(([^`,)]*)", re.sub(r'=== "\w+"|\w+\(\)', "", scripts()))
    names |= {name for call in said for name in re.findall(r'"(\w+)"', call)}
    names |= set(re.findall(r'copyButton\("(\w+)"', scripts()))
    return names | {start + end for start, ends in BUILT.items() for end in ends}


def test_every_word_is_there_in_every_language() -> None:
    assert {name for name, texts in words().items() if set(texts) != LANGUAGES or not all(texts.values())} == set()


def test_the_table_has_every_word_that_is_used_and_no_other() -> None:
    assert sorted(used() - set(words())) == []
    assert sorted(set(words()) - used()) == []


def test_a_words_values_are_the_same_in_every_language() -> None:
    values = {name: [set(re.findall(r"\{(\w+)\}", text)) for text in texts.values()] for name, texts in words().items()}
    assert {name for name, found in values.items() if found[0] != found[1]} == set()


def test_chinese_is_chinese() -> None:
    same = {name for name, texts in words().items() if not re.search(r"[\u4e00-\u9fff]", texts["zh"])}
    assert same == {"language_other", "fact_digest", "counted", "budget_used"}


# --- colours ------------------------------------------------------------------------------------------------------

COLOURS = {
    name: (day, night)
    for name, day, night in re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\);", STYLE.partition("\n}")[0])
}


def brightness(colour: str) -> float:
    """Relative luminance, as WCAG 2.2 defines it."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    dark, light = sorted((brightness(one), brightness(other)))
    return (light + 0.05) / (dark + 0.05)


TEXT = [
    *product(("ink", "soft", "accent", "good", "warn", "bad"), ("paper", "card")),
    ("ink", "sunk"), ("soft", "sunk"), ("bad", "sunk"), ("on-accent", "accent"), ("paper", "ink"),
]  # fmt: skip
DRAWN = [
    *product(("series-1", "series-2", "series-3", "series-4", "warn", "bad", "soft"), ("card",)),
    ("accent", "paper"),
]


def test_the_measure_is_right() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", [0, 1], ids=["day", "night"])
@pytest.mark.parametrize(("pairs", "least"), [(TEXT, 4.5), (DRAWN, 3.0)], ids=["text", "drawn"])
def test_colours_contrast_as_aa_asks(pairs: list[tuple[str, str]], least: float, theme: int) -> None:
    found = {pair: round(contrast(COLOURS[pair[0]][theme], COLOURS[pair[1]][theme]), 2) for pair in pairs}
    assert {pair: ratio for pair, ratio in found.items() if ratio < least} == {}
