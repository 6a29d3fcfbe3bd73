"""The one writing connection: a thread owns it, and everything that waits is committed together."""

import asyncio
import queue
import secrets
import threading
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import apsw

from pipeline.clock import Clock
from pipeline.errors import FluxbatchError
from pipeline.job import Job, UnfitRow
from pipeline.ledger import admission, reading, steps
from pipeline.ledger.connection import Connection, open_writing, translate
from pipeline.ledger.records import (
    Admission,
    CapReached,
    Caps,
    Picture,
    Policy,
    Reservation,
    Run,
    Tally,
    Trouble,
    Unfetched,
    Unplaced,
)
from pipeline.ledger.states import JobState

T = TypeVar("T")
Step = Callable[[Connection], Any]

#: How many waiting steps share one commit at most; a bound on what one failed commit takes with it.
MAX_GROUP = 256


class LedgerWriter:
    """Writes down every step of every job; each method returns once what it wrote is durable.

    Use it as an async context manager. All methods raise ``StorageError`` when the disk is full or fails,
    ``LedgerCorruptError`` when the file is damaged, ``LedgerBusyError`` when another program blocks it for long.
    """

    def __init__(self, path: Path, *, clock: Clock) -> None:
        self.path = path
        self._clock = clock
        self._steps: queue.SimpleQueue[tuple[Step, asyncio.Future[Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="ledger", daemon=True)
        self._closed = False
        self._last = False  # the thread's own: it has seen the end of the steps
        self._opened: asyncio.Future[None]
        self._loop: asyncio.AbstractEventLoop

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._opened = self._loop.create_future()
        self._thread.start()
        try:
            await self._opened
        except BaseException:  # closed or undone, whatever it is, and raised again
            self._steps.put(None)  # cancelled, or not opened: either way nobody will come to close it
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        self._steps.put(None)
        # Joined in place: the last commits take milliseconds, and a cancelled run must still see them through.
        self._thread.join()

    async def begin(self, *, manifest: str, edition: str, provider: str, simulated: bool, caps: Caps) -> Run:
        """Record that a run begins; what an earlier run left under way is held as unknown (D)."""
        at = self._clock.wall()
        run_id = datetime.fromtimestamp(at).astimezone().strftime("%Y%m%dT%H%M%S") + "-" + secrets.token_hex(3)

        def step(connection: Connection) -> Run:
            steps.abandon_reserved(connection, run=None, at=at)
            identity = (manifest, edition, simulated)
            connection.execute(
                "INSERT OR IGNORE INTO batches (manifest, edition, simulated) VALUES (?, ?, ?)", identity
            )
            batch = connection.execute(
                "SELECT id FROM batches WHERE manifest = ? AND edition = ? AND simulated = ?", identity
            ).get
            number = connection.execute(
                "INSERT INTO runs (run_id, batch, provider, started_at) VALUES (?, ?, ?, ?) RETURNING id",
                (run_id, batch, provider, at),
            ).get
            return Run(
                id=number,
                run_id=run_id,
                batch=batch,
                manifest=manifest,
                edition=edition,
                simulated=simulated,
                caps=caps,
            )

        return await self._do(step)

    async def end(self, run: Run, *, exit_code: int) -> None:
        """Record how a run ended; a request still under way is held as unknown (D)."""
        at = self._clock.wall()

        def step(connection: Connection) -> None:
            steps.abandon_reserved(connection, run=run.id, at=at)
            connection.execute("UPDATE runs SET ended_at = ?, exit_code = ? WHERE id = ?", (at, exit_code, run.id))

        await self._do(step)

    async def abandon(self, run: Run) -> int:
        """Hold as unknown what this run has under way (D), because nobody will read the answers; how many."""
        return await self._do(partial(steps.abandon_reserved, run=run.id, at=self._clock.wall()))

    async def admit(self, run: Run, rows: Sequence[tuple[Job | UnfitRow, str]], policy: Policy) -> list[Admission]:
        """Hold rows of the manifest against the ledger; see ``admission.admit``."""
        step = partial(admission.admit, run=run, rows=rows, policy=policy, folder=self.path.parent)
        return await self._do(step)

    async def reserve(
        self, run: Run, *, placement: int, key: str, price_microusd: int
    ) -> Reservation | CapReached | None:
        """A: durable intent and reservation; see ``steps.reserve``."""
        at = self._clock.wall()
        return await self._do(
            partial(steps.reserve, run=run, placement=placement, key=key, price_microusd=price_microusd, at=at)
        )

    async def answer(
        self, reservation: Reservation, *, url: str, bought_at: float, deadline: float | None, request_id: str
    ) -> None:
        """B: bought; the URL is durable."""
        await self._do(
            partial(
                steps.answer,
                attempt=reservation.attempt,
                url=url,
                bought_at=bought_at,
                deadline=deadline,
                request_id=request_id,
            )
        )

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
        """E: refused and unbilled; see ``steps.release``."""
        await self._do(
            partial(
                steps.release,
                attempt=reservation.attempt,
                kind=kind,
                message=message,
                request_id=request_id,
                body=body,
                at=self._clock.wall(),
                final=final,
                passing=passing,
                counted=counted,
            )
        )

    async def lose_answer(
        self, reservation: Reservation, *, kind: str, message: str, request_id: str = "", body: str = ""
    ) -> None:
        """D: perhaps billed; counted until a person decides."""
        await self._do(
            partial(
                steps.lose_answer,
                attempt=reservation.attempt,
                kind=kind,
                message=message,
                request_id=request_id,
                body=body,
                at=self._clock.wall(),
            )
        )

    async def store(self, run: Run, *, attempt: int, path: str, picture: Picture) -> None:
        """C: proven and kept at ``path``, relative to the ledger's folder."""
        await self._do(partial(steps.store, attempt=attempt, run=run.id, path=path, picture=picture))

    async def lose(self, *, attempt: int, kind: str, message: str) -> None:
        """G: paid, and the window closed before the bytes came."""
        await self._do(
            partial(steps.give_up, attempt=attempt, state=JobState.LOST, kind=kind, message=message),
        )

    async def spoil(self, *, attempt: int, kind: str, message: str) -> None:
        """F: paid, and the bytes are no picture."""
        await self._do(
            partial(steps.give_up, attempt=attempt, state=JobState.SPOILED, kind=kind, message=message),
        )

    async def place(self, *, placement: int, path: str) -> None:
        """A stored picture is now also at ``path``."""
        await self._do(partial(steps.place, placement=placement, path=path))

    async def unfetched(self) -> list[Unfetched]:
        """What is bought and not stored, earliest deadline first."""
        return await self._do(reading.unfetched)

    async def unplaced(self, run: Run) -> list[Unplaced]:
        """Rows of this run whose picture is stored, but not yet where they want it."""
        return await self._do(partial(reading.unplaced, run=run.id, folder=self.path.parent))

    async def tally(self, run: Run) -> Tally:
        """What has become of the rows this run has seen."""
        return await self._do(partial(reading.tally, run=run.id, batch=run.batch))

    async def troubles(self, run: Run, *, limit: int) -> list[Trouble]:
        """The first rows of this run that are not as they should be."""
        return await self._do(partial(reading.troubles, run=run.id, limit=limit))

    async def _do(self, step: Callable[[Connection], T]) -> T:
        if self._closed:
            raise FluxbatchError(f"{self.path}: a step came after the ledger was closed")
        future: asyncio.Future[T] = self._loop.create_future()
        self._steps.put((step, future))
        # Shielded: a step once handed over will be committed, and its outcome must not be lost to a cancellation.
        return await asyncio.shield(future)

    def _work(self) -> None:
        try:
            connection = open_writing(self.path)
        except FluxbatchError as error:
            self._resolve([(self._opened, None, error)])
            return
        self._resolve([(self._opened, None, None)])
        with closing(connection):
            while group := self._next_group():
                self._resolve(self._commit(connection, group))

    def _next_group(self) -> list[tuple[Step, asyncio.Future[Any]]]:
        """Wait for a step and take what waits with it; empty once the last is done."""
        group: list[tuple[Step, asyncio.Future[Any]]] = []
        while not self._last and len(group) < MAX_GROUP and not (group and self._steps.empty()):
            entry = self._steps.get()
            if entry is None:
                self._last = True
            else:
                group.append(entry)
        return group

    def _commit(
        self, connection: Connection, group: list[tuple[Step, asyncio.Future[Any]]]
    ) -> list[tuple[asyncio.Future[Any], Any, BaseException | None]]:
        """Run a group of steps in one transaction; one step's failure undoes that step only."""
        outcomes: list[tuple[asyncio.Future[Any], Any, BaseException | None]] = []
        try:
            connection.execute("BEGIN IMMEDIATE")
            for step, future in group:
                outcomes.append((future, *self._attempt(connection, step)))
            connection.execute("COMMIT")
        except apsw.Error as error:
            with suppress(apsw.Error):  # a disk that fails may refuse this too; the next BEGIN then says so
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            return [(future, None, translate(error, self.path)) for _, future in group]
        return outcomes

    def _attempt(self, connection: Connection, step: Step) -> tuple[Any, BaseException | None]:
        connection.execute("SAVEPOINT step")
        try:
            result = step(connection)
        except apsw.ConstraintError as error:
            refused: Exception = error
        except FluxbatchError as error:
            connection.execute("ROLLBACK TO step; RELEASE step")
            return None, error
        except apsw.Error:
            raise  # the file or the disk: the whole group fails
        except Exception as error:  # noqa: BLE001 - carried to whoever waits; the thread must outlive one step's bug
            refused = error
        else:
            connection.execute("RELEASE step")
            return result, None
        connection.execute("ROLLBACK TO step; RELEASE step")
        failure = FluxbatchError(f"{self.path}: a step was refused: {refused}")
        failure.__cause__ = refused
        return None, failure

    def _resolve(self, outcomes: Sequence[tuple[asyncio.Future[Any], Any, BaseException | None]]) -> None:
        def deliver() -> None:
            for future, result, error in outcomes:
                if future.cancelled():
                    continue
                if error is None:
                    future.set_result(result)
                else:
                    future.set_exception(error)

        self._loop.call_soon_threadsafe(deliver)
