"""Buying: one reservation, one request, one outcome written down, for each picture, at most so many at once."""

import asyncio
import random
from collections.abc import AsyncIterable, Callable, Sequence
from typing import assert_never

import anyio

from pipeline.clock import Clock
from pipeline.errors import ExitCode, FluxbatchError
from pipeline.inputs import InputError
from pipeline.job import InputImage, Job, PictureRequest
from pipeline.ledger import CapReached, HeldForPerson, InOtherHands, Reservation, Run
from pipeline.produce.counters import Counter, Counters
from pipeline.produce.halt import Cause, Halt
from pipeline.produce.judge import Errand, Judge
from pipeline.produce.memory import memory_for
from pipeline.produce.pace import Lane, Lesson, Start, back_off_s
from pipeline.produce.partners import Book, Darkroom, Delivery, Desk, Order, Seller, Terms
from pipeline.produce.walls import larger, out_of_budget
from pipeline.provider import (
    AccountRefusedError,
    Answer,
    Money,
    ProviderError,
    ThrottledError,
    Ticket,
)

#: How a reservation ends that was not used in time; ``steps.sql`` knows the word.
LATE = "late"
#: How often a worker looks whether another run is through with a picture that both want, in seconds.
LOOK_AGAIN_S = 1.0


class _AtOnce:
    """Ask again at once: the provider stopped serving while the job waited, or its reservation ran out."""


_AT_ONCE = _AtOnce()


