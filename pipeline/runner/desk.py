"""Where buying, fetching and the ledger meet: each side's seam, filled with the others."""

from pathlib import Path
from typing import Any

from pipeline.deliver import (
    INLINE,
    Backlog,
    Caption,
    DeliveryEvent,
    DeliveryQueue,
    EventKind,
    Purchase,
    Room,
    StoredPicture,
    keep_inline,
)
from pipeline.job import Job
from pipeline.ledger import LedgerWriter, Picture, Reservation, Run
from pipeline.provider import Answer
from pipeline.report.events import EventName, Notice
from pipeline.runner.options import RunOptions
from pipeline.runner.places import Places


async def secure(output: Path, key: str, path: str, image: bytes) -> str:
    """Make the bytes of an inline answer durable; what is recorded in a URL's stead."""
    await keep_inline(output, key, path, image)
    return INLINE


class Desk:
    """The producer's way to the download side: asks for leave, hands over what is bought."""

    def __init__(
        self, *, output: Path, backlog: Backlog, queue: DeliveryQueue, captions: bool = False, parts: int = 1
    ) -> None:
        """Say where to.

        Args:
            parts: The processes that buy for this run: each has about as much on order.
        """
        self._output = output
        self._parts = parts
        self._captions = captions
        self._room = Room(output)
        self._backlog = backlog
        self._queue = queue

    async def admit(self) -> None:
        """Wait until one more picture can be fetched in time, and see that there is room for it."""
        self._room.require(self._backlog.outstanding * self._parts)
        await self._backlog.admit()

    def release(self) -> None:
        """Nothing was bought."""
        self._backlog.release()

    async def secure(self, job: Job, image: bytes) -> str:
        """Make the bytes of an inline answer durable before they are recorded as bought."""
        return await secure(self._output, job.key, job.path, image)

    async def take(self, job: Job, reservation: Reservation, answer: Answer, url: str) -> None:
        """Queue a bought picture for fetching."""
        self._backlog.bought()
        await self._queue.put(
            Purchase(
                job_key=job.key,
                attempt=reservation.attempt,
                url=url,
                bought_at=answer.answered_at,
                deadline=answer.deadline,
                answered=answer.answered,
                path=job.path,
                ratio=job.shape,
                caption=_caption(job) if self._captions else None,
            )
        )


def _caption(job: Job) -> Caption:
    request = job.request
    return Caption(prompt=request.prompt, model=request.model, seed=request.seed, key=job.key)


class Recorder:
    """The download side's way to the ledger."""

    def __init__(self, *, run: Run, ledger: LedgerWriter, places: Places) -> None:
        self._run = run
        self._ledger = ledger
        self._places = places

    async def stored(self, purchase: Purchase, picture: StoredPicture) -> None:
        """C."""
        facts = Picture(
            sha256=picture.sha256,
            size_bytes=picture.size_bytes,
            width=picture.width,
            height=picture.height,
            format=picture.format,
            verdict=picture.verdict,
            stored_at=picture.stored_at,
            url_age_s=picture.url_age_s,
        )
        path = self._places.recorded(picture.path)
        await self._ledger.store(self._run, attempt=purchase.attempt, path=path, picture=facts)

    async def lost(self, purchase: Purchase, kind: str, message: str) -> None:
        """G."""
        await self._ledger.lose(attempt=purchase.attempt, kind=kind, message=message)

    async def spoiled(self, purchase: Purchase, kind: str, message: str) -> None:
        """F."""
        await self._ledger.spoil(attempt=purchase.attempt, kind=kind, message=message)


class Ear:
    """Hears what happens to deliveries: counts what is stored, and passes on what people should know at once."""

    def __init__(self, options: RunOptions) -> None:
        self.stored = 0
        self._options = options

    def hear(self, event: DeliveryEvent) -> None:
        """Take one event of the courier's."""
        if event.kind is EventKind.STARTED:
            return
        purchase = event.purchase
        facts = {"key": purchase.job_key, "attempt": purchase.attempt, "path": purchase.path}
        facts |= {"url_age_s": round(event.age_s, 3)}
        match event.kind:
            case EventKind.STORED:
                self.stored += 1
                self._log(EventName.PICTURE_STORED, facts | {"path": event.message})
            case EventKind.HALF_WINDOW:
                told = f"warning: {purchase.path}: its URL is {event.age_s:.0f} s old, half of its life is over"
                self._options.notice(Notice.of(EventName.URL_AGEING, told, **facts))
            case EventKind.LOST | EventKind.SPOILED:
                name = EventName.PICTURE_LOST if event.kind is EventKind.LOST else EventName.PICTURE_SPOILED
                told = f"{purchase.path}: paid and {event.kind}: {event.message}"
                self._options.notice(Notice.of(name, told, **facts))
            case EventKind.RETRY:
                self._log(EventName.FETCH_RETRIED, facts | {"message": event.message})
            case EventKind.LEFT:
                self._log(EventName.FETCH_LEFT, facts | {"message": event.message})

    def _log(self, name: EventName, facts: dict[str, Any]) -> None:
        if self._options.log is not None:
            self._options.log(name, facts)
