"""The real engine in simulated worlds: whatever happens, the ledger and the provider's books agree."""

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.torture.simulation.world import World

#: A process that dies leaves things open, and somebody finds them.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning", "ignore::RuntimeWarning"
)

#: Where there is memory for it, worlds stand there: nothing here is about what a disk does.
_MEMORY = Path("/dev/shm")

#: Every way out of trouble, and every way to end, that the worlds of a session must have taken.
RECOVERIES = {
    "a dead run's picture fetched", "a dead run's request held as unknown", "a lost answer",
    "a part taken for its picture", "a picture put back", "a picture taken away", "a process died",
    "a run that died meanwhile", "exit code 0", "exit code 3", "exit code 4", "exit code 5", "exit code 69",
    "exit code 74", "exit code 75", "exit code 77", "no run for a bad disk", "placed for an equal row",
    "rebought after a loss", "rebought what was spoiled", "resent by itself", "resent, stored, its first money unknown",
    "settled by the bill", "stored after congestion", "stored after overload", "the ballast went", "the clock was set",
    "waited for another run",
}  # fmt: skip


@contextmanager
def made(seed: int) -> Iterator[World]:
    folder = Path(tempfile.mkdtemp(prefix="world-", dir=_MEMORY if _MEMORY.is_dir() else None))
    try:
        yield World(seed, folder)
    finally:
        shutil.rmtree(folder)


def lived(seed: int) -> World:
    """A world that has come to its end, and was in order all the way."""
    with made(seed) as world:
        try:
            world.live()
        except BaseException as error:
            error.add_note(f"seed {seed}; the end of its story: {world.trace[-12:]}")
            raise
    return world


@pytest.mark.dose(300, 20_000)
def test_whatever_happens_the_books_agree(seeds: range) -> None:
    for seed in seeds:
        lived(seed)


@pytest.mark.parametrize("seed", [3, 11])
def test_a_seed_tells_the_same_story_twice(seed: int) -> None:
    first, second = lived(seed), lived(seed)
    assert len(first.trace) > 100
    assert first.trace == second.trace


def test_every_way_out_of_trouble_is_taken() -> None:
    reached = Counter[str]()
    for seed in range(1_000_000, 1_000_400):
        reached += lived(seed).reached
        if reached.keys() >= RECOVERIES:
            break
    assert reached.keys() >= RECOVERIES, RECOVERIES - reached.keys()
