"""The only module that knows the order of a delivery: fetch, prove, keep, record, and only then let go of the part."""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

from pipeline.clock import Clock
from pipeline.deliver.backlog import Backlog, Flight
from pipeline.deliver.disk import Disk
from pipeline.deliver.fetch import Fetcher, Transport
from pipeline.deliver.keeper import Keeper, Kept
from pipeline.deliver.limits import Limits
from pipeline.deliver.proof import UnprovenError
from pipeline.deliver.purchase import INLINE, DeliveryEvent, EventKind, Outcome, Purchase, Record, StoredPicture
from pipeline.deliver.pursuit import Missed, Pursuer
from pipeline.deliver.rest import Alone, Draw, Worker
from pipeline.deliver.resume import Body
from pipeline.deliver.stores import FolderStore, Store
from pipeline.deliver.trouble import trouble
from pipeline.deliver.window import Window
from pipeline.errors import FluxbatchError, ProviderUnavailableError


class Courier:
    """Settles purchases: each ends stored, lost or spoiled in the record, or is left as bought.

    The order is what makes a crash harmless. The part is synced before it has its final name, the name is durable
    before it is recorded, and the part goes only when it is. So at any moment a part that proves is the evidence of a
    paid picture, and ``deliver`` looks for it before it asks the network for anything.
    """

    def __init__(
        self,
        *,
        output: Path,
        transport: Transport,
        record: Record,
        clock: Clock,
        backlog: Backlog,
        on_trouble: Callable[[FluxbatchError], None],
        on_event: Callable[[DeliveryEvent], None] | None = None,
        limits: Limits | None = None,
        disk: Disk | None = None,
        draw: Draw = random.uniform,
        store: Store | None = None,
    ) -> None:
        """Take what deliveries need.

        Args:
            output: The output folder, made by ``prepare_output``.
            transport: The network.
            record: Where outcomes are made durable.
            clock: Where time is read and waited.
            backlog: Told of each delivery's beginning and end.
            on_trouble: Told of what should stop the run from buying; deliveries go on.
            on_event: Told of progress.
            limits: The numbers; the usual ones when None.
            disk: The file system; the machine's when None.
            draw: Where the back-off's jitter comes from.
            store: Where pictures are kept; the output folder when None.
        """
        limits, disk = limits or Limits(), disk or Disk()
        self._output = output
        self._record = record
        self._clock = clock
        self._backlog = backlog
        self._on_trouble = on_trouble
        self._on_event = on_event
        self._limits = limits
        self._goods = store or FolderStore(output)
        self._keeper = Keeper(self._goods.shelf(output, disk))
        fetcher = Fetcher(transport=transport, disk=disk, clock=clock, limits=limits)
        self._pursuer = Pursuer(fetcher=fetcher, keeper=self._keeper, clock=clock, limits=limits, draw=draw)
        self._losses = 0

    async def deliver(self, purchase: Purchase, *, worker: Worker | None = None) -> Outcome:
        """Settle one purchase.

        Trouble of this machine is reported through ``on_trouble`` and leaves the purchase as bought. Cancelled, it
        leaves nothing but perhaps the part.

        Args:
            purchase: What was bought; the backlog holds a place for it, which is given back.
            worker: Who is at work on it; one that nobody else wants when None.
        """
        flight, outcome = self._backlog.started(early=not self._goods.afar), Outcome.LEFT
        self._tell(EventKind.STARTED, purchase)
        try:
            outcome = await self._settle(purchase, _Hand(flight, worker or Alone()))
        except FluxbatchError as error:
            self._leave(purchase, error)
        except OSError as error:
            self._leave(purchase, trouble(error, self._output / purchase.path))
        finally:
            self._backlog.finished(flight, measured=outcome is not Outcome.LEFT)
        return outcome

    async def _settle(self, purchase: Purchase, hand: "_Hand") -> Outcome:
        on_half = partial(self._tell, EventKind.HALF_WINDOW, purchase, "half of the URL's life has passed")
        window = Window.of(purchase, limits=self._limits, clock=self._clock, on_half=on_half)
        part, found = await self._keeper.part(purchase)
        end = await self._obtain(purchase, part, window, hand, found=found)
        if isinstance(end, Missed):
            return await self._miss(purchase, part, end, ample=window.ample)
        if self._goods.afar:
            hand.leave()  # others may be fetched meanwhile: their URLs die, and this one's does no more harm
        return await self._store(purchase, part, end)

    async def _obtain(
        self, purchase: Purchase, part: Path, window: Window, hand: "_Hand", *, found: bool
    ) -> Kept | Missed:
        if purchase.url == INLINE:
            return await self._unpack(purchase, part)
        window.tick()
        kept = await self._keeper.keep_leftover(part, purchase) if found else None
        if kept is not None:
            return kept

        def on_retry(why: str) -> None:
            window.tick()
            self._tell(EventKind.RETRY, purchase, why)

        def noted(received: int, total: int | None) -> None:
            window.tick()
            hand.noted(received, total)

        body = Body(part=part, noted=noted)
        return await self._pursuer.pursue(purchase, body, window, worker=hand, on_retry=on_retry)

    async def _unpack(self, purchase: Purchase, part: Path) -> Kept | Missed:
        try:
            kept = await self._keeper.keep_inline(part, purchase)
        except UnprovenError as exc:
            return Missed(outcome=Outcome.SPOILED, kind=exc.kind, message=exc.message)
        missing = Missed(outcome=Outcome.LOST, kind="part_missing", message=f"{part.name} is not there any more")
        return kept or missing

    async def _store(self, purchase: Purchase, part: Path, kept: Kept) -> Outcome:
        proof = kept.proof
        picture = StoredPicture(
            path=await self._goods.keep(part, purchase, kept),
            sha256=proof.sha256,
            size_bytes=proof.size_bytes,
            width=proof.width,
            height=proof.height,
            format=proof.format,
            verdict=proof.verdict,
            stored_at=self._clock.wall(),
            url_age_s=purchase.age_s(self._clock),
        )
        await self._record.stored(purchase, picture)
        self._losses = 0
        with suppress(OSError):  # the picture is recorded; a second name of it costs nothing
            await self._keeper.discard(part)
        self._tell(EventKind.STORED, purchase, picture.path)
        return Outcome.STORED

    async def _miss(self, purchase: Purchase, part: Path, missed: Missed, *, ample: bool) -> Outcome:
        with suppress(OSError):  # what is left of it proves nothing
            await self._keeper.discard(part)
        said = f"{missed.kind}: {missed.message}"
        if missed.outcome is Outcome.LOST:
            await self._record.lost(purchase, missed.kind, missed.message)
            self._tell(EventKind.LOST, purchase, said)
        else:
            await self._record.spoiled(purchase, missed.kind, missed.message)
            self._tell(EventKind.SPOILED, purchase, said)
        self._losses += ample
        if self._losses >= self._limits.losses_in_a_row:
            message = f"the last {self._losses} paid pictures could not be kept; the newest: {said}"
            self._on_trouble(ProviderUnavailableError(message, remedy="find out why downloads fail before buying more"))
        return missed.outcome

    def _leave(self, purchase: Purchase, error: FluxbatchError) -> None:
        self._on_trouble(error)
        self._tell(EventKind.LEFT, purchase, str(error))

    def _tell(self, kind: EventKind, purchase: Purchase, message: str = "") -> None:
        if self._on_event is not None:
            age_s = purchase.age_s(self._clock)
            self._on_event(DeliveryEvent(kind=kind, purchase=purchase, age_s=age_s, message=message))


class _Hand:
    """A delivery at work, as those see it who count: the backlog and whoever lends workers."""

    def __init__(self, flight: Flight, worker: Worker) -> None:
        self._flight = flight
        self._worker = worker
        self._received = 0

    def noted(self, received: int, total: int | None) -> None:
        """So much of the picture is here; less than before where it begins anew."""
        self._flight.progress(received, total)
        self.came(received - self._received if received > self._received else received)
        self._received = received

    def came(self, size_bytes: int) -> None:
        self._worker.came(size_bytes)

    def leave(self) -> None:
        self._worker.leave()

    @asynccontextmanager
    async def rest(self, setback: str) -> AsyncIterator[None]:
        with self._flight.idle():
            async with self._worker.rest(setback):
                yield
