"""What runs learn of a provider's limits, carried from one to the next through the ledger."""

from collections.abc import Mapping
from contextlib import suppress

from pipeline.catalog import Profile
from pipeline.clock import Clock
from pipeline.errors import FluxbatchError
from pipeline.ledger import Found, LedgerWriter, Venue
from pipeline.produce import Lesson
from pipeline.runner.endpoint import base_url_of
from pipeline.transport.origins import parse_base_url


class Experience:
    """Lessons of one provider at one address."""

    def __init__(self, profile: Profile, environment: Mapping[str, str], *, ledger: LedgerWriter, clock: Clock) -> None:
        """Say whose limits they are.

        Raises:
            ConfigurationError: The address cannot be used.
        """
        base_url = base_url_of(profile, environment)
        origin = parse_base_url(base_url).origin if base_url else None
        self._venue = Venue(
            provider=profile.name,
            origin=f"{origin.scheme}://{origin.authority}" if origin else "",
            simulated=profile.simulated,
        )
        self._ledger = ledger
        self._clock = clock

    async def lessons(self) -> dict[str, Lesson]:
        """By model: what is left of what earlier runs found."""
        now = self._clock.wall()
        found = await self._ledger.lessons(self._venue)
        aged = {model: _lesson(each).aged(wall_clock=now) for model, each in found.items()}
        return {model: lesson for model, lesson in aged.items() if lesson is not None}

    async def keep(self, lessons: Mapping[str, Lesson]) -> None:
        """Keep what this run has found; a ledger that cannot take it says so elsewhere, of what matters more."""
        found = {model: _found(lesson) for model, lesson in lessons.items()}
        if found:
            with suppress(FluxbatchError):
                await self._ledger.learn(self._venue, found)


def _lesson(found: Found) -> Lesson:
    return Lesson(level=found.level, wall=found.wall, rate=found.rate, learned_at=found.learned_at)


def _found(lesson: Lesson) -> Found:
    return Found(level=lesson.level, wall=lesson.wall, rate=lesson.rate, learned_at=lesson.learned_at)
