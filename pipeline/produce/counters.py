"""The providers of a run in their order: each with its pace, its circuit breaker, and the models it refused."""

from collections.abc import Callable, Sequence

from pipeline.clock import Clock
from pipeline.errors import ExitCode
from pipeline.produce.halt import Cause, Halt
from pipeline.produce.outage import Outage
from pipeline.produce.pace import Lane, Lanes, RetryQuota
from pipeline.produce.partners import Seller, Terms


class Counter:
    """One provider, as a run meets it. Once its breaker is open it is not asked again in this run.

    Attributes:
        cause: Why its breaker is open; None while it is not.
    """

    def __init__(self, seller: Seller, terms: Terms, *, clock: Clock, jitter: Callable[[], float]) -> None:
        self.seller = seller
        self.cause: Cause | None = None
        self.lanes = Lanes(
            ceiling=terms.concurrency,
            clock=clock,
            jitter=jitter,
            rate_per_minute=seller.rate_per_minute,
            lessons=seller.lessons,
        )
        self.quota = RetryQuota()
        self.outage = Outage(self)
        self._refused: set[str] = set()
        self._on_open: Callable[[Counter], None] = lambda _: None

    def watched(self, on_open: Callable[["Counter"], None]) -> None:
        """Say who is told when the breaker opens."""
        self._on_open = on_open

    def offers(self, model: str) -> bool:
        """Whether it has the model, open or not."""
        return model in self.seller.prices_microusd and model not in self._refused

    def serves(self, model: str) -> bool:
        """Whether a picture of that model can be asked for here now."""
        return self.cause is None and self.offers(model)

    def lane(self, model: str) -> Lane:
        """Where requests for the model wait."""
        return self.lanes.of(model)

    def refuse(self, model: str) -> bool:
        """It does not have the model after all; whether that is new."""
        new = model not in self._refused
        self._refused.add(model)
        return new

    def call(self, code: ExitCode, message: str) -> None:
        """Open the breaker, once."""
        if self.cause is None:
            self.cause = Cause(code=code, message=message)
            self._on_open(self)


class Counters:
    """All of them: the first that can serves. When none is left, buying stops, with every one's cause."""

    def __init__(
        self, sellers: Sequence[Seller], terms: Terms, *, halt: Halt, clock: Clock, jitter: Callable[[], float]
    ) -> None:
        self.all = [Counter(seller, terms, clock=clock, jitter=jitter) for seller in sellers]
        self.notes: list[str] = []
        self._halt = halt
        self._unserved: list[Cause] = []
        for counter in self.all:
            counter.watched(self._opened)

    @property
    def causes(self) -> tuple[Cause, ...]:
        """Why jobs were left as they were although buying went on."""
        return tuple(self._unserved)

    @property
    def waiting(self) -> str | None:
        """What holds requests up, in words; None where no provider's limit does."""
        said = [(counter, told) for counter in self.all if (told := counter.lanes.waiting) is not None]
        if not said:
            return None
        counter, told = said[0]
        return told if len(self.all) == 1 else f"{counter.seller.name}: {told}"

    def serving(self, model: str) -> Counter | None:
        """Whom to ask for a picture of that model; None where nobody can be asked, which is remembered."""
        for counter in self.all:
            if counter.serves(model):
                return counter
        self.leave(model)
        return None

    def leave(self, model: str) -> None:
        """Remember why a picture of that model is left unbought: who has it, and is not asked any more."""
        for counter in self.all:
            if counter.offers(model) and counter.cause is not None and counter.cause not in self._unserved:
                self._unserved.append(counter.cause)

    def has(self, model: str) -> bool:
        """Whether anybody serves that model."""
        return any(counter.serves(model) for counter in self.all)

    def named(self, name: str) -> Counter | None:
        """The provider of that name, if it is one of these."""
        return next((counter for counter in self.all if counter.seller.name == name), None)

    def _opened(self, counter: Counter) -> None:
        assert counter.cause is not None, "its breaker is open"  # noqa: S101
        if any(other.cause is None for other in self.all):
            name, message = counter.seller.name, counter.cause.message
            self.notes.append(f"{name} was left out for the rest of this run: {message}")
            return
        for each in self.all:
            if each.cause is not None:
                self._halt.call(each.cause.code, each.cause.message)
