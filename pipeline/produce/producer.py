"""Buying: one reservation, one request, one outcome written down, for each picture, at most so many at once."""

import random
from collections.abc import AsyncIterable, Callable
from dataclasses import dataclass
from typing import assert_never

import anyio

from pipeline.clock import Clock
from pipeline.errors import ExitCode, FluxbatchError
from pipeline.job import Job, PictureRequest
from pipeline.ledger import CapReached, HeldForPerson, InOtherHands, Reservation, Run
from pipeline.produce.halt import Halt
from pipeline.produce.outage import Outage
from pipeline.produce.pace import (
    LONGEST_BACK_OFF_S,
    PASSING_COST,
    THROTTLED_COST,
    Lane,
    Lanes,
    RetryQuota,
    Start,
    back_off_s,
)
from pipeline.produce.partners import Book, Delivery, Order, Shop, Terms
from pipeline.produce.walls import larger, out_of_budget
from pipeline.provider import (
    AccountRefusedError,
    Answer,
    ModelRefusedError,
    Money,
    ProviderError,
    RefusedError,
    ThrottledError,
)

#: How often a worker looks whether another run is through with a picture that both want, in seconds.
LOOK_AGAIN_S = 1.0
#: Requests a job may send before it fails; only what surely was not billed is sent again (AWS SDKs).
MAX_ATTEMPTS = 3


@dataclass(slots=True)
class _Errand:
    """How far one order has come."""

    order: Order
    answers_before: int
    tried: int = 0
    throttled_at: float | None = None
    resent: bool = False
    retry_cost: int = 0  # what the request under way has taken of the quota for retries

    @property
    def request(self) -> PictureRequest:
        return self.order.job.request


