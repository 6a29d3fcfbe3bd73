"""One run at work: the parts wired together, the one task group, the signals, and the count at the end."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import anyio
import anyio.to_thread

from pipeline.catalog import models
from pipeline.clock import Clock
from pipeline.deliver import Backlog, Courier, Crew, DeliveryQueue, FolderStore, Store, Transport, run_pool
from pipeline.errors import ExitCode, FluxbatchError
from pipeline.inputs import Finder
from pipeline.inputs.darkroom import Darkroom
from pipeline.ledger import LedgerWriter, Run
from pipeline.manifest import Manifest
from pipeline.produce import Cause, Halt, Lesson, Order, Planner, Producer, Seller, Terms
from pipeline.report import SHOWN_TROUBLES, Snapshot, Summary
from pipeline.runner.closing import End, summarize
from pipeline.runner.count import Count
from pipeline.runner.desk import Desk, Ear, Recorder
from pipeline.runner.equals import Equals
from pipeline.runner.experience import Experience
from pipeline.runner.logged import LoggedBook
from pipeline.runner.options import RunOptions
from pipeline.runner.part import Part
from pipeline.runner.places import places_of
from pipeline.runner.rescue import Rescue
from pipeline.runner.stop import Stop
from pipeline.runner.strangers import refuse_another_ledgers_pictures
from pipeline.runner.team import Team
from pipeline.wording import counted

#: Orders ready to be bought, and purchases ready to be fetched, beyond those in hand: enough to keep both sides busy.
ORDERS_AHEAD = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What a shift works with: opened, and closed, around it.

    Attributes:
        sellers: The providers, in the order they are asked.
        finder: What looks at input images when rows are read; None where no row has any.
        darkroom: What makes them ready to be sent.
        experiences: By provider: where what is learned of its limits is kept.
        store: Where pictures are kept; None: in the output folder.
        trouble: Why they cannot be kept there now: then nothing is bought, but what is paid is fetched.
        team: Makes the other processes that buy and fetch in this one's stead; None: this one does.
    """

    ledger: LedgerWriter
    run: Run
    sellers: tuple[Seller, ...]
    downloads: Transport
    clock: Clock
    finder: Finder | None = None
    darkroom: Darkroom | None = None
    experiences: Mapping[str, Experience] = field(default_factory=dict)
    team: Callable[[Halt], Team] | None = None
    store: Store | None = None
    trouble: FluxbatchError | None = None


