"""Lessons from run to run: whose they are, and how they age."""

from pathlib import Path

import anyio
import pytest

from pipeline.catalog import profiles
from pipeline.ledger import LedgerWriter
from pipeline.produce import Lesson
from pipeline.runner.experience import Experience


class FakeClock:
    """Stands at the moment it is given."""

    def __init__(self, wall: float) -> None:
        self._wall = wall

    def monotonic(self) -> float:
        return 0.0

    def wall(self) -> float:
        return self._wall

    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError


LEARNED = {"flux-kontext-pro": Lesson(level=24, wall=25, rate=1.0, learned_at=1_000_000.0)}
DAY_S = 86_400.0


async def handed_on(
    folder: Path, *, teller: str = "apiyi", hearer: str = "apiyi", base_url: str = "", later_s: float = 0.0
) -> dict[str, Lesson]:
    """What one run's lessons are to another."""
    told, heard = FakeClock(1_000_000.0), FakeClock(1_000_000.0 + later_s)
    environment = {"FLUXBATCH_BASE_URL": base_url} if base_url else {}
    with anyio.fail_after(30):
        async with LedgerWriter(folder / "ledger.db", clock=told) as ledger:
            await Experience(profiles()[teller], {}, ledger=ledger, clock=told).keep(LEARNED)
            return await Experience(profiles()[hearer], environment, ledger=ledger, clock=heard).lessons()


@pytest.mark.parametrize("profile", ["apiyi", "simulator"])
async def test_the_next_run_of_the_same_provider_begins_with_them(tmp_path: Path, profile: str) -> None:
    assert await handed_on(tmp_path, teller=profile, hearer=profile) == LEARNED


@pytest.mark.parametrize(("teller", "hearer"), [("simulator", "apiyi"), ("apiyi", "simulator")])
async def test_a_make_believe_provider_teaches_nothing_about_a_real_one(
    tmp_path: Path, teller: str, hearer: str
) -> None:
    assert await handed_on(tmp_path, teller=teller, hearer=hearer) == {}


async def test_the_same_profile_at_another_address_is_another_provider(tmp_path: Path) -> None:
    assert await handed_on(tmp_path, base_url="https://mirror.example/v1") == {}


async def test_lessons_age(tmp_path: Path) -> None:
    (aged,) = (await handed_on(tmp_path, later_s=2 * DAY_S)).values()
    assert 4 < aged.level < 24
    assert aged.rate is None


async def test_lessons_of_long_ago_are_forgotten(tmp_path: Path) -> None:
    assert await handed_on(tmp_path, later_s=100 * DAY_S) == {}


async def test_a_run_that_learned_nothing_keeps_what_is_known(tmp_path: Path) -> None:
    clock = FakeClock(1_000_000.0)
    with anyio.fail_after(30):
        async with LedgerWriter(tmp_path / "ledger.db", clock=clock) as ledger:
            experience = Experience(profiles()["apiyi"], {}, ledger=ledger, clock=clock)
            await experience.keep(LEARNED)
            await experience.keep({})
            assert await experience.lessons() == LEARNED
