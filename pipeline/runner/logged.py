"""A ledger's producing side that also tells a log what became of each request, once it is durable."""

from typing import Any

from pipeline.ledger import CapReached, HeldForPerson, InOtherHands, Reservation, Run
from pipeline.money import format_usd
from pipeline.produce.partners import Book
from pipeline.report.events import EventName, Log


class LoggedBook:
    """Passes everything on to the book it is around."""

    def __init__(self, book: Book, log: Log) -> None:
        """Take both."""
        self._book = book
        self._log = log
        self._asked: dict[int, tuple[str, str]] = {}  # key and provider of the requests under way

    async def reserve(
        self, run: Run, *, placement: int, key: str, price_microusd: int, provider: str
    ) -> Reservation | CapReached | InOtherHands | HeldForPerson | None:
        """A."""
        reserved = await self._book.reserve(
            run, placement=placement, key=key, price_microusd=price_microusd, provider=provider
        )
        if isinstance(reserved, Reservation):
            self._asked[reserved.attempt] = key, provider
        return reserved

    async def submit(self, reservation: Reservation, *, task: str, polling_url: str, submitted_at: float) -> None:
        """K."""
        await self._book.submit(reservation, task=task, polling_url=polling_url, submitted_at=submitted_at)

    async def answer(
        self, reservation: Reservation, *, url: str, bought_at: float, deadline: float | None, request_id: str
    ) -> None:
        """B."""
        await self._book.answer(reservation, url=url, bought_at=bought_at, deadline=deadline, request_id=request_id)
        self._tell(EventName.PICTURE_BOUGHT, reservation, request_id=request_id)

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
        """E."""
        await self._book.release(
            reservation,
            kind=kind,
            message=message,
            request_id=request_id,
            body=body,
            final=final,
            passing=passing,
            counted=counted,
        )
        facts = {"kind": kind, "message": message, "request_id": request_id, "final": final, "passing": passing}
        self._tell(EventName.REQUEST_REFUSED, reservation, **facts)

    async def lose_answer(
        self, reservation: Reservation, *, kind: str, message: str, request_id: str = "", body: str = ""
    ) -> None:
        """D."""
        await self._book.lose_answer(reservation, kind=kind, message=message, request_id=request_id, body=body)
        self._tell(EventName.ANSWER_LOST, reservation, kind=kind, message=message, request_id=request_id)

    def _tell(self, event: EventName, reservation: Reservation, **facts: Any) -> None:
        key, provider = self._asked.pop(reservation.attempt, ("", ""))
        price = format_usd(reservation.price_microusd)
        self._log(
            event, {"key": key, "provider": provider, "attempt": reservation.attempt, "price_usd": price, **facts}
        )
