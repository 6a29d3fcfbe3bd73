"""How many downloads a host is given: up while that brings more, down when it does not, or when the host says so."""

from collections.abc import Callable

import pytest

from pipeline.deliver.host import PATIENCE, ROUND, START, Host
from tests.unit.deliver_doubles import FakeClock

#: Bytes a second, by how many come at once.
Curve = Callable[[int], float]


class Trial:
    """A host that serves as its curve says, with all of its limit in use."""

    def __init__(self, curve: Curve, *, ceiling: int = 32) -> None:
        self.clock = FakeClock()
        self.host = Host(ceiling=ceiling, clock=self.clock)
        self.curve = curve
        self.limits: list[int] = []

    def round(self) -> None:
        downloads, size = max(ROUND, self.host.limit), 1_000
        for _ in range(downloads):
            self.host.used(fully=True)
            self.clock.now += size / self.curve(self.host.limit)
            self.host.came(size)
            self.host.served()
        self.host.used(fully=True)
        self.limits.append(self.host.limit)

    def rounds(self, number: int) -> int:
        for _ in range(number):
            self.round()
        return self.host.limit


def capped(capacity: float, one: float) -> Curve:
    return lambda count: min(capacity, count * one)


def test_it_grows_to_the_ceiling_while_each_more_brings_more() -> None:
    assert Trial(capped(1e9, 100)).rounds(10) == 32


def test_it_stays_near_what_fills_the_link() -> None:
    trial = Trial(capped(1_000, 100))
    trial.rounds(60)
    assert 9 <= sum(trial.limits[20:]) / len(trial.limits[20:]) <= 16


def test_a_full_link_is_not_shared_by_ever_more() -> None:
    trial = Trial(capped(1_000, 1_000))
    trial.rounds(100)
    assert max(trial.limits) <= 6
    assert trial.limits.count(START) > 80


def test_it_shrinks_when_fewer_do_as_well() -> None:
    trial = Trial(capped(1e9, 100))
    trial.rounds(10)
    trial.curve = capped(600, 600)
    assert trial.rounds(12 * PATIENCE) <= 6


def test_it_grows_again_when_there_is_more_to_have() -> None:
    trial = Trial(capped(600, 150))
    trial.rounds(30)
    trial.curve = capped(1e9, 150)
    assert trial.rounds(4 * PATIENCE) == 32


def test_a_limit_that_is_not_in_use_is_not_judged() -> None:
    trial = Trial(capped(1e9, 100))
    for _ in range(100):
        trial.host.used(fully=True)
        trial.clock.now += 1
        trial.host.came(1_000)
        trial.host.used(fully=False)
        trial.host.served()
    assert trial.host.limit == START


def test_a_host_that_says_too_many_has_half_and_learns_anew() -> None:
    trial = Trial(capped(1e9, 100))
    trial.rounds(10)
    trial.host.refused(trial.clock.now)
    assert trial.host.limit == 16
    trial.curve = capped(1_600, 100)
    assert trial.rounds(30) in {16, 24, 10}


def test_refusals_of_what_began_before_belong_to_the_same_trouble() -> None:
    trial = Trial(capped(1e9, 100))
    trial.rounds(10)
    began = trial.clock.now
    trial.clock.now += 1
    for _ in range(5):
        trial.host.refused(began)
    assert trial.host.limit == 16


def test_one_connection_that_stands_still_is_not_the_hosts_fault() -> None:
    trial = Trial(capped(1e9, 100))
    began = trial.clock.now
    trial.clock.now += 1
    trial.host.served()
    trial.host.stalled(began)
    assert trial.host.limit == START


def test_a_host_that_stands_still_is_left_one_and_has_it_all_back_soon() -> None:
    trial = Trial(capped(1e9, 100))
    trial.rounds(10)
    for _ in range(9):
        trial.clock.now += 5
        trial.host.stalled(trial.clock.now - 1)
        trial.host.stalled(trial.clock.now - 1)
    assert trial.host.limit == 1
    for _ in range(31):
        trial.clock.now += 0.1
        trial.host.served()
    assert trial.host.limit == 32


@pytest.mark.parametrize("ceiling", [1, 2, 3])
def test_the_ceiling_is_never_passed(ceiling: int) -> None:
    trial = Trial(capped(1e9, 100), ceiling=ceiling)
    trial.rounds(30)
    assert max(trial.limits) == ceiling
    assert trial.host.has_room
    trial.host.active = ceiling
    assert not trial.host.has_room
