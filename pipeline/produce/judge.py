"""What a refusal means for a run: whether its job is asked for again, here or elsewhere, and who is left out."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.clock import Clock
from pipeline.errors import ExitCode
from pipeline.inputs.darkroom import ReadyInput
from pipeline.job import PictureRequest
from pipeline.money import format_usd
from pipeline.produce.counters import Counter, Counters
from pipeline.produce.pace import LONGEST_BACK_OFF_S, PASSING_COST, THROTTLED_COST, Start
from pipeline.produce.partners import Order, Terms
from pipeline.provider import AccountRefusedError, ModelRefusedError, Money, ProviderError, RefusedError, ThrottledError

#: Requests a job may send to one provider before it fails; only what surely was not billed is sent again (AWS SDKs).
MAX_ATTEMPTS = 3


@dataclass(slots=True)
class Errand:
    """How far one order has come."""

    order: Order
    counter: Counter | None = None  # who is asked
    answers_before: int = 0
    tried: int = 0
    throttled_at: float | None = None
    resent: bool = False
    ready: Sequence[ReadyInput] = ()  # its input images, as they are sent
    retry_cost: int = 0  # what the request under way has taken of the quota for retries

    @property
    def request(self) -> PictureRequest:
        """What is asked."""
        return self.order.job.request

    def turn_to(self, counter: Counter) -> None:
        """Ask this provider from now on; with another one, attempts and waits begin anew."""
        if counter is not self.counter:
            self.counter, self.answers_before = counter, counter.outage.answers
            self.tried, self.throttled_at = 0, None


class Judge:
    """Draws the consequences of refusals."""

    def __init__(self, counters: Counters, terms: Terms, *, clock: Clock) -> None:
        self.notes: list[str] = []
        self._dearer: set[tuple[str, str]] = set()
        self._counters = counters
        self._terms = terms
        self._clock = clock

    def again(self, fault: ProviderError, errand: Errand, counter: Counter, start: Start) -> bool:
        """Draw a fault's consequences for the run; whether this job may be asked for again, here or elsewhere."""
        model = errand.request.model
        lane = counter.lane(model)
        match fault:
            case AccountRefusedError():
                counter.call(ExitCode.ACCOUNT, f"the provider refuses the account: {fault}")
            case ModelRefusedError():
                self._refuse_model(counter, model, fault)
            case RefusedError():
                counter.outage.over()
            case ThrottledError():
                lane.refused(start, retry_after_s=self.bounded(fault.retry_after_s))
        if fault.money is Money.PENDING:
            counter.outage.lost(fault)
            return False
        if fault.money is Money.UNKNOWN:
            counter.outage.lost(fault)
            first, errand.resent = not errand.resent, True
            errand.tried += 1
            return first and self._terms.resends
        again = self._patient(fault, errand) and fault.retryable and self._affordable(fault, errand, counter)
        if not again and fault.passing:
            counter.outage.exhausted(fault, answers_before=errand.answers_before)
        return again or self._elsewhere(fault, counter, model)

    def _elsewhere(self, fault: ProviderError, counter: Counter, model: str) -> bool:
        """Whether another provider serves in this one's stead; where none does, why its jobs are left is remembered."""
        if counter.serves(model) or self._counters.has(model):
            return not counter.serves(model)
        if isinstance(fault, AccountRefusedError):
            self._counters.leave(model)
        return False

    def _patient(self, fault: ProviderError, errand: Errand) -> bool:
        """Count one more refusal of a job; whether it has time or attempts left."""
        if isinstance(fault, ThrottledError):
            now = self._clock.monotonic()
            errand.throttled_at = now if errand.throttled_at is None else errand.throttled_at
            return now - errand.throttled_at < self._terms.max_throttle_s
        errand.tried += 1
        return errand.tried < MAX_ATTEMPTS

    def _affordable(self, fault: ProviderError, errand: Errand, counter: Counter) -> bool:
        """Take a retry out of the quota. Without one, a job gives up, and a lane that is refused only slows down."""
        throttled = isinstance(fault, ThrottledError)
        cost = THROTTLED_COST if throttled else PASSING_COST
        paid = counter.quota.take(cost)
        errand.retry_cost = cost if paid else 0
        if throttled and not paid:
            lane = counter.lane(errand.request.model)
            lane.pause(LONGEST_BACK_OFF_S)
        return paid or throttled

    def bounded(self, asked_s: float | None) -> float | None:
        """The wait a provider asks for, no longer than a job may wait on it."""
        return None if asked_s is None else min(asked_s, self._terms.max_throttle_s)

    def priced(self, name: str, model: str, cost_microusd: int | None, *, counted: int) -> None:
        """Take what a provider says that a picture costs: a budget that counts less is no wall, which is told once."""
        if cost_microusd is None or cost_microusd <= counted or (name, model) in self._dearer:
            return
        self._dearer.add((name, model))
        self.notes.append(
            f"{name} says that a picture of {model} costs ${format_usd(cost_microusd)}, and budgets count"
            f" ${format_usd(counted)}: state the most that one may come to, in prices"
        )

    def _refuse_model(self, counter: Counter, model: str, fault: ProviderError) -> None:
        if not counter.refuse(model):
            return
        if len(self._counters.all) == 1:
            rest, who = "its other jobs were left as they were", "the provider"
        else:
            rest = "the next was asked" if self._counters.has(model) else "its other jobs were left as they were"
            who = counter.seller.name
        self.notes.append(f"{who} does not serve {model} ({fault}); {rest}")
