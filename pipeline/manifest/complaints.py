"""The only module that words where a problem is: gathers all of a manifest's problems, and finds the nearest word."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import islice
from typing import ParamSpec, Protocol, TypeVar

from pipeline.errors import ManifestError, Problem

#: More problems than this are counted, not shown; and beyond so many of those nobody looks for more.
MAX_SHOWN = 100
MAX_HIDDEN = 1_000
_MAX_QUOTED = 60
_MAX_LISTED = 20

KeyPath = tuple[str | int, ...]
P = ParamSpec("P")
T = TypeVar("T")


class Position(Protocol):
    """A place in a file, both counted from 1."""

    @property
    def line(self) -> int:
        """The line."""
        ...

    @property
    def column(self) -> int:
        """The character in the line."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a file, both counted from 1."""

    line: int
    column: int


class UnfitError(ValueError):
    """One key's value that makes no picture: which key, what is wrong, and what to write instead.

    ``also`` holds what else was found wrong at the same time.
    """

    def __init__(self, key: str, message: str, hint: str = "", *, also: "Iterable[UnfitError]" = ()) -> None:
        super().__init__(message)
        self.key = key
        self.message = message
        self.hint = hint
        self.also = tuple(also)

    def each(self) -> "Iterator[UnfitError]":
        """This one, and what else was found with it."""
        yield self
        yield from self.also

    def __str__(self) -> str:
        return f"{self.key}: {self.message}" + (f" ({self.hint})" if self.hint else "")


class DoubtError(UnfitError):
    """A value that nobody knows yet, or that is itself wrong and noted: what depends on it cannot be judged."""

    def __init__(self, key: str) -> None:
        super().__init__(key, "cannot be judged yet")


class Gathering:
    """The faults of several independent steps, so that all are told, not only the first."""

    def __init__(self) -> None:
        self.found: list[UnfitError] = []

    def attempt(self, step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """Take one step; None when it finds a fault, or meets a doubt."""
        try:
            return step(*args, **kwargs)
        except DoubtError:
            return None
        except UnfitError as exc:
            self.found.extend(exc.each())
            return None

    def settle(self) -> None:
        """End the steps.

        Raises:
            UnfitError: The first fault found, with the others beside it.
        """
        if self.found:
            first, *others = self.found
            raise UnfitError(first.key, first.message, first.hint, also=others)


@dataclass(slots=True)
class Complaints:
    """All problems of one manifest, so that a person sees them together.

    Attributes:
        file: The manifest as named by who loads it.
    """

    file: str
    problems: dict[Problem, None] = field(default_factory=dict)
    hidden: int = 0

    @property
    def enough(self) -> bool:
        """Whether looking for more serves nobody: a hostile manifest has no end of them."""
        return self.hidden >= MAX_HIDDEN

    def add(self, at: Position, path: KeyPath, message: str, hint: str = "") -> None:
        """Note a problem; the same one twice counts once, and those beyond MAX_SHOWN are only counted."""
        problem = Problem(
            file=self.file, line=at.line, column=at.column, path=path_text(path), message=message, hint=hint
        )
        if problem in self.problems:
            return
        if len(self.problems) < MAX_SHOWN:
            self.problems[problem] = None
        else:
            self.hidden += 1

    def error(self) -> ManifestError:
        """All problems as one error."""
        found = list(self.problems)
        if self.hidden:
            last = max(found, key=lambda problem: (problem.line, problem.column))
            found.append(
                Problem(
                    file=self.file,
                    line=last.line,
                    column=last.column + 1,
                    path="",
                    message=f"and {'at least ' if self.enough else ''}{self.hidden:,} more problems; mend these first",
                )
            )
        return ManifestError(found)


def path_text(path: KeyPath) -> str:
    """Write a key's path the way people do: ``jobs[3].ratio``; the first job is 0."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
            continue
        # A key that nobody would write is quoted, so that it cannot fill the screen or forge a line.
        word = step if len(step) <= _MAX_QUOTED and step.isprintable() else shown(step)
        text += f".{word}" if text else word
    return text


def nearest(word: str, choices: Iterable[str]) -> str:
    """Name the valid word that comes nearest, as a hint; empty when none is near."""
    near = near_word(word, choices)
    return f"did you mean '{near}'?" if near else ""


def near_word(word: str, choices: Iterable[str]) -> str:
    """Find the valid word that comes nearest; empty when none is near."""
    found = get_close_matches(word.lower()[:_MAX_QUOTED], list(choices), n=1, cutoff=0.6)
    return found[0] if found else ""


def listed(words: Iterable[str]) -> str:
    """Name the valid words, as a hint: the first twenty."""
    return f"known here: {enumerated(words)}"


def enumerated(words: Iterable[str]) -> str:
    """Name words one after the other: the first twenty, each short and printable."""
    several = list(islice(words, _MAX_LISTED + 1))
    named = ", ".join(shown(word)[1:-1] for word in several[:_MAX_LISTED])
    return named + (", …" if len(several) > _MAX_LISTED else "")


def shown(text: str) -> str:
    """Quote what a person wrote, shortened to 60 characters, with anything unprintable made visible."""
    return repr(text if len(text) <= _MAX_QUOTED else text[: _MAX_QUOTED - 1] + "…")