class Producer:
    """Buys every order it is given, until it is told to halt."""

    def __init__(
        self,
        *,
        run: Run,
        terms: Terms,
        shop: Shop,
        book: Book,
        delivery: Delivery,
        halt: Halt,
        clock: Clock,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.bought = 0
        self.failed = 0
        self.unknown = 0
        self.spent_microusd = 0
        self.in_flight = 0
        self.notes: list[str] = []
        self._run = run
        self._terms = terms
        self._shop = shop
        self._book = book
        self._delivery = delivery
        self._halt = halt
        self._clock = clock
        self._jitter = jitter
        self.lanes = Lanes(
            ceiling=terms.concurrency,
            clock=clock,
            jitter=jitter,
            rate_per_minute=terms.rate_per_minute,
            lessons=terms.lessons,
        )
        self._quota = RetryQuota()
        self._refused_models: set[str] = set()
        self._outage = Outage(halt)
        self._settled = anyio.Event()
        self._in_other_hands = 0

    @property
    def waiting(self) -> str | None:
        """Why less is bought than could be, in words; None when nothing holds it up."""
        if self.lanes.waiting is not None:
            return self.lanes.waiting
        return f"another run is buying {self._in_other_hands} of these" if self._in_other_hands else None

    async def work(self, orders: AsyncIterable[Order]) -> None:
        """Buy order after order; as many of these run at once as ``terms.concurrency`` says."""
        async for order in orders:
            if self._halt.called:
                continue  # drained, so that whoever sends them is not held up
            try:
                await self._run_errand(_Errand(order, self._outage.answers))
            except FluxbatchError as error:  # the ledger or the disk: nothing more may be bought
                self._halt.call(error.exit_code, str(error))

    async def _run_errand(self, errand: _Errand) -> None:
        """See one order through: bought, failed, unknown, or left as it was."""
        while errand.request.model not in self._refused_models:
            hindrance = await self._attempt(errand)
            if hindrance is None or self._halt.called:
                return
            if isinstance(hindrance, InOtherHands):
                await self._look_again()
            elif not isinstance(hindrance, ThrottledError):  # else the lane is paused; that is the wait
                asked_s = self._bounded(hindrance.retry_after_s)
                with self._halt.interruptible():
                    await self._clock.sleep(back_off_s(errand.tried - 1, self._jitter) if asked_s is None else asked_s)

    async def _look_again(self) -> None:
        """Give another run time to get its picture; nothing is held meanwhile that a third needs."""
        self._in_other_hands += 1
        with self._halt.interruptible():
            await self._clock.sleep(LOOK_AGAIN_S)
        self._in_other_hands -= 1

    async def _attempt(self, errand: _Errand) -> ProviderError | InOtherHands | None:
        """Send one request, if leave is given; what to try again after, or None when there is no more to do."""
        lane = self.lanes.of(errand.request.model)
        start = await self._leave(lane)
        if start is None:
            return None
        reservation: Reservation | None = None
        try:
            reserved = await self._reserve(errand.order)
            if not isinstance(reserved, Reservation):
                return reserved
            reservation = reserved
            return await self._send(errand, reservation, lane, start)
        finally:
            if reservation is None:
                self._delivery.release()
            lane.release(start)
            self._settled.set()
            self._settled = anyio.Event()

    async def _leave(self, lane: Lane) -> Start | None:
        """Wait for a place on the download side and in the lane; None when buying has stopped."""
        admitted = False
        with self._halt.interruptible():
            await self._delivery.admit()
            admitted = True
            return await lane.acquire()
        if admitted:
            self._delivery.release()
        return None

    async def _reserve(self, order: Order) -> Reservation | InOtherHands | None:
        """A, waiting while requests under way may yet give their reservations back; None to leave the job be."""
        model = order.job.request.model
        price = self._terms.prices_microusd[model]
        while not self._halt.called and model not in self._refused_models:
            reserved = await self._book.reserve(
                self._run, placement=order.placement, key=order.job.key, price_microusd=price
            )
            if isinstance(reserved, HeldForPerson):
                return None
            if not isinstance(reserved, CapReached):
                return reserved
            if self.in_flight == 0:
                self._halt.call(ExitCode.BUDGET, out_of_budget(reserved), needs=larger(reserved))
                break
            settled = self._settled
            with self._halt.interruptible():
                await settled.wait()
        return None

    async def _send(self, errand: _Errand, reservation: Reservation, lane: Lane, start: Start) -> ProviderError | None:
        """Ask the provider and write down what came of it; the fault to try again after, or None."""
        self.in_flight += 1
        taken = False
        try:
            answer = await self._shop.buy(errand.request, first_byte_s=self._terms.first_byte_s[errand.request.model])
            if answer.allowance is not None:
                lane.told(start, answer.allowance)
            lane.succeeded(start)
            self._quota.put_back(errand.retry_cost)
            self._outage.over()
            with anyio.CancelScope(shield=True):
                url = await self._bought(errand.order.job, reservation, answer)
        except ProviderError as fault:
            if fault.allowance is not None:
                lane.told(start, fault.allowance)
            again = self._again(fault, errand, lane, start)
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
            case _:
                assert_never(fault.money)

    def _again(self, fault: ProviderError, errand: _Errand, lane: Lane, start: Start) -> bool:
        """Draw a fault's consequences for the run; whether this job's request may be sent again."""
        match fault:
            case AccountRefusedError():
                self._halt.call(ExitCode.ACCOUNT, f"the provider refuses the account: {fault}")
            case ModelRefusedError():
                self._refuse_model(errand.request.model, fault)
            case RefusedError():
                self._outage.over()
            case ThrottledError():
                lane.refused(start, retry_after_s=self._bounded(fault.retry_after_s))
        if fault.money is Money.UNKNOWN:
            self._outage.lost(fault)
            first, errand.resent = not errand.resent, True
            errand.tried += 1
            return first and self._terms.resends
        again = self._patient(fault, errand) and fault.retryable and self._affordable(fault, errand, lane)
        if not again and fault.passing:
            self._outage.exhausted(fault, answers_before=errand.answers_before)
        return again

    def _patient(self, fault: ProviderError, errand: _Errand) -> bool:
        """Count one more refusal of a job; whether it has time or attempts left."""
        if isinstance(fault, ThrottledError):
            now = self._clock.monotonic()
            errand.throttled_at = now if errand.throttled_at is None else errand.throttled_at
            return now - errand.throttled_at < self._terms.max_throttle_s
        errand.tried += 1
        return errand.tried < MAX_ATTEMPTS

    def _affordable(self, fault: ProviderError, errand: _Errand, lane: Lane) -> bool:
        """Take a retry out of the quota. Without one, a job gives up, and a lane that is refused only slows down."""
        throttled = isinstance(fault, ThrottledError)
        cost = THROTTLED_COST if throttled else PASSING_COST
        paid = self._quota.take(cost)
        errand.retry_cost = cost if paid else 0
        if throttled and not paid:
            lane.pause(LONGEST_BACK_OFF_S)
        return paid or throttled

    def _bounded(self, asked_s: float | None) -> float | None:
        """The wait a provider asks for, no longer than a job may wait on it."""
        return None if asked_s is None else min(asked_s, self._terms.max_throttle_s)

    def _refuse_model(self, model: str, fault: ProviderError) -> None:
        if model not in self._refused_models:
            self._refused_models.add(model)
            self.notes.append(f"the provider does not serve {model} ({fault}); its other jobs were left as they were")
