"""What the producer's tests share: a clock, a shop, a book and a delivery that do as they are told."""

import itertools
from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel

from pipeline.job import InputImage, Job, PictureRequest, job_key
from pipeline.ledger import CapReached, Reservation, Run
from pipeline.produce import Order
from pipeline.provider import Answer
from pipeline.ratio import Ratio

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.errors import FluxbatchError

START = 1_000_000.0
PRO, MAX = "flux-kontext-pro", "flux-kontext-max"
PRICES = {PRO: 35_000, MAX: 70_000}
RUN = Run(id=1, run_id="20261123T120000-abcdef", batch=1, manifest="m", edition="", simulated=False)

#: Enough turns of the event loop for everybody who can go on to do so.
TURNS = 25


async def settle() -> None:
    """Let everybody who can go on do so, until all wait."""
    for _ in range(TURNS):
        await anyio.lowlevel.checkpoint()


class FakeClock:
    """Time passes only when all sleep: then it jumps to the first of them to wake."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []
        self._alarms: list[float] = []
        self._stirs = 0  # how often somebody lay down or got up
        self._driven = False  # one of the sleepers watches the others, and moves the time on
        self._moved = anyio.Event()

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return START + self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        alarm = self.now + seconds
        self._alarms.append(alarm)
        self._stirs += 1
        try:
            while self.now < alarm:
                await (self._moved.wait() if self._driven else self._drive())
            await anyio.lowlevel.checkpoint()
        finally:
            self._alarms.remove(alarm)
            self._stirs += 1

    async def _drive(self) -> None:
        """Move the time on once, when nothing has stirred for a while."""
        self._driven = True
        try:
            stirs = None
            while stirs != self._stirs:
                stirs = self._stirs
                await settle()
            self.now = max(self.now, min(self._alarms))
        finally:
            self._driven = False
            self._moved.set()
            self._moved = anyio.Event()


def request(prompt: str = "a lighthouse", model: str = PRO) -> PictureRequest:
    return PictureRequest(model=model, prompt=prompt, ratio=Ratio(3, 2))


def job(index: int = 1, *, model: str = PRO, prompt: str = "") -> Job:
    asked = request(prompt or f"picture {index}", model)
    return Job(
        index=index,
        key=job_key(asked, repeat=1, edition="", simulated=False),
        request=asked,
        repeat=1,
        path=f"m/{index:05}",
        source=f"m.yaml:{index}",
    )


def orders(count: int, *, model: str = PRO, first: int = 1) -> list[Order]:
    """So many orders, numbered from ``first``; the prompt of each is ``picture <number>``."""
    return [Order(job=job(index, model=model), placement=index) for index in range(first, first + count)]


def answer(*, url: str | None = "https://cdn.test/a.jpeg", image: bytes | None = None) -> Answer:
    deadline = None if url is None else START + 600
    return Answer(url=url, image=image, answered_at=START, deadline=deadline, request_id="req-1")


Outcome = Answer | Exception


class FakeShop:
    """Answers each prompt with its script's outcomes in order, then with a picture.

    Attributes:
        asked: Prompts, in the order they were asked for.
        peak: The most requests in flight at once, by model and over all (the empty text).
        takes_s: How long a request takes.
        before: Called with each request before it is answered.
    """

    def __init__(self, clock: FakeClock, log: list[str]) -> None:
        self.scripts: dict[str, list[Outcome]] = {}
        self.always: Callable[[PictureRequest], Outcome | None] = lambda _: None
        self.before: Callable[[PictureRequest], Any] = lambda _: None
        self.asked: list[str] = []
        self.asked_at: list[float] = []
        self.waited_s: list[float] = []
        self.takes_s: Callable[[], float] = lambda: 0.0
        self.in_flight: dict[str, int] = {}
        self.peak: dict[str, int] = {}
        self.answered = 0
        self._clock = clock
        self._log = log

    async def buy(self, request: PictureRequest, *, first_byte_s: float, images: Sequence[InputImage] = ()) -> Answer:
        self.asked.append(request.prompt)
        self.asked_at.append(self._clock.now)
        self.waited_s.append(first_byte_s)
        self._log.append(f"ask {request.prompt}")
        for name in (request.model, ""):
            self.in_flight[name] = self.in_flight.get(name, 0) + 1
            self.peak[name] = max(self.peak.get(name, 0), self.in_flight[name])
        try:
            self.before(request)
            takes_s = self.takes_s()
            await (self._clock.sleep(takes_s) if takes_s else anyio.lowlevel.checkpoint())
            outcome = self._outcome(request)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome
        finally:
            self.answered += 1
            for name in (request.model, ""):
                self.in_flight[name] -= 1

    def _outcome(self, request: PictureRequest) -> Outcome:
        script = self.scripts.get(request.prompt, [])
        return script.pop(0) if script else self.always(request) or answer()


class FakeBook:
    """Writes down what it is told, keeps the sums of one budget, and insists that a reservation is settled once.

    Attributes:
        budget_microusd: The wall; None for none.
        errors: What to raise instead of a step, by the step's name.
        leave: Placements for which there is no reservation.
        late: Attempts whose reservations have run out before they are there.
        ends: How each reservation was settled, by attempt.
    """

    def __init__(self, log: list[str]) -> None:
        self.budget_microusd: int | None = None
        self.errors: dict[str, FluxbatchError] = {}
        self.leave: set[int] = set()
        self.settled: dict[int, str] = {}
        self.placed: dict[int, int] = {}
        self.asked: list[str] = []
        self.submitted: list[dict[str, Any]] = []
        self.spent_microusd = 0
        self.unknown_microusd = 0
        self.held: dict[int, int] = {}
        self.releases: list[dict[str, Any]] = []
        self.losses: list[dict[str, Any]] = []
        self.answers: list[dict[str, Any]] = []
        self.late: set[int] = set()
        self.before_reserve: Callable[[int], Any] = lambda _: None
        self.before_settling: Callable[[], Any] = lambda: None
        self._attempts = itertools.count(1)
        self._log = log

    @property
    def committed_microusd(self) -> int:
        return self.spent_microusd + self.unknown_microusd + sum(self.held.values())

    async def reserve(
        self, run: Run, *, placement: int, key: str, price_microusd: int, provider: str
    ) -> Reservation | CapReached | None:
        self.asked.append(provider)
        self.before_reserve(placement)
        await self._step("reserve", placement)
        if placement in self.leave:
            return None
        if self.budget_microusd is not None and self.committed_microusd + price_microusd > self.budget_microusd:
            return CapReached(
                scope="this manifest",
                cap_microusd=self.budget_microusd,
                committed_microusd=self.committed_microusd,
                price_microusd=price_microusd,
            )
        attempt = next(self._attempts)
        self.held[attempt] = price_microusd
        self.placed[attempt] = placement
        good_until = 0.0 if attempt in self.late else inf
        return Reservation(attempt=attempt, price_microusd=price_microusd, good_until=good_until)

    async def answer(
        self, reservation: Reservation, *, url: str, bought_at: float, deadline: float | None, request_id: str
    ) -> None:
        await self._step("answer", self.placed[reservation.attempt])
        self.answers.append({"url": url, "bought_at": bought_at, "deadline": deadline, "request_id": request_id})
        self.spent_microusd += self._settle(reservation, "bought")

    async def submit(self, reservation: Reservation, **facts: Any) -> None:
        await self._step("submit", self.placed[reservation.attempt])
        self.submitted.append({"attempt": reservation.attempt, **facts})

    async def release(self, reservation: Reservation, **facts: Any) -> None:
        await self._step("release", self.placed[reservation.attempt])
        self.releases.append(facts)
        self._settle(reservation, "released for good" if facts["final"] else "released")

    async def lose_answer(self, reservation: Reservation, **facts: Any) -> None:
        await self._step("lose", self.placed[reservation.attempt])
        self.losses.append(facts)
        self.unknown_microusd += self._settle(reservation, "unknown")

    async def _step(self, name: str, placement: int) -> None:
        self._log.append(f"{name} {placement}")
        if name != "reserve":
            self.before_settling()
        await anyio.lowlevel.checkpoint()
        if name in self.errors:
            raise self.errors[name]

    def _settle(self, reservation: Reservation, end: str) -> int:
        assert reservation.attempt not in self.settled, "a reservation was settled twice"
        self.settled[reservation.attempt] = end
        return self.held.pop(reservation.attempt)

    def ends(self, placement: int) -> list[str]:
        """How the attempts of one order ended, in order."""
        return [self.settled[attempt] for attempt, place in self.placed.items() if place == placement]


class FakeDelivery:
    """Holds places, and remembers what it was given.

    Attributes:
        room: The most places held at once.
        outstanding: Places held now, what was taken included.
        keeps: Whether what is taken keeps its place, as when downloads stall.
    """

    def __init__(self, log: list[str]) -> None:
        self.room = 1_000_000
        self.outstanding = 0
        self.keeps = False
        self.taken: list[tuple[str, str]] = []
        self.secured: list[bytes] = []
        self.error: FluxbatchError | None = None
        self.on_take: Callable[[], Any] = lambda: None
        self._freed = anyio.Event()
        self._log = log

    async def admit(self) -> None:
        while self.outstanding >= self.room:
            await self._freed.wait()
        self.outstanding += 1

    def release(self) -> None:
        assert self.outstanding > 0, "a place was given back twice"
        self.outstanding -= 1
        self._freed.set()
        self._freed = anyio.Event()

    async def secure(self, job: Job, image: bytes) -> str:
        self._log.append(f"secure {job.index}")
        await anyio.lowlevel.checkpoint()
        if self.error is not None:
            raise self.error
        self.secured.append(image)
        return "inline:"

    async def take(self, job: Job, reservation: Reservation, answer: Answer, url: str) -> None:
        self._log.append(f"take {job.index}")
        self.taken.append((job.request.prompt, url))
        self.on_take()
        await anyio.lowlevel.checkpoint()
        if not self.keeps:
            self.release()
