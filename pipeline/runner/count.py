"""How far the buying and fetching of a run is, in numbers that add up over its processes."""

from dataclasses import asdict, dataclass, replace
from typing import Self

from pipeline.report import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """So many of each, so far; what the names mean is told at ``Snapshot``.

    Attributes:
        finished: Whether every row has been seen.
    """

    seen: int = 0
    to_buy: int = 0
    bought: int = 0
    stored: int = 0
    failed: int = 0
    unknown: int = 0
    in_flight: int = 0
    queued: int = 0
    spent_microusd: int = 0
    received_bytes: int = 0
    waiting: str | None = None
    finished: bool = False

    def __add__(self, other: Self) -> Self:
        """Both together; they wait for what the first that waits is waiting for."""
        return type(self)(
            seen=self.seen + other.seen,
            to_buy=self.to_buy + other.to_buy,
            bought=self.bought + other.bought,
            stored=self.stored + other.stored,
            failed=self.failed + other.failed,
            unknown=self.unknown + other.unknown,
            in_flight=self.in_flight + other.in_flight,
            queued=self.queued + other.queued,
            spent_microusd=self.spent_microusd + other.spent_microusd,
            received_bytes=self.received_bytes + other.received_bytes,
            waiting=self.waiting or other.waiting,
            finished=self.finished or other.finished,
        )

    def finishing(self, *, finished: bool) -> Self:
        """The same, with every row seen or not."""
        return replace(self, finished=finished)

    def snapshot(self, *, elapsed_s: float, total: int | None, budget_microusd: int | None, stopping: bool) -> Snapshot:
        """The same, as it is shown."""
        counts = asdict(self)
        counts.pop("finished")
        return Snapshot(elapsed_s=elapsed_s, total=total, budget_microusd=budget_microusd, stopping=stopping, **counts)
