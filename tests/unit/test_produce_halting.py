"""Stopping: what waits to buy ends at once, and what is paid for goes on."""

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from pipeline.errors import ExitCode
from pipeline.produce import Cause, Halt
from pipeline.provider import AnswerLostError, OverloadedError, RefusedError, ThrottledError
from tests.unit.produce_doubles import orders, settle
from tests.unit.produce_stall import Stall

FIRST = "picture 1"


async def test_the_first_cause_of_a_kind_is_kept() -> None:
    halt = Halt()
    assert not halt.called

    halt.call(ExitCode.STORAGE, "the disk is full")
    halt.call(ExitCode.BUDGET, "no money")
    halt.call(ExitCode.STORAGE, "the disk is still full")

    assert halt.called
    assert halt.causes == [
        Cause(code=ExitCode.STORAGE, message="the disk is full"),
        Cause(code=ExitCode.BUDGET, message="no money"),
    ]


async def test_a_wait_begun_after_the_end_does_not_wait() -> None:
    halt = Halt()
    halt.call(ExitCode.TEMPORARY, "stopped")

    with anyio.fail_after(1), halt.interruptible():
        await anyio.sleep_forever()


async def test_every_wait_ends_at_once_and_without_an_error() -> None:
    halt = Halt()
    ended = []

    async def wait(number: int) -> None:
        with halt.interruptible():
            await anyio.sleep_forever()
        ended.append(number)

    with anyio.fail_after(1):
        async with anyio.create_task_group() as group:
            for number in range(3):
                group.start_soon(wait, number)
            await settle()
            halt.call(ExitCode.TEMPORARY, "stopped")

    assert sorted(ended) == [0, 1, 2]


async def test_a_wait_that_was_over_before_is_not_cancelled_later() -> None:
    halt = Halt()
    with halt.interruptible():
        pass

    halt.call(ExitCode.TEMPORARY, "stopped")

    with anyio.fail_after(1):
        await anyio.lowlevel.checkpoint()


async def test_waits_that_are_over_are_forgotten() -> None:
    """A million orders each wait once or more."""
    halt = Halt()
    for _ in range(3):
        with halt.interruptible():
            pass

    assert not halt._scopes


def _stopper(stall: Stall, at: Callable[[], bool]) -> Callable[[], Any]:
    """What stops buying once something is so."""

    async def stop() -> None:
        while not at():
            await anyio.lowlevel.checkpoint()
        await settle()
        stall.halt.call(ExitCode.TEMPORARY, "stopped by SIGTERM")

    return stop


async def test_stopping_wakes_whoever_waits_for_the_download_side() -> None:
    stall = Stall(concurrency=3)
    stall.delivery.room = 1
    stall.delivery.keeps = True

    await stall.sell(orders(6), meanwhile=_stopper(stall, lambda: bool(stall.delivery.taken)))

    assert stall.shop.asked == [FIRST]
    assert stall.delivery.outstanding == 1, "the place of what is bought, and no other"


async def test_stopping_wakes_whoever_waits_for_the_lane_and_gives_its_place_back() -> None:
    stall = Stall(concurrency=8)
    stall.shop.takes_s = lambda: 5.0

    await stall.sell(orders(8), meanwhile=_stopper(stall, lambda: len(stall.shop.asked) == 4))

    assert sorted(stall.ends(orders(8))) == ["bought"] * 4 + ["left"] * 4


async def test_stopping_wakes_whoever_waits_out_a_pause() -> None:
    stall = Stall(concurrency=2)
    stall.shop.scripts[FIRST] = [ThrottledError("slow", retry_after_s=500.0)]

    async def stop() -> None:
        await stall.clock.sleep(100.0)
        stall.halt.call(ExitCode.TEMPORARY, "stopped by SIGTERM")

    await stall.sell(orders(1), meanwhile=stop)

    assert stall.clock.now == 100.0
    assert stall.book.ends(1) == ["released"], "the job is left as it was, not failed"


async def test_stopping_wakes_whoever_waits_out_a_back_off() -> None:
    stall = Stall(concurrency=2)
    stall.shop.scripts[FIRST] = [OverloadedError("busy", retry_after_s=500.0)]

    async def stop() -> None:
        await stall.clock.sleep(100.0)
        stall.halt.call(ExitCode.TEMPORARY, "stopped by SIGTERM")

    await stall.sell(orders(1), meanwhile=stop)

    assert stall.clock.now == 100.0
    assert stall.book.ends(1) == ["released"]


async def test_stopping_never_cancels_a_request_under_way() -> None:
    stall = Stall(concurrency=3)
    stall.shop.takes_s = lambda: 60.0

    await stall.sell(orders(9), meanwhile=_stopper(stall, lambda: len(stall.shop.asked) == 3))

    assert stall.ends(orders(9)) == ["bought"] * 3 + ["left"] * 6
    assert len(stall.delivery.taken) == 3


@pytest.mark.parametrize(
    ("fault", "end"),
    [(None, "bought"), (AnswerLostError("gone"), "unknown"), (RefusedError("no"), "released for good")],
    ids=["answer", "lost", "refusal"],
)
async def test_even_leaving_at_once_writes_down_what_has_come(fault: Exception | None, end: str) -> None:
    """A second signal cancels everything; an answer that is here already must not be lost to it."""
    stall = Stall(concurrency=1)
    stall.shop.scripts[FIRST] = [fault] if fault is not None else []

    with anyio.fail_after(5), anyio.CancelScope() as leave_at_once:
        stall.book.before_settling = leave_at_once.cancel
        await stall.sell(orders(1))

    assert leave_at_once.cancelled_caught
    assert stall.book.settled == {1: end}


async def test_what_was_refused_for_load_while_buying_stopped_is_left_and_not_failed() -> None:
    stall = Stall(concurrency=1)
    stall.shop.before = lambda _: stall.halt.call(ExitCode.TEMPORARY, "stopped by SIGTERM")
    stall.shop.scripts[FIRST] = [OverloadedError("busy")]

    await stall.sell(orders(1))

    assert stall.book.ends(1) == ["released"]
    assert stall.clock.slept == []


async def test_nothing_is_reserved_once_buying_has_stopped() -> None:
    stall = Stall(concurrency=4)
    stall.halt.call(ExitCode.TEMPORARY, "stopped before it began")

    await stall.sell(orders(20))

    assert stall.log == []


async def test_a_stop_between_admission_and_reservation_gives_the_place_back() -> None:
    stall = Stall(concurrency=2)
    stall.shop.takes_s = lambda: 1.0
    stall.book.before_reserve = lambda placement: (
        stall.halt.call(ExitCode.TEMPORARY, "stopped by SIGTERM") if placement == 1 else None
    )

    await stall.sell(orders(2))

    assert stall.ends(orders(2)) == ["bought", "left"]
