"""The lanes of a run: one for each model, made when it is first asked for."""

from collections.abc import Callable, Mapping

from pipeline.clock import Clock
from pipeline.produce.pace.lane import Lane
from pipeline.produce.pace.lesson import Lesson


class Lanes:
    """Lanes by model, on the same terms."""

    def __init__(
        self,
        *,
        ceiling: int,
        clock: Clock,
        jitter: Callable[[], float],
        rate_per_minute: float | None,
        lessons: Mapping[str, Lesson],
    ) -> None:
        """Say what each begins with: see ``Lane``; the lessons are by model."""
        self._ceiling = ceiling
        self._clock = clock
        self._jitter = jitter
        self._most_per_s = None if rate_per_minute is None else rate_per_minute / 60
        self._begun_with = lessons
        self._lanes: dict[str, Lane] = {}

    def of(self, model: str) -> Lane:
        """The lane of a model."""
        if model not in self._lanes:
            self._lanes[model] = Lane(
                ceiling=self._ceiling,
                clock=self._clock,
                jitter=self._jitter,
                most_per_s=self._most_per_s,
                lesson=self._begun_with.get(model),
            )
        return self._lanes[model]

    @property
    def waiting(self) -> str | None:
        """What holds requests up, in words: of the lane that waits longest; None where no limit does."""
        told = [(lane.paused_s, said) for lane in self._lanes.values() if (said := lane.waiting) is not None]
        return max(told)[1] if told else None

    @property
    def lessons(self) -> dict[str, Lesson]:
        """By model: what was found of the provider's limits."""
        return {model: lesson for model, lane in self._lanes.items() if (lesson := lane.lesson) is not None}
