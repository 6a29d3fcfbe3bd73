"""The pace over real sockets, with time going faster: beside one who knows the limits, and against the same noise."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream

from pipeline.produce import Halt, Order, Producer, Seller, Terms
from pipeline.provider import ImagesClient, ProviderError
from pipeline.simulator import Simulator, SimulatorSettings
from pipeline.transport import ApiTransport
from tests.unit.produce_doubles import PRICES, RUN, FakeBook, FakeDelivery, orders, request

#: How many seconds pass for the program while one passes for the machine.
SPEED = 12.0
#: Jobs, the least throughput as a share of the other's, and the most refused: so few jobs hardly make up for learning,
#: and on a busy machine a moment's delay is seconds here. What is promised is held to on a clock of events.
USUAL, LONG = (200, 0.6, 0.08), (1_200, 0.85, 0.04)


class FastClock:
    """The machine's clock, going faster."""

    def monotonic(self) -> float:
        return time.monotonic() * SPEED

    def wall(self) -> float:
        return time.time()

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds / SPEED)


def provider(**limits: Any) -> SimulatorSettings:
    """Eight seconds a picture, on the fast clock; limits are given on it, too."""
    if "requests_per_minute" in limits:
        limits["requests_per_minute"] = round(limits["requests_per_minute"] * SPEED)
        limits["rate_window_s"] = 60 / SPEED
    return SimulatorSettings(latency_s=8 / SPEED, latency_spread=0.4, scale=16, **limits)


@asynccontextmanager
async def shop_of(settings: SimulatorSettings) -> AsyncIterator[tuple[ImagesClient, Simulator]]:
    async with Simulator(settings) as simulator, ApiTransport(base_url=simulator.base_url, api_key=None) as api:
        client = ImagesClient(api, base_url=simulator.base_url, wire="flat", window_s=600, clock=FastClock())
        yield client, simulator


async def ours(settings: SimulatorSettings, jobs: int) -> tuple[float, float]:
    """Buy all at the program's own pace: seconds it took, and the share that was refused."""
    async with shop_of(settings) as (client, simulator):
        producer = Producer(
            run=RUN,
            terms=Terms(concurrency=64, max_throttle_s=900.0, first_byte_s=dict.fromkeys(PRICES, 60.0)),
            sellers=[Seller(name="simulator", shop=client, prices_microusd=PRICES)],
            book=FakeBook([]),
            delivery=FakeDelivery([]),
            halt=Halt(),
            clock=FastClock(),
        )

        async def work(mine: MemoryObjectReceiveStream[Order]) -> None:
            async with mine:
                await producer.work(mine)

        send, receive = anyio.create_memory_object_stream[Order](jobs)
        for order in orders(jobs):
            send.send_nowait(order)
        send.close()
        began = time.monotonic()
        with receive:
            async with anyio.create_task_group() as group:
                for _ in range(64):
                    group.start_soon(work, receive.clone())
        assert producer.bought == jobs
        return time.monotonic() - began, simulator.bill.throttled / simulator.bill.requests


async def knowing(settings: SimulatorSettings, jobs: int) -> float:
    """Buy all as one who knows the limits: never more at once, never sooner; seconds it took."""
    places = anyio.Semaphore(settings.max_in_flight or 64)
    gap_s = 60 / settings.requests_per_minute if settings.requests_per_minute else 0.0
    async with shop_of(settings) as (client, _):

        async def buy(number: int) -> None:
            try:
                while True:
                    try:
                        await client.buy(request(f"picture {number}"), first_byte_s=60.0)
                    except ProviderError:
                        await anyio.sleep(gap_s)
                    else:
                        return
            finally:
                places.release()

        began = opens = time.monotonic()
        async with anyio.create_task_group() as group:
            for number in range(jobs):
                await places.acquire()
                await anyio.sleep(max(0.0, opens - time.monotonic()))
                opens = max(opens, time.monotonic() - gap_s) + gap_s
                group.start_soon(buy, number)
        return time.monotonic() - began


CASES: dict[str, Callable[[], SimulatorSettings]] = {
    "in flight": lambda: provider(max_in_flight=12),
    "a rate": lambda: provider(requests_per_minute=120, rate_kind="bucket", rate_burst=10),
    "both, and it says so": lambda: provider(
        max_in_flight=20, requests_per_minute=120, rate_kind="bucket", rate_burst=10, rate_headers=True
    ),
}


async def test_it_finds_the_limits_of_real_servers_and_stays_at_them(torture: bool) -> None:
    jobs, least_ratio, most_refused = LONG if torture else USUAL
    told: dict[str, tuple[float, float]] = {}

    async def measure(name: str, settings: SimulatorSettings) -> None:
        best: list[float] = []

        async def know() -> None:
            best.append(await knowing(settings, jobs))

        async with anyio.create_task_group() as group:
            group.start_soon(know)
            elapsed_s, refused = await ours(settings, jobs)
        told[name] = (best[0] / elapsed_s, refused)

    with anyio.fail_after(600):
        async with anyio.create_task_group() as group:
            for name, settings in CASES.items():
                group.start_soon(measure, name, settings())

    assert all(ratio >= least_ratio and refused <= most_refused for ratio, refused in told.values()), told
