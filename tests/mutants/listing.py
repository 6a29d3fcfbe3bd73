"""The mutants as they are written down: what is broken, where, and which tests must notice."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One break.

    Attributes:
        breaks: The property that no longer holds, in words.
        file: Relative to the root.
        old: Stands exactly once in it.
        caught_by: What pytest is given; some of it must fail.
    """

    name: str
    breaks: str
    file: str
    old: str
    new: str
    caught_by: tuple[str, ...]

    def applied(self, text: str) -> str:
        """The broken file."""
        if text.count(self.old) != 1 or self.old == self.new:
            raise ValueError(f"{self.name}: what it replaces stands {text.count(self.old)} times in {self.file}")
        return text.replace(self.old, self.new)

    def apply_in(self, tree: Path) -> None:
        """Break the file in a copy of the tree."""
        file = tree / self.file
        file.write_text(self.applied(file.read_text(encoding="utf-8")), encoding="utf-8")


def mutants() -> list[Mutant]:
    """All of them, in the order of the files and their entries."""
    return [
        Mutant(**entry | {"caught_by": tuple(entry["caught_by"])})
        for file in sorted(Path(__file__).parent.glob("*.toml"))
        for entry in tomllib.loads(file.read_text(encoding="utf-8"))["mutant"]
    ]
