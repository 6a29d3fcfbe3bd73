"""The code blocks of a page: their language, their text, and what a comment before one says of it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

#: ``<!-- no-test: why -->``, ``<!-- file: posters.yaml -->`` and ``<!-- ledger: output/ledger.db -->``.
_COMMENT = re.compile(r"<!-- (no-test|file|ledger): (.+) -->")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block of code.

    Attributes:
        line: Of its fence, from 1.
        no_test: Why it is not run; "" for one that is.
        file: The file that holds its text while the page's blocks are run.
        ledger: The SQLite database that it asks.
    """

    language: str
    text: str
    line: int
    no_test: str = ""
    file: str = ""
    ledger: str = ""


def blocks_of(page: Path) -> Iterator[Block]:
    """Every block of a page, in its order."""
    fence: tuple[int, str] | None = None
    said: dict[str, str] = {}
    held: list[str] = []
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        comment = _COMMENT.fullmatch(line)
        if fence is None and line.startswith("```"):
            fence, held = (number, line[3:].strip()), []
        elif fence is not None and line == "```":
            words = {key.replace("-", "_"): value for key, value in said.items()}
            yield Block(language=fence[1], text="\n".join(held) + "\n", line=fence[0], **words)
            fence, said = None, {}
        elif fence is not None:
            held.append(line)
        elif comment:
            said[comment[1]] = comment[2]
        elif line:
            said = {}
    assert fence is None, f"{page}: the block of line {fence} has no end"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A command of a block, and what the page shows of its output; None: nothing."""

    command: str
    shown: str | None


def steps_of(block: Block) -> list[Step]:
    """The commands of a block: in ``sh`` every line, in ``console`` those after a ``$``, with their output."""
    if block.language == "sh":
        text = block.text.replace("\\\n", " ")
        return [Step(command=line, shown=None) for line in text.splitlines() if line and not line.startswith("#")]
    steps: list[Step] = []
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, shown = part.replace("\\\n", " ").partition("\n")
        steps.append(Step(command=command, shown=shown))
    return steps
