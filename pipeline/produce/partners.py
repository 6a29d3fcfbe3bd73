"""Whom a producer deals with and on what terms: the seams that tests and other ledgers fit into."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pipeline.inputs.darkroom import ReadyInput
from pipeline.job import InputImage, Job, PictureRequest
from pipeline.ledger import CapReached, HeldForPerson, InOtherHands, Reservation, Run
from pipeline.produce.pace import Lesson
from pipeline.provider import Answer, Ticket


class Shop(Protocol):
    """Where pictures are bought."""

    async def buy(
        self, request: PictureRequest, *, first_byte_s: float, images: Sequence[InputImage] = ()
    ) -> Answer | Ticket:
        """Ask for one picture, made from ``images`` if there are any; a ticket is what there is of it while it is made.

        Raises:
            ProviderError: There is none, and what that means for the money.
        """
        ...


class Desk(Protocol):
    """Where pictures are collected that a ticket is for."""

    async def collect(self, ticket: Ticket) -> Answer:
        """Wait until the picture is ready. Asking again costs nothing.

        Raises:
            ProviderError: There is none, and what that means for the money.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Seller:
    """One provider, ready to be asked.

    Attributes:
        name: The profile's.
        prices_microusd: By model; a model without one is never asked for here.
        desk: Where its tickets are good; None where it gives none.
        rate_per_minute: The most requests started in a minute, of each model; None where nobody has said.
        lessons: By model: what an earlier run found of its limits.
        turn: Waits for one's turn to ask for a model, where others ask beside this run; None where nobody does.
    """

    name: str
    shop: Shop
    prices_microusd: Mapping[str, int]
    desk: Desk | None = None
    rate_per_minute: float | None = None
    lessons: Mapping[str, Lesson] = field(default_factory=dict)
    turn: Callable[[str], Awaitable[None]] | None = None


class Book(Protocol):
    """Where each step is written down; every method returns once that is durable. See ``LedgerWriter``."""

    async def reserve(
        self, run: Run, *, placement: int, key: str, price_microusd: int, provider: str
    ) -> Reservation | CapReached | InOtherHands | HeldForPerson | None:
        """A: the right to send one request, or what forbids it."""
        ...

    async def submit(self, reservation: Reservation, *, task: str, polling_url: str, submitted_at: float) -> None:
        """K: the provider has taken the task; after a crash it is asked after, not asked for."""
        ...

    async def answer(
        self, reservation: Reservation, *, url: str, bought_at: float, deadline: float | None, request_id: str
    ) -> None:
        """B: bought."""
        ...

    async def release(
        self,
        reservation: Reservation,
        *,
        kind: str,
        message: str,
        request_id: str = "",
        body: str = "",
        final: bool,
        passing: bool,
        counted: bool = True,
    ) -> None:
        """E: refused and unbilled."""
        ...

    async def lose_answer(
        self, reservation: Reservation, *, kind: str, message: str, request_id: str = "", body: str = ""
    ) -> None:
        """D: perhaps billed."""
        ...


class Darkroom(Protocol):
    """Where input images are made ready; see ``pipeline.inputs.Darkroom``. What prepares or loads raises InputError."""

    async def prepare(self, job: Job) -> Sequence[ReadyInput]:
        """Have a job's inputs on the disk, proven to be what was planned."""
        ...

    async def take(self, ready: Sequence[ReadyInput]) -> None:
        """Wait until there is room for them in memory."""
        ...

    def give(self, ready: Sequence[ReadyInput]) -> None:
        """Give that room back."""
        ...

    async def load(self, ready: Sequence[ReadyInput]) -> Sequence[InputImage]:
        """Have them in memory, to be sent."""
        ...


class Delivery(Protocol):
    """The side that fetches: says when more may be bought, and takes what is."""

    async def admit(self) -> None:
        """Wait until one more picture can be fetched in time; a place is held from then on."""
        ...

    def release(self) -> None:
        """Give the place back: nothing was bought."""
        ...

    async def secure(self, job: Job, image: bytes) -> str:
        """Make bytes that came inside an answer durable; what to record in a URL's stead."""
        ...

    async def take(self, job: Job, reservation: Reservation, answer: Answer, url: str) -> None:
        """Fetch this picture; the place passes to it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One picture to buy, admitted by the ledger."""

    job: Job
    placement: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What buying is bound by.

    Attributes:
        concurrency: The most requests in flight, over all models.
        max_throttle_s: How long a job may be refused for load before it fails.
        first_byte_s: By model: the longest wait for an answer to begin.
        resends: Whether the request of a lost answer is sent again by itself, once; the ledger bounds what it costs.
    """

    concurrency: int
    max_throttle_s: float
    first_byte_s: Mapping[str, float]
    resends: bool = False
