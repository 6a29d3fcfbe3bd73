"""Which downloads stand still: by themselves, and beside the others."""

from contextlib import ExitStack

import pytest

from pipeline.deliver import Limits
from pipeline.deliver.speeds import Speeds, Watch
from tests.unit.deliver_doubles import FakeClock

LIMITS = Limits()


class Street:
    """Downloads side by side."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.stack = ExitStack()
        self.speeds = Speeds(clock=self.clock, limits=LIMITS)
        self.watches: list[Watch] = []

    def downloads(self, *hosts: str) -> None:
        self.watches += [self.stack.enter_context(self.speeds.download(host)) for host in hosts]

    def pass_s(self, seconds: int, *speeds: float, slow: int = 0) -> list[bool]:
        """Let each come at its speed, in bytes a second; which of them stood still at some moment."""
        stalled = [False] * len(speeds)
        for _ in range(seconds):
            self.clock.now += 1
            for place, speed in enumerate(speeds):
                stalled[place] |= self.watches[place].add(round(speed), slow=slow)
        return stalled


@pytest.fixture
def street() -> Street:
    return Street()


def test_alone_above_the_floor_it_goes_on(street: Street) -> None:
    street.downloads("a")
    assert street.pass_s(60, 10_100) == [False]


def test_alone_below_the_floor_it_stands_still_once_its_grace_is_over(street: Street) -> None:
    street.downloads("a")
    assert street.pass_s(4, 9_000) == [False]
    assert street.pass_s(1, 9_000) == [True]


def test_what_came_before_does_not_count(street: Street) -> None:
    street.downloads("a")
    assert street.pass_s(10, 1_000_000) == [False]
    assert street.pass_s(6, 100) == [True]


def test_a_link_that_is_slow_for_all_is_no_standstill(street: Street) -> None:
    street.downloads("a", "b", "a")
    assert street.pass_s(30, 1_000_000, 900_000, 800_000) == [False] * 3
    assert street.pass_s(30, 1_000, 900, 800) == [False] * 3


def test_below_the_floor_and_the_others_not_it_stands_still(street: Street) -> None:
    street.downloads("a", "b", "b")
    assert street.pass_s(6, 1_000, 20_000, 20_000) == [True, False, False]


def test_far_below_the_others_of_its_host_it_stands_still(street: Street) -> None:
    street.downloads("a", "a", "a")
    assert street.pass_s(6, 40_000, 500_000, 500_000) == [True, False, False]


def test_far_below_those_of_other_hosts_is_how_its_host_is(street: Street) -> None:
    street.downloads("a", "b", "b")
    assert street.pass_s(60, 50_000, 5_000_000, 5_000_000) == [False] * 3


def test_it_is_replaced_for_its_others_once(street: Street) -> None:
    street.downloads("a", "a", "a")
    assert street.pass_s(60, 40_000, 500_000, 500_000, slow=1) == [False] * 3


@pytest.mark.parametrize(("slow", "speed"), [(1, 2_600), (2, 700), (3, 170)])
def test_what_is_slow_again_and_again_is_slow(street: Street, slow: int, speed: float) -> None:
    street.downloads("a")
    assert street.pass_s(60, speed, slow=slow) == [False]
    assert street.pass_s(60, speed / 1.2, slow=slow) == [True]


def test_one_that_has_ended_is_nobodys_measure(street: Street) -> None:
    with street.speeds.download("a") as quick:
        street.downloads("a")
        for _ in range(6):
            street.clock.now += 1
            quick.add(5_000_000, slow=0)
            assert not street.watches[0].add(0, slow=0) or street.clock.now >= 105
    assert street.pass_s(60, 50_000) == [False]


def test_it_tells_how_far_it_came(street: Street) -> None:
    street.downloads("a")
    street.pass_s(3, 1_000)
    assert str(street.watches[0]) == "3000 bytes in 3.0 s"
