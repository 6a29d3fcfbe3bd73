"""One worker of a fleet: takes shards, runs the ordinary pipeline on each, and outlives what is only passing."""

import asyncio
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import anyio
import anyio.to_thread

from pipeline.errors import ConfigurationError, ExitCode, FluxbatchError, LedgerBusyError, one_of_several
from pipeline.fleet.engine import STALE_S, Engine, hush
from pipeline.fleet.excerpt import Settings, Work
from pipeline.fleet.handing import NOTHING_S, NOTHING_SENT_S, Patience
from pipeline.fleet.hands import Hands
from pipeline.fleet.outage import Outage, time_told
from pipeline.fleet.rest import Rest
from pipeline.fleet.verdict import FATAL, FAULT_S, verdict_of
from pipeline.ledger import Server, Share
from pipeline.ledger.postgres import lives
from pipeline.ledger.postgres.board import Board, Shard
from pipeline.report import Snapshot, Summary
from pipeline.report.events import EventName, Notice
from pipeline.runner import RunOptions, Stop, run_async

#: Seconds between two looks at what is left, who is silent, and what is not queued.
SWEEP_S = 2.0
#: Seconds between two times that a worker says what it does.
TELL_S = 1.0
#: Seconds that the database may be away before a worker that is to end some day ends: several restarts.
OUTAGE_S = 900.0
#: Runs of one shard that may break before it is given up: a bug, or rows that nobody foresaw.
MAX_FAULTS = 5
#: Seconds until a shard is begun again that somebody else is at.
BUSY_S = 5.0
#: Seconds in which the engine answers, or is asked again; and in which it lets go of a worker that leaves.
_ANSWER_S, _LEAVE_S = 30.0, 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """How a worker works.

    Attributes:
        concurrency: The most requests in flight, over all its shards; each manifest's own ceiling, for each shard, when
            None.
        shards: How many are done at once.
        until_done: End once no shard is left, instead of waiting for more.
        outage_s: With ``until_done``: end when the database was away for so long.
    """

    concurrency: int | None = None
    shards: int = 1
    until_done: bool = False
    outage_s: float = OUTAGE_S


@dataclass(slots=True)
class _Done:
    """What a worker has done so far."""

    shards: int = 0
    stored: int = 0
    spent_microusd: int = 0