class Producer:
    """Buys every order it is given, until it is told to halt."""

    def __init__(
        self,
        *,
        run: Run,
        terms: Terms,
        sellers: Sequence[Seller],
        book: Book,
        delivery: Delivery,
        halt: Halt,
        clock: Clock,
        jitter: Callable[[], float] = random.random,
        darkroom: Darkroom | None = None,
    ) -> None:
        self.bought = 0
        self.failed = 0
        self.unknown = 0
        self.spent_microusd = 0
        self.in_flight = 0
        self._run = run
        self._terms = terms
        self._book = book
        self._delivery = delivery
        self._halt = halt
        self._clock = clock
        self._jitter = jitter
        self._darkroom = darkroom
        self.counters = Counters(sellers, terms, halt=halt, clock=clock, jitter=jitter)
        self._judge = Judge(self.counters, terms, clock=clock)
        self._settled = asyncio.Event()
        self._in_other_hands = 0

    @property
    def waiting(self) -> str | None:
        """Why less is bought than could be, in words; None when nothing holds it up."""
        waiting = self.counters.waiting
        if waiting is not None:
            return waiting
        return f"another run is buying {self._in_other_hands} of these" if self._in_other_hands else None

    @property
    def notes(self) -> tuple[str, ...]:
        """What people should know besides."""
        return (*self._judge.notes, *self.counters.notes)

    @property
    def causes(self) -> tuple[Cause, ...]:
        """Why jobs were left as they were although buying went on."""
        return self.counters.causes

    @property
    def lessons(self) -> dict[str, dict[str, Lesson]]:
        """By provider and model: what was found of the limits."""
        return {counter.seller.name: counter.lanes.lessons for counter in self.counters.all}

    async def work(self, orders: AsyncIterable[Order]) -> None:
        """Buy order after order; as many of these run at once as ``terms.concurrency`` says."""
        async for order in orders:
            if self._halt.called:
                continue  # drained, so that whoever sends them is not held up
            try:
                await self._begin(Errand(order))
            except FluxbatchError as error:  # the ledger or the disk: nothing more may be bought
                self._halt.call(error.exit_code, str(error))

    async def _begin(self, errand: Errand) -> None:
        """Have the input images ready, before anything waits or is reserved for them; then see it through."""
        try:
            if errand.request.inputs and self._darkroom is not None:
                errand.ready = await self._darkroom.prepare(errand.order.job)
            await self._run_errand(errand)
        except InputError as error:
            await self._unfit(errand.order, error)

    async def _unfit(self, order: Order, error: InputError) -> None:
        """A and E at once: nothing is asked for, because an input will not do."""
        counter = self.counters.serving(order.job.request.model)
        reserved = None if counter is None else await self._reserve(order, counter)
        if isinstance(reserved, Reservation):
            with anyio.CancelScope(shield=True):
                await self._book.release(
                    reserved, kind=error.kind, message=error.message, final=True, passing=error.passing, counted=False
                )
            self.failed += 1

    async def _run_errand(self, errand: Errand) -> None:
        """See one order through: bought, failed, unknown, or left as it was."""
        model = errand.request.model
        while (counter := self.counters.serving(model)) is not None:
            errand.turn_to(counter)
            async with memory_for(errand, self._darkroom, self._halt) as there_is_room:
                hindrance = await self._attempt(errand, counter) if there_is_room else None
            if hindrance is None or self._halt.called:
                return
            if isinstance(hindrance, _AtOnce):
                continue
            if isinstance(hindrance, InOtherHands):
                await self._look_again()
            elif not isinstance(hindrance, ThrottledError) and counter.serves(model):  # else the lane is the wait
                asked_s = self._judge.bounded(hindrance.retry_after_s)
                with self._halt.interruptible():
                    await self._clock.sleep(back_off_s(errand.tried - 1, self._jitter) if asked_s is None else asked_s)

    async def _look_again(self) -> None:
        """Give another run time to get its picture; nothing is held meanwhile that a third needs."""
        self._in_other_hands += 1
        with self._halt.interruptible():
            await self._clock.sleep(LOOK_AGAIN_S)
        self._in_other_hands -= 1

    async def _attempt(self, errand: Errand, counter: Counter) -> ProviderError | InOtherHands | _AtOnce | None:
        """Send one request, if leave is given; what to try again after, or None when there is no more to do."""
        lane = counter.lane(errand.request.model)
        start = await self._leave(lane, counter.seller, errand.request.model)
        if start is None:
            return None
        reservation: Reservation | None = None
        try:
            images: Sequence[InputImage] = ()
            if errand.ready and self._darkroom is not None:
                images = await self._darkroom.load(errand.ready)
            reserved = await self._reserve(errand.order, counter)
            if not isinstance(reserved, Reservation):
                return reserved
            if reserved.is_late:
                await self._withdraw(reserved)
                return _AT_ONCE
            reservation = reserved
            return await self._send(errand, reservation, counter, start, images)
        finally:
            if reservation is None:
                self._delivery.release()
            lane.release(start)
            self._settled.set()
            self._settled = asyncio.Event()

    async def _leave(self, lane: Lane, seller: Seller, model: str) -> Start | None:
        """Wait for a place on the download side, a turn, and a place in the lane; None when buying has stopped."""
        admitted = False
        with self._halt.interruptible():
            await self._delivery.admit()
            admitted = True
            if seller.turn is not None:
                await seller.turn(model)
            return await lane.acquire()
        if admitted:
            self._delivery.release()
        return None

    async def _reserve(self, order: Order, counter: Counter) -> Reservation | InOtherHands | _AtOnce | None:
        """A, waiting while requests under way may yet give their reservations back; None to leave the job be."""
        model = order.job.request.model
        seller = counter.seller
        while not self._halt.called and counter.serves(model):
            reserved = await self._book.reserve(
                self._run,
                placement=order.placement,
                key=order.job.key,
                price_microusd=seller.prices_microusd[model],
                provider=seller.name,
            )
            if isinstance(reserved, HeldForPerson):
                return None
            if not isinstance(reserved, CapReached):
                return reserved
            if self.in_flight == 0:
                self._halt.call(ExitCode.BUDGET, out_of_budget(reserved), needs=larger(reserved))
                return None
            settled = self._settled
            with self._halt.interruptible():
                await settled.wait()
        return None if self._halt.called else _AT_ONCE

    async def _withdraw(self, reservation: Reservation) -> None:
        """E, unsent: whoever took this run for dead may have held the price as unknown already."""
        told = "not sent: the right to had run out before it could be"
        with anyio.CancelScope(shield=True):
            await self._book.release(reservation, kind=LATE, message=told, final=False, passing=True, counted=False)

    async def _send(
        self, errand: Errand, reservation: Reservation, counter: Counter, start: Start, images: Sequence[InputImage]
    ) -> ProviderError | None:
        """Ask the provider and write down what came of it; the fault to try again after, or None."""
        lane = counter.lane(errand.request.model)
        self.in_flight += 1
        taken = False
        try:
            answer = await self._ask(errand.request, images, reservation, counter.seller)
            if answer.allowance is not None:
                lane.told(start, answer.allowance)
            lane.succeeded(start)
            counter.quota.put_back(errand.retry_cost)
            counter.outage.over()
            with anyio.CancelScope(shield=True):
                url = await self._bought(errand.order.job, reservation, answer)
        except ProviderError as fault:
            if fault.allowance is not None:
                lane.told(start, fault.allowance)
            again = self._judge.again(fault, errand, counter, start)
            with anyio.CancelScope(shield=True):
                await self._refused(fault, reservation, final=not again and not isinstance(fault, AccountRefusedError))
            return fault if again else None
        else:
            taken = True
            await self._delivery.take(errand.order.job, reservation, answer, url)
            return None
        finally:
            self.in_flight -= 1
            if not taken:
                self._delivery.release()

    async def _ask(
        self, request: PictureRequest, images: Sequence[InputImage], reservation: Reservation, seller: Seller
    ) -> Answer:
        """Buy from a provider; where the picture comes later, its ticket is durable before it is waited for."""
        first_byte_s = self._terms.first_byte_s[request.model]
        answer = await seller.shop.buy(request, first_byte_s=first_byte_s, images=images)
        if not isinstance(answer, Ticket):
            return answer
        assert seller.desk is not None, "who gives tickets takes them"  # noqa: S101
        self._judge.priced(seller.name, request.model, answer.cost_microusd, counted=reservation.price_microusd)
        with anyio.CancelScope(shield=True):
            await self._book.submit(
                reservation, task=answer.task, polling_url=answer.polling_url, submitted_at=answer.submitted_at
            )
        return await seller.desk.collect(answer)

    async def collect(self, desk: Desk, ticket: Ticket, reservation: Reservation) -> Answer | None:
        """Ask after a task that another run submitted; None where there is no picture, which is written down."""
        try:
            return await desk.collect(ticket)
        except ProviderError as fault:
            with anyio.CancelScope(shield=True):
                await self._refused(fault, reservation, final=True)
            return None

    async def _bought(self, job: Job, reservation: Reservation, answer: Answer) -> str:
        """B: the answer is durable before anything else happens."""
        url = answer.url or await self._delivery.secure(job, answer.image or b"")
        await self._book.answer(
            reservation,
            url=url,
            bought_at=answer.answered_at,
            deadline=answer.deadline,
            request_id=answer.request_id,
        )
        self.bought += 1
        self.spent_microusd += reservation.price_microusd
        return url

    async def _refused(self, fault: ProviderError, reservation: Reservation, *, final: bool) -> None:
        """D or E, by what happened to the money."""
        match fault.money:
            case Money.UNKNOWN:
                self.unknown += 1
                await self._book.lose_answer(
                    reservation, kind=fault.kind, message=str(fault), request_id=fault.request_id, body=fault.body
                )
            case Money.UNBILLED:
                self.failed += final
                await self._book.release(
                    reservation,
                    kind=fault.kind,
                    message=str(fault),
                    request_id=fault.request_id,
                    body=fault.body,
                    final=final,
                    passing=fault.passing,
                    counted=not isinstance(fault, ThrottledError),
                )
            case Money.PENDING:
                self.unknown += 1  # the ticket stays in the ledger: the next run asks after it
            case _:
                assert_never(fault.money)