class Shift:
    """Fetches what an earlier run left, buys what is missing, fetches it, and says what came of it."""

    def __init__(self, manifest: Manifest, options: RunOptions, tools: Tools) -> None:
        self._manifest = manifest
        self._options = options
        self._tools = tools
        self._places = places_of(manifest.store, output=options.output, ledger_folder=options.ledger_path.parent)
        self._store = tools.store or FolderStore(options.output)
        self._equals = Equals(ledger=tools.ledger, store=self._store, places=self._places)
        self._started = tools.clock.monotonic()
        self._total: int | None = None
        self._rescued = 0  # of an earlier run, and stored before the planner looked: it counts them as there
        self.halt = Halt(self._on_cause)
        self._team: Team | None = None
        self._ear = Ear(options)
        workers = options.downloads_of(manifest)
        self._backlog = Backlog(
            workers=workers, window_s=min(profile.window_s for profile in manifest.profiles), clock=tools.clock
        )
        self._crew = Crew(workers=workers, clock=tools.clock)
        self._queue = DeliveryQueue(ORDERS_AHEAD)
        self._courier = Courier(
            output=options.output,
            transport=tools.downloads,
            record=Recorder(run=tools.run, ledger=tools.ledger, places=self._places),
            clock=tools.clock,
            backlog=self._backlog,
            on_trouble=self._on_trouble,
            on_event=self._ear.hear,
            store=self._store,
        )
        self._producer = Producer(
            run=tools.run,
            terms=Terms(
                concurrency=options.concurrency_of(manifest),
                max_throttle_s=manifest.limits.max_throttle_s,
                first_byte_s={name: model.first_byte_s for name, model in models().items()},
                resends=options.caps_of(manifest).resend is not None,
            ),
            sellers=tools.sellers,
            book=tools.ledger if options.log is None else LoggedBook(tools.ledger, options.log),
            delivery=Desk(
                output=options.output,
                backlog=self._backlog,
                queue=self._queue,
                captions=manifest.embed_metadata,
                parts=options.part.of if options.part is not None else 1,
            ),
            halt=self.halt,
            clock=tools.clock,
            darkroom=tools.darkroom,
        )
        self._rescue = Rescue(
            run=tools.run,
            ledger=tools.ledger,
            sellers=tools.sellers,
            producer=self._producer,
            places=self._places,
            output=options.output,
            backlog=self._backlog,
            courier=self._courier,
            crew=self._crew,
            notice=options.notice,
            captions=manifest.embed_metadata,
        )
        self._planner = Planner(
            run=tools.run,
            policy=options.policy_of(manifest),
            register=tools.ledger,
            halt=self.halt,
            recorded=self._places.recorded,
        )

    async def work(self) -> Summary:
        """See the run through, and count.

        Raises:
            FluxbatchError: The ledger cannot even be read any more.
        """
        with anyio.CancelScope() as leave_at_once:
            async with anyio.create_task_group() as group:
                if self._options.stop is not None:
                    group.start_soon(self._obey, self._options.stop, leave_at_once)
                if self._options.watch is not None:
                    group.start_soon(self._options.watch, self.snapshot)
                group.start_soon(self._count)
                if self._tools.trouble is not None:
                    self._on_trouble(self._tools.trouble)
                try:
                    await self._rescue.fetch("an earlier run: fetched first")
                    await refuse_another_ledgers_pictures(
                        self._options.rows_of(self._manifest, self._tools.finder),
                        self._options,
                        ledger=self._tools.ledger,
                        run=self._tools.run,
                        places=self._places,
                        halt=self.halt,
                        store=self._store,
                    )
                    await self._buy()
                    await self._rescue_again()
                    await self._equals.place(self._tools.run)
                    if not self.count.finished and self._total is None:
                        await self._count()  # what is left, for the summary
                finally:
                    group.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            summary = await self._close()
        return summary  # noqa: RET504 - mypy takes a scope to swallow what happens in it

    def snapshot(self) -> Snapshot:
        """The run, now."""
        now = self.count
        return now.snapshot(
            elapsed_s=self._tools.clock.monotonic() - self._started,
            total=now.seen if self._total is None and now.finished else self._total,
            budget_microusd=self._options.budget_of(self._manifest),
            stopping=self.halt.called,
        )

    @property
    def count(self) -> Count:
        """How far this process is, with the others of its run that it has started."""
        producer, planner = self._producer, self._planner
        own = Count(
            seen=planner.seen,
            to_buy=planner.to_buy,
            bought=producer.bought,
            stored=self._ear.stored - self._rescued,
            failed=producer.failed,
            unknown=producer.unknown,
            in_flight=producer.in_flight,
            queued=max(0, self._backlog.outstanding - producer.in_flight),
            spent_microusd=producer.spent_microusd,
            received_bytes=self._backlog.received_bytes,
            waiting=producer.waiting or self._backlog.waiting,
            finished=planner.finished,
        )
        return own if self._team is None else own + self._team.count

    @property
    def notes(self) -> tuple[str, ...]:
        """What people should know of the buying besides."""
        of_others = () if self._team is None else self._team.notes
        return tuple(dict.fromkeys((*self._producer.notes, *of_others)))

    @property
    def causes(self) -> tuple[Cause, ...]:
        """Why jobs were left as they were although buying went on."""
        of_others = () if self._team is None else self._team.unserved
        return tuple(dict.fromkeys((*self._producer.causes, *of_others)))

    @property
    def learned(self) -> Mapping[str, Mapping[str, Lesson]]:
        """By provider and model: what was found of the limits."""
        return self._producer.lessons if self._team is None else self._team.lessons

    async def share(self, part: Part) -> None:
        """Do one part of a run that another process began and will end."""
        rate = self._tools.sellers[0].rate_per_minute
        if rate is not None:  # a turn each, so that what all start together is the rate, too
            with self.halt.interruptible():
                await self._tools.clock.sleep(part.number / part.of * 60 / rate)
        await self._buy()

    def _on_cause(self, cause: Cause) -> None:
        self._options.on_cause(cause)
        if self._team is not None:
            self._team.tell(cause)

    async def _obey(self, stop: Stop, leave_at_once: anyio.CancelScope) -> None:
        await stop.gently()
        self.halt.call(ExitCode.TEMPORARY, f"stopped by {stop.reason}")
        await stop.at_once()
        leave_at_once.cancel()

    async def _count(self) -> None:
        """Count the rows beside the buying, for the progress and for a run that is cut short."""
        with suppress(FluxbatchError):  # a rows file that has gone is the planner's to tell
            counted = await anyio.to_thread.run_sync(self._manifest.count, abandon_on_cancel=True)
            self._total = counted if self._options.limit is None else min(counted, self._options.limit)

    async def _rescue_again(self) -> None:
        """Take over what was left meanwhile, by other runs or by a process of this one."""
        if self._team is not None and self._team.fell:
            await self._rescue.fetch("a process of this run that ended early: fetched now", own=True)
        else:
            await self._rescue.fetch("a run that died meanwhile: fetched now")

    async def _buy(self) -> None:
        """Plan, buy and fetch, until all is settled."""
        self._rescued = self._ear.stored
        if self._tools.team is not None:
            self._team = self._tools.team(self.halt)
            await self._team.work()
            return
        async with anyio.create_task_group() as fetching:
            fetching.start_soon(partial(run_pool, self._queue, self._courier, crew=self._crew))
            send, receive = anyio.create_memory_object_stream[Order](ORDERS_AHEAD)
            async with anyio.create_task_group() as buying:
                rows = self._options.rows_of(self._manifest, self._tools.finder)
                buying.start_soon(self._planner.work, rows, send)
                for _ in range(self._options.concurrency_of(self._manifest)):
                    buying.start_soon(self._work, receive.clone())
                receive.close()
            self._queue.close()

    async def _work(self, orders: anyio.abc.ObjectReceiveStream[Order]) -> None:
        async with orders:
            await self._producer.work(orders)

    def _on_trouble(self, error: FluxbatchError) -> None:
        self.halt.call(error.exit_code, str(error))

    async def _close(self) -> Summary:
        """Hold as unknown what will not be answered, count everything, and end the run in the ledger."""
        ledger, run, count = self._tools.ledger, self._tools.run, self.count
        await ledger.abandon(run)
        tally = await ledger.tally(run)
        here = [left for left in await ledger.unfetched(run) if self._places.in_output(left.wanted) is not None]
        unseen = sum(left.batch == run.batch and left.seen_by != run.id for left in here)
        unread = 0 if count.finished else max(unseen, (self._total or 0) - count.seen)
        waiting = min(unseen, unread)
        end = End(
            tally=tally,
            troubles=tuple(await ledger.troubles(run, limit=SHOWN_TROUBLES + 1)),
            unread=unread - waiting,
            waiting=waiting,
            read_all=count.finished or self._total is not None,
            misplaced=tuple(self._equals.misplaced),
            leftovers=max(0, len(here) - tally.bought - waiting),
            causes=tuple(dict.fromkeys((*self.halt.causes, *self.causes))),
            notes=(*self.notes, *self._afar()),
            elapsed_s=self._tools.clock.monotonic() - self._started,
        )
        for name, lessons in self.learned.items():
            if (experience := self._tools.experiences.get(name)) is not None:
                await experience.keep(lessons)
        await ledger.end(run, exit_code=int(end.exit_code))
        return summarize(self._manifest, self._options, run, end)

    def _afar(self) -> list[str]:
        afar = self._rescue.elsewhere + self._equals.elsewhere
        if not afar:
            return []
        return [f"{counted(afar, 'picture')} of this ledger in another output folder: left alone"]
