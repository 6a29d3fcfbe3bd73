"""Chance told from a limit: by how many are let in between refusals while the pace falls."""

from random import Random

import pytest

from benchmarks.pace import measure
from benchmarks.pace_grid import by_chance
from pipeline.produce.pace.chance import FEWEST, MOST_SHARE, WATCHED, Chance


def fall(chance: Chance, *, let_in: int, pace: float = 8.0, times: int = 8) -> float | None:
    """Refuse ever lower paces, with as many let in between; the pace to go back to."""
    for _ in range(times):
        back = chance.refused(pace, let_in)
        if back is not None:
            return back
        pace *= 0.8
    return None


def test_refusals_that_come_no_rarer_at_lower_paces_are_chance_and_the_pace_goes_back() -> None:
    chance = Chance()
    assert fall(chance, let_in=16) == 8.0
    assert chance.rules


def test_a_few_refusals_are_not_enough() -> None:
    assert fall(Chance(), let_in=16, times=FEWEST - 1) is None


@pytest.mark.parametrize("seed", range(50))
def test_a_limit_is_not_taken_for_chance_while_the_pace_falls_to_it(seed: int) -> None:
    limit, draw, chance, pace = 1.0, Random(seed), Chance(), 8.0
    while pace > limit:
        let_in = 0
        while draw.random() < limit / pace:
            let_in += 1
        assert chance.refused(pace, let_in) is None
        pace *= 0.8
    assert not chance.rules


def test_refusals_at_one_pace_are_no_chance() -> None:
    chance = Chance()
    assert all(chance.refused(8.0, 16) is None for _ in range(50))


def test_who_refuses_many_wants_fewer_by_chance_or_not() -> None:
    few = round(1 / MOST_SHARE) - 3
    assert fall(Chance(), let_in=few, times=30) is None


def test_nothing_but_refusals_ends_what_was_gathered() -> None:
    chance = Chance()
    for pace in (8.0, 6.0, 4.0, 3.0, 2.0, 1.0):
        assert chance.refused(pace, 16) is None
        chance.forget()


def test_more_refusals_than_chance_explains_are_a_limit_after_all_and_doubt_stays() -> None:
    chance = Chance()
    fall(chance, let_in=16)
    for _ in range(WATCHED // 2):
        chance.admitted()
        chance.refused(8.0, 1)
    assert not chance.rules
    assert fall(chance, let_in=16, times=4) is None, "it takes more to be sure now"
    assert fall(chance, let_in=16, times=12) is not None


@pytest.mark.parametrize(("name", "least"), [("24 in flight, 2% by chance", 0.9), ("24 in flight, 6% by chance", 0.75)])
def test_refusals_by_chance_do_not_slow_down_a_run(name: str, least: float) -> None:
    """Without this, 0.64 and 0.04."""
    [provider] = [each for each in by_chance() if each.name == name]
    for seed in range(2):
        ratio, _ = measure(provider, jobs=2_000, seed=seed)
        assert ratio >= least
