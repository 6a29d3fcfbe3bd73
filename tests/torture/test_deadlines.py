"""No paid URL dies: the real producer, back-pressure and couriers on a virtual clock, on links of every kind."""

import pytest

from tests.torture.deadlines.scenarios import scenarios
from tests.torture.deadlines.stage import WINDOW_S, Scenario, play

GRID = {scenario.name: scenario for scenario in scenarios()}
#: What is played each time: of each kind of trouble one, where it is hardest.
USUAL = (
    "steady, ample, connections",
    "steady, half, collapse",
    "steady, tenth, standstill",
    "throttling, ample, none",
    "throttling, half, connections",
    "steady, ample, a hundredth for ever",
    "steady, half, a hundredth for 240 s",
    "many, half, slow connections",
    "steady, ample, three connections",
)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "name" in metafunc.fixturenames:
        every = metafunc.config.getoption("--torture")
        metafunc.parametrize("name", GRID if every else USUAL)


def check(scenario: Scenario, seed: int) -> None:
    result = play(scenario, seed=seed)
    assert result.bought > 50
    assert (result.died, result.troubles) == (0, [])
    assert result.oldest_s < WINDOW_S / 2
    if not scenario.narrow:
        assert result.p99_s < WINDOW_S / 10
    if scenario.full:
        assert result.throughput >= 0.95


@pytest.mark.dose(1, 5)
def test_no_paid_url_dies_and_the_link_is_kept_full(name: str, seeds: range) -> None:
    for seed in seeds:
        check(GRID[name], seed)


def test_the_grid_is_no_smaller_than_promised() -> None:
    assert len(GRID) == len(scenarios()) >= 30


def test_a_scenario_plays_the_same_twice() -> None:
    scenario = GRID["steady, half, connections"]
    assert play(scenario, seed=7) == play(scenario, seed=7)