@dataclass(slots=True)
class Worker:
    """Takes shards until it is asked to stop.

    Attributes:
        server: The ledger's.
        run_options: What every run of a shard is told: where pictures go, the environment, who hears of it.
        stop: Asked to end: what is in hand is stopped gently first.
    """

    server: Server
    run_options: RunOptions
    options: WorkerOptions
    stop: Stop
    done: _Done = field(default_factory=_Done)
    _code: ExitCode = ExitCode.OK
    _id: str = field(default_factory=lambda: secrets.token_hex(16))
    _hands: Hands = field(default_factory=Hands)
    _over: anyio.Event = field(default_factory=anyio.Event)
    _rest: Rest = field(default_factory=Rest)
    _outage: Outage = field(default_factory=Outage)
    #: Set when no more shards are to be taken for now: a rest, or the end.
    _pause: asyncio.Event = field(default_factory=asyncio.Event)
    _board: Board = field(init=False)

    async def work(self) -> ExitCode:
        """Work until the end; the exit code.

        Raises:
            ConfigurationError, StorageError, LedgerCorruptError, OutputError: The ledger cannot be used to begin with.
        """
        hush()
        self._board = await anyio.to_thread.run_sync(Board, self.server)
        self._say(f"working for {self.server}; pictures go to {self.server.folder} (Ctrl-C ends it)")
        try:
            with one_of_several():
                async with Engine(self.server, self._do) as engine, anyio.create_task_group() as group:
                    serving = asyncio.create_task(self._serve(engine))
                    group.start_soon(self._sweep, engine)
                    group.start_soon(self._tell)
                    group.start_soon(self._obey)
                    await self._over.wait()
                    await self._hands.empty()  # what is in hand is seen through
                    await asyncio.wait({serving}, timeout=_LEAVE_S)  # the engine waits long for a database that is away
                    serving.cancel()
                    group.cancel_scope.cancel()
                with suppress(FluxbatchError):
                    await self._ask(self._board.leave, self._id)
        finally:
            self._board.close()
        return self._code

    def _end(self, code: ExitCode) -> None:
        if not self._over.is_set():
            self._code = code
            self._over.set()
            self._pause.set()

    async def _obey(self) -> None:
        await self.stop.gently()
        self._end(ExitCode.OK)

    async def _serve(self, engine: Engine) -> None:
        """Take shards until the end; what is in the way is waited out without one."""
        while not self._over.is_set():
            await self._take(engine)
            with anyio.move_on_after(self._rest.left_s(anyio.current_time()) or SWEEP_S):
                await self._over.wait()

    async def _take(self, engine: Engine) -> None:
        """Take shards until a rest or the end is due; the engine may give up over an outage before."""
        self._pause = asyncio.Event()
        serving = asyncio.create_task(engine.serve(name=lives.signature("fleet worker"), shards=self.options.shards))
        pausing = asyncio.create_task(self._pause.wait())
        try:
            await asyncio.wait({serving, pausing}, return_when=asyncio.FIRST_COMPLETED)
            serving.cancel()  # once: the engine sees the shards in hand through, and then ends
            with suppress(asyncio.CancelledError):
                await serving
        except Exception as error:  # noqa: BLE001 - whatever it is, shards are waiting
            self._say(f"the queue stopped: {error}; trying again")
        finally:
            pausing.cancel()

    async def _sweep(self, engine: Engine) -> None:
        """See that every shard is queued, and that none stays with the dead; nothing ends this."""
        silent_until = 0.0
        while True:
            try:
                anything_left = await self._ask(self._board.is_anything_left)
                with anyio.fail_after(_ANSWER_S):
                    if anyio.current_time() >= silent_until:
                        await engine.revive()
                    await engine.fill()
            except Exception as error:  # noqa: BLE001 - an outage, or a bug: either way it is tried again
                # Nobody could be heard of meanwhile: that they were silent says nothing.
                silent_until = anyio.current_time() + 2 * STALE_S
                self._miss(error)
            else:
                self._say(self._outage.over(now=anyio.current_time()))
                if self.options.until_done and not anything_left:
                    self._end(ExitCode.OK)
            await anyio.sleep(SWEEP_S)

    def _miss(self, error: Exception) -> None:
        """The database gave no answer: go on, or see that there is no end to it."""
        now = anyio.current_time()
        self._say(self._outage.lasts(str(error) or type(error).__name__, now=now))
        if self.options.until_done and self._outage.lasted_s(now) >= self.options.outage_s:
            away = time_told(self._outage.lasted_s(now))
            self._say(f"leaving: the database has been away for {away}; what is left is for the next worker")
            self._end(ExitCode.STORAGE)

    async def _tell(self) -> None:
        """Say on the board what this worker does."""
        while True:
            with suppress(FluxbatchError):
                await self._ask(self._board.tell, self._id, lives.signature("fleet worker"), self._told())
            await anyio.sleep(TELL_S)

    def _told(self) -> Mapping[str, Any]:
        left_s = self._rest.left_s(anyio.current_time())
        return {
            "shards": self._hands.told(),
            "done": self.done.shards,
            "stored": self.done.stored,
            "rests": {"for_s": round(left_s, 1), "why": self._rest.why} if left_s else None,
            "ending": self._over.is_set(),
        }

    async def _do(self, number: int) -> None:
        """Do one shard, as the engine hands it out: perhaps one that somebody else is at, or has done."""
        if self._over.is_set() or self._rest.is_on(anyio.current_time()):
            return  # a sweep will find it, for whoever takes shards then
        with self._hands.at(number):
            await self._do_now(number)

    async def _do_now(self, number: int) -> None:
        shard = await self._ask(self._board.shard, number)
        if shard is None:
            return
        settings = Settings.model_validate_json(shard.settings)
        name = f"{settings.name} #{shard.number}"
        try:
            summary = await self._run(shard, settings, name)
        except LedgerBusyError as error:
            await self._put_off(shard, name, error, again_s=BUSY_S, fault=False)
        except FluxbatchError as error:
            await self._put_off(shard, name, error, again_s=FAULT_S, fault=error.exit_code is ExitCode.BUG)
            if isinstance(error, ConfigurationError) or error.exit_code in FATAL:
                self._end(error.exit_code)
        except Exception as error:  # noqa: BLE001 - a bug must not end what other shards can do
            await self._put_off(shard, name, error, again_s=FAULT_S, fault=True)
        else:
            await self._close(name, summary)

    async def _run(self, shard: Shard, settings: Settings, name: str) -> Summary:
        work = Work.model_validate_json(shard.work)
        ceiling, stop = self.options.concurrency, Stop()
        patience = Patience(NOTHING_S if settings.store is None else NOTHING_SENT_S)
        options = replace(
            self.run_options,
            output=self.server.folder / settings.output,
            ledger=self.server,
            share=Share(shard=shard.id),
            policy=work.policy,
            concurrency=None if ceiling is None else max(1, ceiling // self.options.shards),
            stop=stop,
            watch=partial(self._watch, shard.id, name, stop, patience),
        )
        self._say(f"{name}: {len(work.jobs):,} jobs", quietly=True)
        passing_on = asyncio.create_task(self._pass_on(stop))
        try:
            return await run_async(settings.excerpt(work.jobs), options)
        finally:
            passing_on.cancel()

    async def _pass_on(self, stop: Stop) -> None:
        """A worker that is asked to end asks its runs."""
        await self.stop.gently()
        stop.ask(self.stop.reason)
        await self.stop.at_once()
        stop.ask(self.stop.reason)

    async def _watch(
        self, shard: int, name: str, stop: Stop, patience: Patience, snapshot: Callable[[], Snapshot]
    ) -> None:
        """Let others see how far a run is, and have what it waits for in vain."""
        self._hands.watch(shard, name, snapshot)
        while not patience.is_over(  # noqa: ASYNC110 - time alone may end it
            snapshot(), now=anyio.current_time(), away=self._outage.since is not None
        ):
            await anyio.sleep(TELL_S)
        self._say(f"{name}: nothing comes of {snapshot().queued:,} paid for: left to others")
        for _ in ("gently", "at once"):
            stop.ask("its worker: pictures do not come here")

    async def _close(self, name: str, summary: Summary) -> None:
        self.done.shards += 1
        self.done.stored += summary.stored
        self.done.spent_microusd += summary.spend_microusd
        self._say(f"{name}: {summary.stored:,} stored, {_rest(summary)}{summary.elapsed_s:.0f} s")
        if self._rest.after(summary, now=anyio.current_time()):
            self._pause.set()
            self._say(f"resting for {self._rest.left_s(anyio.current_time()):.0f} s: {self._rest.why}")
        on_order = await self._ask(self._board.on_order, summary.run_id) if ExitCode.BUDGET in summary.causes else 0
        verdict = verdict_of(summary, on_order_microusd=on_order)
        close = partial(
            self._board.close_shard,
            again_s=verdict.again_s,
            leaves=verdict.leaves,
            fault=verdict.fault,
            why=verdict.why,
        )
        with suppress(FluxbatchError):  # then it is begun again, and found done
            await self._ask(close, summary.run_id)
        fatal = FATAL.intersection(summary.causes)
        if fatal:
            self._say(f"leaving: {verdict.why}")
            self._end(next(iter(fatal)))

    async def _put_off(self, shard: Shard, name: str, error: Exception, *, again_s: float, fault: bool) -> None:
        given_up = fault and shard.faults + 1 >= MAX_FAULTS
        self._say(f"{name}: {error}; {'given up' if given_up else 'later'}")
        put_off = partial(
            self._board.put_off, shard.id, again_s=None if given_up else again_s, fault=fault, why=str(error)
        )
        with suppress(FluxbatchError):
            await self._ask(put_off)

    def _say(self, text: str, *, quietly: bool = False) -> None:
        if text and not quietly:
            self.run_options.notice(Notice.of(EventName.NOTICE, text))

    async def _ask(self, question: Callable[..., Any], *values: Any) -> Any:
        return await anyio.to_thread.run_sync(partial(question, *values))


def _rest(summary: Summary) -> str:
    """What did not come to a picture, for people; each with a comma."""
    counts = {"failed": summary.failed, "unknown": summary.unknown, "lost": summary.lost, "left": summary.skipped}
    return "".join(f"{number:,} {what}, " for what, number in counts.items() if number)
