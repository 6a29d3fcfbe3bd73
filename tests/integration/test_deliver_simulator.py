"""Deliveries from the simulator over real sockets: standstills, resumption, hosts side by side, a collapse."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import anyio

from pipeline.clock import SystemClock
from pipeline.deliver import (
    Backlog,
    Courier,
    Crew,
    DeliveryEvent,
    DeliveryQueue,
    EventKind,
    Limits,
    Purchase,
    run_pool,
)
from pipeline.simulator import Simulator, SimulatorSettings
from pipeline.transport import DownloadTransport
from tests.integration.deliver_doubles import FakeRecord, purchase

if TYPE_CHECKING:
    from pipeline.errors import FluxbatchError

QUICK = Limits(grace_s=0.5, shortest_try_s=0.02, backoff_base_s=0.005, backoff_cap_s=0.02)
PATIENCE_S = 60.0


class Depot:
    """A download side for one or two simulators."""

    def __init__(self, output: Path, transport: DownloadTransport, client: aiohttp.ClientSession) -> None:
        clock = SystemClock()
        self.output = output
        self.record = FakeRecord()
        self.events: list[DeliveryEvent] = []
        self.troubles: list[FluxbatchError] = []
        self.crew = Crew(workers=8, clock=clock)
        self.backlog = Backlog(workers=8, window_s=600, clock=clock)
        self.queue = DeliveryQueue(100)
        self.bought = 0
        self._client = client
        self.courier = Courier(
            output=output,
            transport=transport,
            record=self.record,
            clock=clock,
            backlog=self.backlog,
            on_trouble=self.troubles.append,
            on_event=self.events.append,
            limits=QUICK,
        )

    async def buy(self, simulator: Simulator, prompt: str) -> Purchase:
        """One picture, admitted and made."""
        await self.backlog.admit()
        body = {"model": "flux-kontext-pro", "prompt": prompt, "seed": self.bought}
        async with self._client.post(f"{simulator.base_url}/images/generations", json=body) as answer:
            link = (await answer.json())["data"][0]["url"]
        self.backlog.bought()
        self.bought += 1
        now = time.time()
        return purchase(
            job_key=f"{self.bought:032x}",
            url=link,
            bought_at=now,
            deadline=now + 600,
            path=f"{self.bought}",
            ratio=None,
        )

    async def one(self, simulator: Simulator, prompt: str) -> list[str]:
        """Buy and fetch one; why it was tried again."""
        assert (await self.courier.deliver(await self.buy(simulator, prompt))).value == "stored"
        return [event.message.split(":")[0] for event in self.events if event.kind is EventKind.RETRY]

    async def fetch(self) -> None:
        await run_pool(self.queue, self.courier, crew=self.crew)


@asynccontextmanager
async def depot(output: Path, *settings: SimulatorSettings) -> AsyncIterator[tuple[Depot, list[Simulator]]]:
    with anyio.fail_after(PATIENCE_S):
        async with AsyncExitStack() as stack:
            simulators = [await stack.enter_async_context(Simulator(each)) for each in settings]
            client = await stack.enter_async_context(aiohttp.ClientSession())
            others = [each.base_url.split("/")[2] for each in simulators[1:]]
            transport = await stack.enter_async_context(
                DownloadTransport(own_origin=simulators[0].base_url, allow_hosts=others)
            )
            yield Depot(output, transport, client), simulators


async def until(happened: Callable[[], bool]) -> None:
    while not happened():  # noqa: ASYNC110 - nobody tells
        await anyio.sleep(0.02)


async def test_a_standstill_is_replaced_and_only_the_rest_is_fetched(tmp_path: Path) -> None:
    async with depot(tmp_path, SimulatorSettings(scale=4)) as (made, [simulator]):
        assert await made.one(simulator, "a cat [fault:dl_stall*1]") == ["too_slow"]
        (stored,) = made.record.pictures
        # The simulator counts the rest of a picture only for one who had the beginning.
        assert simulator.bill.downloads == 1
        assert (tmp_path / stored.path).stat().st_size == stored.size_bytes


async def test_a_cut_body_is_resumed_as_often_as_it_is_cut(tmp_path: Path) -> None:
    async with depot(tmp_path, SimulatorSettings(scale=4)) as (made, [simulator]):
        assert await made.one(simulator, "a cat [fault:dl_cut*3]") == ["cut"] * 3


async def test_another_picture_at_the_same_place_is_fetched_from_its_beginning(tmp_path: Path) -> None:
    async with depot(tmp_path, SimulatorSettings(scale=4)) as (made, [simulator]):
        assert await made.one(simulator, "a cat [fault:dl_changed*1]") == ["cut"]


async def test_a_wrong_range_is_refused_and_all_is_fetched_anew(tmp_path: Path) -> None:
    async with depot(tmp_path, SimulatorSettings(scale=4)) as (made, [simulator]):
        assert await made.one(simulator, "a cat [fault:dl_wrong_range*2]") == ["cut", "bad_range"]


async def test_a_host_that_says_too_many_is_asked_for_fewer(tmp_path: Path) -> None:
    async with depot(tmp_path, SimulatorSettings(scale=8)) as (made, [simulator]):
        for _ in range(6):
            await made.queue.put(await made.buy(simulator, "a cat [fault:dl_429*1]"))
        made.queue.close()
        await made.fetch()
        assert len(made.record.pictures) == 6
        assert made.crew.host(simulator.base_url.split("/")[2]).limit < 4


async def test_a_host_that_stands_still_holds_up_no_other(tmp_path: Path) -> None:
    still, good = SimulatorSettings(scale=8), SimulatorSettings(scale=8, seed=1)
    async with depot(tmp_path, still, good) as (made, [one, two]):
        made.backlog = made.courier._backlog = Backlog(workers=8, window_s=600, clock=SystemClock(), handful=40)
        stuck = [await made.buy(one, "a cat [fault:dl_stall*2]") for _ in range(10)]
        free = [await made.buy(two, "a dog") for _ in range(20)]
        for each in [*stuck, *free]:  # those that stand still are the most urgent
            await made.queue.put(each)
        made.queue.close()
        await made.fetch()
        paths = [picture.path.split(".")[0] for picture in made.record.pictures]
        assert sorted(paths[:20], key=int) == [each.path for each in free]
        assert sorted(paths[20:], key=int) == [each.path for each in stuck]


async def test_buying_stops_in_a_collapse_and_goes_on_after_it(tmp_path: Path) -> None:
    async with depot(tmp_path, SimulatorSettings(scale=8, latency_s=0.2, download_bytes_per_s=400_000)) as (
        made,
        [simulator],
    ):
        wanted = 120

        async def shop() -> None:
            while made.bought < wanted:
                await made.queue.put(await made.buy(simulator, "a cat"))

        async with anyio.create_task_group() as fetching:
            fetching.start_soon(made.fetch)
            async with anyio.create_task_group() as buying:
                for _ in range(8):
                    buying.start_soon(shop)
                await until(lambda: made.bought >= wanted // 3)
                simulator.throttle(1)  # which is next to nothing
                await until(lambda: made.backlog.waiting is not None)
                held_at = made.bought + 8  # those that were just being made
                await anyio.sleep(1)
                assert made.bought <= held_at
                assert made.backlog.waiting is not None
                assert made.backlog.waiting.startswith("downloads are slow")
                simulator.throttle(None)
            made.queue.close()
        assert len(made.record.pictures) == made.bought >= wanted
        assert made.troubles == []
