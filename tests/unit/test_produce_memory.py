"""How much of the inputs is in memory at once: however many requests are in flight, and whoever leaves."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import anyio
import pytest

from pipeline.errors import ExitCode
from pipeline.inputs.darkroom import ReadyInput
from pipeline.inputs.memory import Held
from pipeline.job import InputImage, Job
from pipeline.produce import Order
from tests.unit.produce_doubles import orders, settle
from tests.unit.produce_stall import Stall

MB = 1_000_000


async def test_whoever_came_first_is_served_first_and_no_more_is_out_than_there_is() -> None:
    held, served = Held(10), list[int]()

    async def wanting(size: int) -> None:
        await held.take(size)
        served.append(size)

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            for size in (6, 5, 1, 4):
                group.start_soon(wanting, size)
            await settle()
            assert served == [6], "5 do not fit, and 1 stands behind them"
            held.give(6)
            await settle()
            assert served == [6, 5, 1, 4]


async def test_more_than_there_is_goes_alone() -> None:
    held = Held(10)
    with anyio.fail_after(10):
        await held.take(1_000)
        with anyio.move_on_after(0) as left:
            await held.take(1)
        assert left.cancelled_caught
        held.give(1_000)
        await held.take(10)


@pytest.mark.parametrize("served_first", [False, True])
async def test_whoever_leaves_the_line_takes_nothing_and_lets_others_by(*, served_first: bool) -> None:
    held = Held(10)
    with anyio.fail_after(10):
        await held.take(6)
        leaving = asyncio.create_task(held.take(8))
        await settle()
        staying = asyncio.create_task(held.take(4))
        await settle()
        if served_first:
            held.give(6)
        leaving.cancel()
        await staying
        held.give(4 if served_first else 10)
        await held.take(10)
    assert leaving.cancelled()


@dataclass
class FakeDarkroom:
    """Every job's input has as many bytes, of which none is there."""

    size_bytes: int
    held: Held = field(default_factory=lambda: Held(100 * MB))

    async def prepare(self, job: Job) -> Sequence[ReadyInput]:
        return [ReadyInput(path=job.path, sha256="", media="image/png", size_bytes=self.size_bytes)]

    async def take(self, ready: Sequence[ReadyInput]) -> None:
        await self.held.take(sum(each.size_bytes for each in ready))

    def give(self, ready: Sequence[ReadyInput]) -> None:
        self.held.give(sum(each.size_bytes for each in ready))

    async def load(self, ready: Sequence[ReadyInput]) -> Sequence[InputImage]:
        return [InputImage(data=b"", media=each.media) for each in ready]


def edits(count: int) -> list[Order]:
    return [
        replace(order, job=replace(order.job, request=replace(order.job.request, inputs=("0" * 64,))))
        for order in orders(count)
    ]


async def test_large_inputs_bound_how_many_requests_are_in_flight() -> None:
    """Sixteen requests of eight images of 20 MB took some nine gigabytes."""
    stall = Stall(concurrency=8, darkroom=FakeDarkroom(30 * MB))
    stall.shop.takes_s = lambda: 5.0
    await stall.sell(edits(20))
    assert stall.shop.peak[""] == 3
    assert len(stall.delivery.taken) == 20


async def test_stopping_wakes_whoever_waits_for_room_and_lets_those_in_flight_end() -> None:
    stall = Stall(concurrency=8, darkroom=FakeDarkroom(60 * MB))
    stall.shop.takes_s = lambda: 5.0

    async def stop() -> None:
        while not stall.shop.asked:
            await anyio.lowlevel.checkpoint()
        await settle()
        stall.halt.call(ExitCode.TEMPORARY, "stopped by SIGTERM")

    await stall.sell(edits(4), meanwhile=stop)
    assert sorted(stall.ends(edits(4))) == ["bought", "left", "left", "left"]
