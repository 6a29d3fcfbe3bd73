"""The account: the only module that charges, and the record of what was charged for what."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from pipeline.simulator.refusals import refusal_for

_MICRO_PER_USD = 1_000_000
#: Charges kept for looking at, so that memory stays bounded; the sums count all of them.
_KEPT_CHARGES = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """One picture that was charged.

    Attributes:
        time: When the picture was made, in seconds since 1970.
        microusd: Its price, in micro-dollars.
        request_id: What the answer carried as ``x-request-id``.
        delivered: Whether the answer was handed whole to a client that was still there.
    """

    time: float
    model: str
    prompt: str
    microusd: int
    request_id: str
    delivered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What happened up to now.

    Attributes:
        charges: The last 200,000, oldest first.
        charged_microusd: The sum of all charges.
        pictures: How many were charged.
        balance_microusd: What is left, or None when the account is endless.
        requests: Generations asked for, the refused ones included.
        throttled: Those refused for a limit of the settings.
        in_flight_peak: The most generations at one time.
        downloads: Pictures handed out whole.
    """

    charges: tuple[Charge, ...]
    charged_microusd: int
    pictures: int
    balance_microusd: int | None
    requests: int
    throttled: int
    in_flight_peak: int
    downloads: int

    @property
    def charged_usd(self) -> str:
        """The sum in dollars, exactly, with three decimals or as many as it needs."""
        dollars, fraction = divmod(self.charged_microusd, _MICRO_PER_USD)
        digits = f"{fraction:06d}"
        return f"{dollars}.{digits[: max(3, len(digits.rstrip('0')))]}"

    def to_json(self) -> dict[str, Any]:
        """The bill as JSON values."""
        return {
            "charged_microusd": self.charged_microusd,
            "charged_usd": self.charged_usd,
            "pictures": self.pictures,
            "balance_microusd": self.balance_microusd,
            "requests": self.requests,
            "throttled": self.throttled,
            "in_flight_peak": self.in_flight_peak,
            "downloads": self.downloads,
            "charges": [asdict(charge) for charge in self.charges],
        }


class Account:
    """One account's money; charges are kept in the order made."""

    def __init__(
        self, balance_microusd: int | None, *, wall: Callable[[], float], kept_charges: int = _KEPT_CHARGES
    ) -> None:
        self._opening = balance_microusd
        self._wall = wall
        self._kept_charges = kept_charges
        self._charges: dict[str, Charge] = {}
        self.charged_microusd = 0
        self.pictures = 0

    @property
    def charges(self) -> tuple[Charge, ...]:
        """Those still kept, oldest first."""
        return tuple(self._charges.values())

    @property
    def balance_microusd(self) -> int | None:
        """What is left, or None when it is endless."""
        return None if self._opening is None else self._opening - self.charged_microusd

    def require(self, microusd: int) -> None:
        """Refuse what the balance does not cover.

        Raises:
            RefusalError: It does not.
        """
        left = self.balance_microusd
        if left is not None and left < microusd:
            raise refusal_for("no_balance")

    def charge(self, *, model: str, prompt: str, microusd: int, request_id: str) -> Charge:
        """Take the price of a picture.

        Raises:
            RefusalError: The balance does not cover it.
        """
        self.require(microusd)
        charge = Charge(time=self._wall(), model=model, prompt=prompt, microusd=microusd, request_id=request_id)
        self.charged_microusd += microusd
        self.pictures += 1
        self._charges[request_id] = charge
        if len(self._charges) > self._kept_charges:
            del self._charges[next(iter(self._charges))]
        return charge

    def mark_delivered(self, request_id: str) -> None:
        """Note that the answer to a charged request was handed over whole."""
        charge = self._charges.get(request_id)
        if charge is not None:
            self._charges[request_id] = replace(charge, delivered=True)
