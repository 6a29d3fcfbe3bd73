"""The limit on requests in flight: grown, refused, remembered, tried again."""

from math import inf

import pytest

from pipeline.produce.pace.level import CUT, EARLY_S, FIRST_EVERY, MOST_EVERY, START, Level
from pipeline.produce.pace.start import Start


def start(level: int, *, least: int | None = None, trial: bool = False, gap_s: float = 0.1) -> Start:
    return Start(at=0.0, gap_s=gap_s, level=level, least=level if least is None else least, pace=None, trial=trial)


def let_in(level: Level, at: int, times: int = 1) -> None:
    for _ in range(times):
        level.admitted(start(at), now=0.0, grows=True)


def walled(wall: int, *, ceiling: int = 64) -> Level:
    """A level with a wall that was met and tried early, and so is known."""
    level = Level(ceiling=ceiling, limit=wall)
    level.refused(start(wall), now=0.0, cost_s=0.0)
    level.refused(start(wall), now=0.0, cost_s=0.0)
    return level


def fill(level: Level, times: int) -> None:
    for _ in range(times):
        level.started(level.limit)


@pytest.mark.parametrize(("ceiling", "limit"), [(64, START), (2, 2), (1, 1)])
def test_it_starts_low_and_never_above_its_ceiling(ceiling: int, limit: int) -> None:
    assert Level(ceiling=ceiling).limit == limit


def test_it_doubles_each_round_until_the_first_refusal() -> None:
    level = Level(ceiling=64)
    for limit in (4, 8, 16):
        assert level.limit == limit
        let_in(level, limit, times=limit)
    assert level.limit == 32


def test_it_never_grows_past_its_ceiling() -> None:
    level = Level(ceiling=6)
    let_in(level, 6, times=100)
    assert level.limit == 6


def test_it_does_not_grow_by_what_was_let_in_below_half_of_it() -> None:
    level = Level(ceiling=64, limit=10)
    let_in(level, 4, times=100)
    assert level.limit == 10
    let_in(level, 5)
    assert level.limit == 11


def test_it_does_not_grow_while_latencies_forbid_it() -> None:
    level = Level(ceiling=64)
    level.admitted(start(4), now=0.0, grows=False)
    assert level.limit == START


def test_a_refusal_leaves_the_level_below_and_is_remembered() -> None:
    level = Level(ceiling=64, limit=30)
    level.refused(start(25), now=0.0, cost_s=0.0)
    assert (level.limit, level.wall) == (24, 25)
    let_in(level, 24, times=1000)
    assert level.limit == 24


def test_of_several_refusals_of_an_episode_the_lowest_counts() -> None:
    level = Level(ceiling=64, limit=30)
    level.refused(start(28), now=0.0, cost_s=0.0)
    for other in (30, 27, 29):
        level.also_refused(other)
    assert (level.limit, level.wall) == (26, 27)


def test_however_low_it_is_refused_one_place_is_left() -> None:
    level = Level(ceiling=64)
    for refused in (4, 2, 1, 1):
        level.refused(start(refused), now=0.0, cost_s=0.0)
        level.also_refused(1)
    assert level.limit == 1


def test_a_new_wall_is_tried_early_once_with_a_fair_gap() -> None:
    level = Level(ceiling=64, limit=30)
    level.refused(start(25, gap_s=0.3), now=10.0, cost_s=0.0)
    assert level.early
    assert level.tries_at == 10.0 + EARLY_S
    assert level.fair_s == 0.6
    level.started(25)
    assert level.tries_at == inf, "one trial at a time"


def test_the_early_try_that_is_refused_confirms_the_wall() -> None:
    level = Level(ceiling=64, limit=30)
    assert not level.refused(start(25), now=0.0, cost_s=0.0)
    assert level.refused(start(25, trial=True), now=1.0, cost_s=0.0)
    assert not level.early
    assert level.tries_at == inf


def test_the_early_try_that_is_let_in_shows_that_it_was_the_moment() -> None:
    level = Level(ceiling=64, limit=30)
    level.refused(start(25), now=0.0, cost_s=0.0)
    assert level.admitted(start(25, trial=True), now=3.0, grows=True)
    assert (level.limit, level.wall) == (25, None)
    assert not level.rises


def test_a_known_wall_is_tried_ever_more_rarely_while_it_is_refused() -> None:
    level = walled(25)
    every = FIRST_EVERY
    for _ in range(8):
        fill(level, every - 1)
        assert level.tries_at == inf
        fill(level, 1)
        assert level.tries_at < inf
        level.started(25)
        level.refused(start(25, trial=True), now=0.0, cost_s=0.0)
        every = min(MOST_EVERY, every * 2)
    assert every == MOST_EVERY


def test_use_below_the_limit_does_not_bring_the_next_try_nearer() -> None:
    level = walled(25)
    for _ in range(1000):
        level.started(20)
    assert level.tries_at == inf


def test_a_try_that_costs_a_pause_is_put_off() -> None:
    level = walled(25)
    fill(level, FIRST_EVERY)
    level.refused(start(25, trial=True), now=100.0, cost_s=250.0)
    fill(level, MOST_EVERY)
    assert level.tries_at == 100.0 + 250.0 + EARLY_S


def test_a_wall_that_gives_way_starts_growth_by_what_is_let_in_beyond_it() -> None:
    level = walled(25)
    assert not level.admitted(start(25, trial=True), now=0.0, grows=True)
    assert (level.limit, level.wall, level.rises) == (25, None, True)
    let_in(level, 24, times=50)
    assert level.limit == 25
    let_in(level, 25, times=3)
    assert level.limit == 28


def test_what_was_let_in_while_another_answer_was_on_its_way_proves_nothing() -> None:
    level = walled(25)
    fill(level, FIRST_EVERY)
    level.started(25)
    assert not level.admitted(start(25, least=24, trial=True), now=5.0, grows=True)
    assert level.wall == 25
    assert level.tries_at == 5.0 + EARLY_S, "it is tried again"


def test_the_ceiling_is_not_tried() -> None:
    level = Level(ceiling=8, limit=8, wall=9)
    fill(level, MOST_EVERY)
    assert level.tries_at == inf


def test_below_the_wall_it_grows_by_one_each_round() -> None:
    level = Level(ceiling=64, limit=10, wall=25)
    let_in(level, 10, times=11)
    assert level.limit == 11


def test_a_cut_leaves_nine_tenths() -> None:
    level = Level(ceiling=64, limit=40)
    level.cut()
    assert level.limit == 40 * CUT
    for _ in range(100):
        level.cut()
    assert level.limit == 1
