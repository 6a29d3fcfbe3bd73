"""What a run looks like at one moment: the numbers a progress display shows."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A run, now.

    Attributes:
        total: Rows of the manifest, or None while a rows file is still being read.
        seen: Rows held against the ledger so far.
        to_buy: Of those, the ones that were to be bought.
        in_flight: Requests under way.
        queued: Pictures bought and not yet stored.
        budget_left_microusd: What the manifest's own budget still allows, or None without one.
        waiting: Why less happens than could, in words; None when nothing holds it up.
        stopping: Buying has stopped; what is paid is still fetched.
        received_bytes: Of pictures, over all tries.
    """

    elapsed_s: float
    total: int | None
    seen: int
    to_buy: int
    bought: int
    stored: int
    failed: int
    unknown: int
    in_flight: int
    queued: int
    spent_microusd: int
    budget_microusd: int | None
    waiting: str | None
    stopping: bool
    received_bytes: int = 0

    @property
    def settled(self) -> int:
        """Orders that need nothing more."""
        return self.stored + self.failed + self.unknown

    @property
    def left_s(self) -> float | None:
        """Seconds to go at the pace so far; None before the first picture, or while the manifest is being read."""
        if self.total is None or self.settled == 0 or self.stopping:
            return None
        kept = self.seen - self.to_buy
        left = self.total - kept - self.settled
        return self.elapsed_s / self.settled * max(0, left)
