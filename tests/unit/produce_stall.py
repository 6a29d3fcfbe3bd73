"""A producer with doubles around it, and orders for it to buy."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio

from pipeline.produce import Halt, Lesson, Order, Producer, Seller, Terms
from pipeline.produce.partners import Darkroom
from tests.unit.produce_doubles import MAX, PRICES, PRO, RUN, FakeBook, FakeClock, FakeDelivery, FakeShop


@dataclass(kw_only=True)
class Stall:
    """A producer with doubles around it."""

    concurrency: int = 8
    max_throttle_s: float = 900.0
    jitter: Callable[[], float] = lambda: 0.5
    rate_per_minute: float | None = None
    lessons: dict[str, Lesson] = field(default_factory=dict)
    resends: bool = False
    others: list[Seller] = field(default_factory=list)
    turn: Callable[[str], Awaitable[None]] | None = None
    darkroom: Darkroom | None = None
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = FakeClock()
        self.shop = FakeShop(self.clock, self.log)
        self.book = FakeBook(self.log)
        self.delivery = FakeDelivery(self.log)
        self.halt = Halt()
        self.producer = Producer(
            run=RUN,
            terms=Terms(
                concurrency=self.concurrency,
                max_throttle_s=self.max_throttle_s,
                first_byte_s={PRO: 180.0, MAX: 240.0, "flux-dev": 60.0},
                resends=self.resends,
            ),
            sellers=[
                Seller(
                    name="first",
                    shop=self.shop,
                    prices_microusd=PRICES,
                    rate_per_minute=self.rate_per_minute,
                    lessons=self.lessons,
                    turn=self.turn,
                ),
                *self.others,
            ],
            book=self.book,
            delivery=self.delivery,
            halt=self.halt,
            clock=self.clock,
            jitter=self.jitter,
            darkroom=self.darkroom,
        )

    async def sell(
        self, wanted: Sequence[Order], *, workers: int | None = None, meanwhile: Callable[[], Any] | None = None
    ) -> None:
        """Let so many workers (as many as may be in flight when None) buy all of it.

        Args:
            meanwhile: An async function that runs beside them.
        """
        send, receive = anyio.create_memory_object_stream[Order](max(1, len(wanted)))
        for order in wanted:
            send.send_nowait(order)
        send.close()
        with receive, anyio.fail_after(10):
            async with anyio.create_task_group() as group:
                for _ in range(workers or self.concurrency):
                    group.start_soon(self._work, receive.clone())
                if meanwhile is not None:
                    group.start_soon(meanwhile)
        self.check()

    async def _work(self, receive: Any) -> None:
        with receive:
            await self.producer.work(receive)

    def check(self) -> None:
        """Whatever happened: nothing is in flight, and every place is given back or passed on."""
        assert self.producer.in_flight == 0
        assert all(number == 0 for number in self.shop.in_flight.values())
        if not self.delivery.keeps:
            assert self.delivery.outstanding == 0

    def halted(self) -> list[int]:
        """The exit codes of whatever stopped buying."""
        return [int(cause.code) for cause in self.halt.causes]

    def ends(self, wanted: Iterable[Order]) -> list[str]:
        """How each order's last attempt ended; ``left`` where none was made."""
        return [(self.book.ends(order.placement) or ["left"])[-1] for order in wanted]
