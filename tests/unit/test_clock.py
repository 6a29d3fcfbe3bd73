"""The machine's own clocks."""

import time

import anyio

from pipeline.clock import Clock, SystemClock


def test_the_monotonic_clock_never_goes_back() -> None:
    clock: Clock = SystemClock()
    first = clock.monotonic()
    assert clock.monotonic() >= first


def test_the_wall_clock_is_the_machines() -> None:
    before = time.time()
    assert before <= SystemClock().wall() <= time.time()


async def test_a_wait_of_nothing_ends() -> None:
    with anyio.fail_after(5):
        await SystemClock().sleep(0)
