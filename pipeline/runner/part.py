"""How a run is divided over its processes: rows by their keys, everything that is bounded by shares."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.job import Job, UnfitRow
from pipeline.produce.pace import Lesson

#: Digits of a key that say whose it is; a key is a digest, so that they are as good as drawn by lot.
_DIGITS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One of ``of`` parts, by its ``number`` from 0."""

    number: int
    of: int

    def share(self, whole: int) -> int:
        """This part's share of a number that is at least ``of``; all shares together are the whole."""
        return whole // self.of + (self.number < whole % self.of)

    def rows(self, rows: Iterable[Job | UnfitRow]) -> Iterator[Job | UnfitRow]:
        """The rows of this part, in order.

        By key, not by place: equal rows are one process's, and models that take turns do not become one part each.
        Edits are all the first part's: their keys hold what was found of their inputs, and that another process may
        find something else there must not give a row to two of them.
        """
        return (row for row in rows if self._of(row) == self.number)

    def _of(self, row: Job | UnfitRow) -> int:
        edits = row.edits if isinstance(row, UnfitRow) else bool(row.found_at)
        return 0 if edits else int(row.key[:_DIGITS], 16) % self.of

    def lessons(self, lessons: Mapping[str, Lesson]) -> dict[str, Lesson]:
        """What is known of the provider's limits, as far as it concerns this part."""
        return {model: _scaled(lesson, 1 / self.of) for model, lesson in lessons.items()}


def together(found: Sequence[Mapping[str, Lesson]]) -> dict[str, Lesson]:
    """What all parts found of the provider's limits; a part that found nothing has met the same limits as the rest."""
    models = dict.fromkeys(model for lessons in found for model in lessons)
    return {
        model: _sum([lessons[model] for lessons in found if model in lessons], parts=len(found)) for model in models
    }


def _sum(lessons: Sequence[Lesson], *, parts: int) -> Lesson:
    scale = parts / len(lessons)
    walls = [lesson.wall for lesson in lessons if lesson.wall is not None]
    rates = [lesson.rate for lesson in lessons if lesson.rate is not None]
    return Lesson(
        level=max(1, round(sum(lesson.level for lesson in lessons) * scale)),
        wall=round(sum(walls) * parts / len(walls)) if walls else None,
        rate=sum(rates) * parts / len(rates) if rates else None,
        learned_at=max(lesson.learned_at for lesson in lessons),
    )


def _scaled(lesson: Lesson, by: float) -> Lesson:
    return replace(
        lesson,
        level=max(1, int(lesson.level * by)),
        wall=None if lesson.wall is None else max(2, int(lesson.wall * by)),
        rate=None if lesson.rate is None else lesson.rate * by,
    )
