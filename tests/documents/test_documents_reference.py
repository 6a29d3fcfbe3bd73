"""The reference says what the code says."""

import pytest

from tests.documents import reference


@pytest.mark.parametrize("name", reference.pages())
def test_a_page_of_the_reference_is_what_the_code_says(name: str) -> None:
    kept = (reference.FOLDER / name).read_text(encoding="utf-8")
    assert kept == reference.pages()[name], f"the code says something else now: {reference.COMMAND}"


def test_no_other_page_is_among_them() -> None:
    assert {path.name for path in reference.FOLDER.glob("*.md")} == set(reference.pages())


def test_what_stands_beside_a_name_in_the_code_is_told() -> None:
    pages = reference.pages()
    assert "| `--budget` `USD` |  | Dollars for this manifest and edition over all its runs" in pages["commands.md"]
    assert "| `concurrency` | whole number, at least 1, at most 512 | `16` |" in pages["manifest.md"]
    assert "| 4 | `BUDGET` | Stopped by a budget. |" in pages["exit-codes.md"]
    assert "| `unknown_usd` | text | What it may have cost besides" in pages["ledger.md"]
    assert "| `answer_lost` | error |" in pages["events.md"]
