"""The producer and the planner on a real ledger: what another process could read at each moment."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio

from pipeline.clock import SystemClock
from pipeline.job import InputImage, Job, PictureRequest
from pipeline.ledger import Caps, Ledger, LedgerWriter, Policy, Reservation, Run, Tally
from pipeline.produce import Halt, Order, Planner, Producer, Seller, Terms
from pipeline.provider import Answer, AnswerLostError, OverloadedError, RefusedError
from tests.unit.produce_doubles import PRICES, PRO, FakeDelivery, answer, job


@dataclass(kw_only=True)
class Books:
    """A ledger read through a connection of its own, as another process would."""

    path: Path

    def states(self) -> list[str]:
        with Ledger(self.path) as ledger:
            return [row.state for row in ledger.rows()]

    def money(self) -> tuple[int, int, int]:
        """Spent, unknown and reserved."""
        with Ledger(self.path) as ledger:
            lines = ledger.spend("manifest")
        return (
            sum(line.spent_microusd for line in lines),
            sum(line.unknown_microusd for line in lines),
            sum(line.reserved_microusd for line in lines),
        )


@dataclass(kw_only=True)
class FakeShop:
    """Answers as the script says, or with a picture, and notes what the books said when it was asked."""

    books: Books
    script: dict[str, list[Exception]] = field(default_factory=dict)
    seen: list[tuple[list[str], tuple[int, int, int]]] = field(default_factory=list)

    async def buy(self, request: PictureRequest, *, first_byte_s: float, images: Sequence[InputImage] = ()) -> Answer:
        self.seen.append((self.books.states(), self.books.money()))
        await anyio.lowlevel.checkpoint()
        faults = self.script.get(request.prompt, [])
        if faults:
            raise faults.pop(0)
        return answer()


@dataclass(kw_only=True)
class Works:
    """A run on a real ledger."""

    books: Books
    ledger: LedgerWriter
    run: Run
    shop: FakeShop
    halt: Halt = field(default_factory=Halt)
    delivery: FakeDelivery = field(default_factory=lambda: FakeDelivery([]))

    async def buy(self, *jobs: Job, workers: int = 1) -> Tally:
        planner = Planner(
            run=self.run, policy=Policy(), register=self.ledger, halt=self.halt, recorded=lambda path: path
        )
        producer = Producer(
            run=self.run,
            terms=Terms(concurrency=workers, max_throttle_s=1.0, first_byte_s=dict.fromkeys(PRICES, 1.0)),
            sellers=[Seller(name="apiyi", shop=self.shop, prices_microusd=PRICES)],
            book=self.ledger,
            delivery=self.delivery,
            halt=self.halt,
            clock=SystemClock(),
            jitter=lambda: 0.0,
        )
        send, receive = anyio.create_memory_object_stream[Order](4)

        async def work(orders: Any) -> None:
            async with orders:
                await producer.work(orders)

        with anyio.fail_after(10):
            async with anyio.create_task_group() as group:
                group.start_soon(planner.work, iter(jobs), send)
                for _ in range(workers):
                    group.start_soon(work, receive.clone())
                receive.close()
        return await self.ledger.tally(self.run)


@asynccontextmanager
async def works(folder: Path, *, budget_microusd: int | None = None) -> AsyncIterator[Works]:
    books = Books(path=folder / "ledger.db")
    async with LedgerWriter(books.path, clock=SystemClock()) as ledger:
        caps = Caps(batch=budget_microusd)
        run = await ledger.begin(manifest="m", edition="", provider="apiyi", simulated=False, caps=caps)
        yield Works(books=books, ledger=ledger, run=run, shop=FakeShop(books=books))


async def test_when_a_request_leaves_its_reservation_can_be_read(tmp_path: Path) -> None:
    async with works(tmp_path) as made:
        await made.buy(job())

        assert made.shop.seen == [(["buying"], (0, 0, 35_000))]


async def test_when_a_picture_is_handed_over_it_can_be_read_as_bought(tmp_path: Path) -> None:
    async with works(tmp_path) as made:
        seen: list[tuple[list[str], tuple[int, int, int]]] = []
        made.delivery.on_take = lambda: seen.append((made.books.states(), made.books.money()))

        await made.buy(job())

        assert seen == [(["bought"], (35_000, 0, 0))]


async def test_each_outcome_stands_in_the_books(tmp_path: Path) -> None:
    async with works(tmp_path) as made:
        made.shop.script = {
            "picture 2": [AnswerLostError("gone")],
            "picture 3": [RefusedError("no")],
            "picture 4": [OverloadedError("busy"), OverloadedError("busy")],
        }

        tally = await made.buy(*(job(index) for index in range(1, 5)))

        assert made.books.states() == ["bought", "unknown", "failed", "bought"]
        assert made.books.money() == (70_000, 35_000, 0)
        assert (tally.lost, tally.unknown, tally.failed) == (2, 1, 1), "bought and not fetched counts as lost"


async def test_equal_rows_are_bought_once(tmp_path: Path) -> None:
    async with works(tmp_path) as made:
        await made.buy(job(1, prompt="a cat"), job(2, prompt="a cat"), job(3, prompt="a dog"), workers=3)

        assert len(made.shop.seen) == 2
        assert made.books.money() == (70_000, 0, 0)


async def test_sixteen_at_once_spend_exactly_what_the_budget_allows(tmp_path: Path) -> None:
    async with works(tmp_path, budget_microusd=7 * 35_000 + 1) as made:
        made.shop.script = {f"picture {index}": [RefusedError("no")] for index in range(1, 40, 3)}

        tally = await made.buy(*(job(index) for index in range(1, 41)), workers=16)

        assert made.books.money() == (7 * 35_000, 0, 0)
        assert [int(cause.code) for cause in made.halt.causes] == [4]
        assert tally.planned == 40 - 7 - tally.failed


async def test_a_picture_that_is_there_is_not_ordered_again(tmp_path: Path) -> None:
    async with works(tmp_path) as made:
        [admission] = await made.ledger.admit(made.run, [(job(), "x")], Policy())
        reserved = await made.ledger.reserve(
            made.run, placement=admission.placement, key=job().key, price_microusd=PRICES[PRO]
        )
        assert isinstance(reserved, Reservation)
        await made.ledger.answer(reserved, url="u", bought_at=1.0, deadline=2.0, request_id="r")

        await made.buy(job())

        assert made.shop.seen == []
