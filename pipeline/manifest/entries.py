"""The only module that knows how one entry of ``jobs:`` becomes pictures: by itself, by variables, or row by row."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from pipeline.job import PictureRequest
from pipeline.manifest.complaints import UnfitError
from pipeline.manifest.recipe import Recipe
from pipeline.manifest.rows import RowsFile
from pipeline.ratio import Ratio

#: After so many combinations that do not fit, the others of their job are not looked at.
MAX_UNFIT = 2_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """A picture that an entry asks for, ``repeat`` times.

    Attributes:
        request: What is asked.
        use: The named use its shape was asked by, or an empty text.
        variables: The values of its variables and columns, for its name.
        source: Where it was written, ``file:line``.
        images: Where its input images are, in order: absolute paths or URLs. The request has no digests of them yet.
        follows: The shape of its input, once that has been looked at; None where it is not known or not drawn.
    """

    request: PictureRequest
    use: str
    variables: Mapping[str, str]
    source: str
    images: tuple[str, ...] = ()
    follows: Ratio | None = None


@dataclass(frozen=True, slots=True)
class Misfit:
    """A row that makes no picture.

    Attributes:
        raw: The row as it stands in its file, as a JSON value.
        source: Where it stands, ``file:line``.
        message: Why it makes none.
        each: Whether it stands for every repeat: its row was fit, but its inputs are not.
    """

    raw: Any
    source: str
    message: str
    each: bool = False


Outcome: TypeAlias = Wanted | Misfit


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedEntry:
    """An entry without variables or rows, settled when the manifest was loaded."""

    wanted: Wanted
    repeat: int

    def outcomes(self) -> Iterator[Outcome]:
        """Its one picture."""
        yield self.wanted

    def count(self) -> int:
        """How many jobs it makes."""
        return self.repeat


@dataclass(frozen=True, slots=True, kw_only=True)
class VariedEntry:
    """An entry with variables, checked when the manifest was loaded.

    Attributes:
        names: What the variables are called.
        combinations: Every combination of their values.
        source: Where the entry was written, ``file:line``.
    """

    recipe: Recipe
    repeat: int
    names: tuple[str, ...]
    combinations: tuple[tuple[str, ...], ...]
    source: str

    def outcomes(self) -> Iterator[Wanted]:
        """One picture for each combination."""
        for values in self.combinations:
            request, use = self.recipe.picture(values)
            variables = dict(zip(self.names, values, strict=True))
            yield Wanted(request, use, variables, self.source, self.recipe.images(values))

    def count(self) -> int:
        """How many jobs it makes."""
        return len(self.combinations) * self.repeat

    def faults(self) -> Iterator[UnfitError]:
        """What does not fit in any combination, as far as it can be judged; of the first MAX_UNFIT such ones."""
        unfit = 0
        for values in self.combinations:
            try:
                self.recipe.picture(values)
            except UnfitError:
                yield from self.recipe.faults(values)
                unfit += 1
            if unfit == MAX_UNFIT:
                return


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsEntry:
    """An entry that asks for one picture a row, or one for each combination of a row with its variables.

    Attributes:
        columns: The columns that are used; the values of a row stand in this order, then those of the variables.
        names: What the variables are called.
        combinations: Every combination of the variables' values.
    """

    recipe: Recipe
    repeat: int
    file: RowsFile
    columns: tuple[str, ...]
    names: tuple[str, ...]
    combinations: tuple[tuple[str, ...], ...]

    def outcomes(self) -> Iterator[Outcome]:
        """A picture, or a misfit, for each row; the file is read as a stream."""
        names = self.columns + self.names
        label = self.file.label
        for row in self.file.rows(self.columns):
            source = f"{label}:{row.line}"
            if row.cells is None:
                yield Misfit(row.raw, source, row.fault)
                continue
            for combination in self.combinations:
                values = (*row.cells, *combination)
                try:
                    request, use = self.recipe.picture(values)
                except UnfitError:
                    message = "; ".join(map(str, self.recipe.faults(values)))
                    yield Misfit([row.raw, combination] if combination else row.raw, source, message)
                else:
                    images = self.recipe.images(values)
                    yield Wanted(request, use, dict(zip(names, values, strict=True)), source, images)

    def count(self) -> int:
        """How many jobs its rows make, unfit ones included; the file is read as a stream.

        Whether a row fits is only judged where that matters: an unfit one counts once, a fit one ``repeat`` times.
        """
        rows = self.file.rows(self.columns)
        if self.repeat == 1:
            each = len(self.combinations)
            return sum(1 if row.cells is None else each for row in rows)
        return sum(1 if row.cells is None else self._count_of(row.cells) for row in rows)

    def _count_of(self, cells: Sequence[str]) -> int:
        fitting = sum(self.recipe.fits((*cells, *combination)) for combination in self.combinations)
        return len(self.combinations) + fitting * (self.repeat - 1)


Entry: TypeAlias = FixedEntry | VariedEntry | RowsEntry
