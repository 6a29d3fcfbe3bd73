"""Plays a scenario on the virtual clock: the real producer, back-pressure, pool and courier between two models."""

import math
import random
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import anyio

from pipeline.deliver import (
    Backlog,
    Courier,
    Crew,
    DeliveryQueue,
    Disk,
    Limits,
    Purchase,
    StoredPicture,
    run_pool,
)
from pipeline.job import InputImage, Job, PictureRequest
from pipeline.ledger import Reservation
from pipeline.produce import Halt, Order, Producer, Seller, Terms
from pipeline.provider import Answer, ThrottledError
from tests.torture.deadlines.link import HostModel, LinkModel, Picture, Speeds, carried, drawn
from tests.torture.simulation.timeline import VirtualClock, VirtualLoop, threads_inline
from tests.unit.produce_doubles import PRICES, PRO, RUN, FakeBook, job

WINDOW_S = 600.0
#: The usual limits, in the link's kilobytes.
LIMITS = Limits(piece_bytes=256, floor_bytes_per_s=10.0)
#: Before this the pipe is still filling, in seconds.
WARM_S = 60.0
#: Where there is memory for it, pictures are kept there: nothing here is about what a disk does.
_MEMORY = Path("/dev/shm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What is to happen.

    Attributes:
        name: Of the provider, the bandwidth and the fault.
        making_s: How long a picture takes to make: the median.
        spread: The sigma of a log-normal distribution around it.
        concurrency: The most requests in flight.
        at_once: How many requests at once the provider takes; more are refused with 429.
        speed: Of the link, in KB/s by moment.
        hosts: By name.
        narrow: Whether the download side is what limits the run, by its bandwidth or by standing still.
        full: Whether the link is to be kept full all the time.
        stalls: The part of connections that stand still for ever.
        cuts: The part of connections that break off.
        buying_s: When the last order is given.
        workers: The most downloads at once.
    """

    name: str
    making_s: float = 8.0
    spread: float = 0.3
    concurrency: int = 16
    at_once: int = 10_000
    speed: Speeds = ((0.0, 30_000.0),)
    hosts: dict[str, HostModel] = field(default_factory=lambda: {"cdn.example": HostModel()})
    narrow: bool = False
    full: bool = False
    stalls: float = 0.0
    cuts: float = 0.0
    buying_s: float = 300.0
    workers: int = 32


@dataclass(slots=True, kw_only=True)
class Result:
    """What came of it.

    Attributes:
        bought: Pictures paid.
        died: Of them, those whose URL died, or that were spoiled or left.
        ages: Of those stored, in seconds, sorted.
        stored_kb: What was stored between ``WARM_S`` and the last order, in KB.
        carried_kb: What the link could have brought in that time.
        held_up: The part of that time in which a request waited for the download side.
        peak: The most pictures outstanding.
        busiest: The most downloads at once.
        resumed: Downloads that went on where another had stopped.
        troubles: What would have stopped the run.
    """

    bought: int = 0
    died: int = 0
    ages: list[float] = field(default_factory=list)
    stored_kb: float = 0.0
    carried_kb: float = 1.0
    held_up: float = 0.0
    peak: int = 0
    busiest: int = 0
    resumed: int = 0
    troubles: list[str] = field(default_factory=list)

    @property
    def oldest_s(self) -> float:
        return self.ages[-1] if self.ages else math.inf

    @property
    def p99_s(self) -> float:
        return self.ages[min(len(self.ages) - 1, math.ceil(0.99 * len(self.ages)) - 1)]

    @property
    def throughput(self) -> float:
        return self.stored_kb / self.carried_kb


class _MemoryDisk(Disk):
    def sync(self, path: Path) -> None:
        """Nothing here outlives the process."""

    def sync_folder(self, folder: Path) -> None:
        """Nor its name."""


class _Shop:
    """The provider."""

    def __init__(self, scenario: Scenario, link: LinkModel, clock: VirtualClock, chance: Random) -> None:
        self._scenario, self._link, self._clock, self._chance = scenario, link, clock, chance
        self._in_flight = 0

    async def buy(self, request: PictureRequest, *, first_byte_s: float, images: Sequence[InputImage] = ()) -> Answer:
        scenario, chance = self._scenario, self._chance
        if self._in_flight >= scenario.at_once:
            await anyio.sleep(0.2)
            raise ThrottledError("too many requests")
        self._in_flight += 1
        try:
            await anyio.sleep(chance.lognormvariate(math.log(scenario.making_s), scenario.spread))
        finally:
            self._in_flight -= 1
        now = self._clock.monotonic()
        host = chance.choices(list(scenario.hosts), [host.share for host in scenario.hosts.values()])[0]
        url = f"https://{host}/{len(self._link.pictures)}.png"
        self._link.pictures[url] = Picture(chance.choice(drawn()), host, now, now + WINDOW_S)
        return Answer(
            url=url,
            image=None,
            answered_at=self._clock.wall(),
            deadline=self._clock.wall() + WINDOW_S,
            request_id="",
            answered=now,
        )


class _Desk:
    """The real desk asks the disk of this machine for room; else this is what it does."""

    def __init__(self, backlog: Backlog, queue: DeliveryQueue, result: Result) -> None:
        self._backlog, self._queue, self._result = backlog, queue, result

    async def admit(self) -> None:
        await self._backlog.admit()
        self._result.peak = max(self._result.peak, self._backlog.outstanding)

    def release(self) -> None:
        self._backlog.release()

    async def secure(self, job: Job, image: bytes) -> str:
        raise NotImplementedError

    async def take(self, job: Job, reservation: Reservation, answer: Answer, url: str) -> None:
        self._result.bought += 1
        self._backlog.bought()
        await self._queue.put(
            Purchase(
                job_key=job.key,
                attempt=reservation.attempt,
                url=url,
                bought_at=answer.answered_at,
                deadline=answer.deadline,
                answered=answer.answered,
                path=job.path,
                ratio=None,
            )
        )


class _Record:
    """The ledger."""

    def __init__(self, scenario: Scenario, loop: VirtualLoop, result: Result) -> None:
        self._scenario, self._loop, self._result = scenario, loop, result

    async def stored(self, purchase: Purchase, picture: StoredPicture) -> None:
        self._result.ages.append(picture.url_age_s)
        if WARM_S <= self._loop.now <= self._scenario.buying_s:
            self._result.stored_kb += picture.size_bytes

    async def lost(self, purchase: Purchase, kind: str, message: str) -> None:
        """Counted as what is not stored."""

    async def spoiled(self, purchase: Purchase, kind: str, message: str) -> None:
        """The same."""


def play(scenario: Scenario, *, seed: int = 0) -> Result:
    """Let it happen; the same seed makes the same of it."""
    result, chance = Result(), Random(f"{scenario.name} {seed}")
    random.seed(seed)  # the jitter of back-offs
    loop = VirtualLoop(now=0.0, chance=chance)
    folder = Path(tempfile.mkdtemp(prefix="deadlines-", dir=_MEMORY if _MEMORY.is_dir() else None))
    try:
        with threads_inline():
            loop.run_until_complete(_perform(scenario, loop, chance, folder, result))
            loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()
        shutil.rmtree(folder)
    result.ages.sort()
    result.died = result.bought - len(result.ages)
    return result


async def _perform(scenario: Scenario, loop: VirtualLoop, chance: Random, folder: Path, result: Result) -> None:
    clock = VirtualClock(loop)
    link = LinkModel(
        loop=loop,
        chance=chance,
        speed=scenario.speed,
        hosts=scenario.hosts,
        stalls=scenario.stalls,
        cuts=scenario.cuts,
    )
    depot = _Depot(scenario, loop, clock, link, folder, result)
    producer = Producer(
        run=RUN,
        terms=Terms(concurrency=scenario.concurrency, max_throttle_s=1e6, first_byte_s={PRO: 180}),
        sellers=[Seller(name="apiyi", shop=_Shop(scenario, link, clock, chance), prices_microusd=PRICES)],
        book=FakeBook([]),
        delivery=_Desk(depot.backlog, depot.queue, result),
        halt=Halt(),
        clock=clock,
        jitter=chance.random,
    )
    async with anyio.create_task_group() as group:
        group.start_soon(depot.watch)
        async with anyio.create_task_group() as fetching:
            fetching.start_soon(depot.fetch)
            async with anyio.create_task_group() as buying:
                orders = _Orders(scenario, loop)
                for _ in range(scenario.concurrency):
                    buying.start_soon(producer.work, orders)
            depot.queue.close()
        group.cancel_scope.cancel()
    result.busiest, result.resumed = link.busiest, link.resumed
    result.carried_kb = carried(scenario.speed, WARM_S, scenario.buying_s)


class _Depot:
    """The real download side."""

    def __init__(
        self,
        scenario: Scenario,
        loop: VirtualLoop,
        clock: VirtualClock,
        link: LinkModel,
        folder: Path,
        result: Result,
    ) -> None:
        self.backlog = Backlog(workers=scenario.workers, window_s=WINDOW_S, clock=clock)
        self.queue = DeliveryQueue(64)
        self._crew = Crew(workers=scenario.workers, clock=clock)
        self._courier = Courier(
            output=folder,
            transport=link,
            record=_Record(scenario, loop, result),
            clock=clock,
            backlog=self.backlog,
            on_trouble=lambda trouble: result.troubles.append(str(trouble)),
            limits=LIMITS,
            disk=_MemoryDisk(),
        )
        self._until, self._clock, self._result = scenario.buying_s, clock, result

    async def fetch(self) -> None:
        await run_pool(self.queue, self._courier, crew=self._crew)

    async def watch(self) -> None:
        """Note how often buying waits."""
        seconds = held_up = 0
        while self._clock.monotonic() < self._until:
            await anyio.sleep(1)
            seconds, held_up = seconds + 1, held_up + (self.backlog.waiting is not None)
            self._result.held_up = held_up / seconds


class _Orders:
    """Orders until the time is over."""

    def __init__(self, scenario: Scenario, loop: VirtualLoop) -> None:
        self._scenario, self._loop, self._count = scenario, loop, 0

    def __aiter__(self) -> "_Orders":
        return self

    async def __anext__(self) -> Order:
        if self._loop.now >= self._scenario.buying_s:
            raise StopAsyncIteration
        self._count += 1
        return Order(job=job(self._count), placement=self._count)
