"""The ledger as a run writes it: one method for each step of a job's life."""

import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Any, Self

from pipeline.clock import Clock
from pipeline.job import Job, UnfitRow
from pipeline.ledger import admission, lessons, reading, recovery, steps, tallying, tasks
from pipeline.ledger.address import Address, Server
from pipeline.ledger.committer import Committer
from pipeline.ledger.handover import Handover
from pipeline.ledger.life import FileLife
from pipeline.ledger.records import (
    Admission,
    CapReached,
    Caps,
    Found,
    HeldForPerson,
    InOtherHands,
    Picture,
    Policy,
    Reservation,
    Run,
    Share,
    Submitted,
    Tally,
    Trouble,
    Unfetched,
    Unplaced,
    Venue,
)
from pipeline.ledger.states import JobState


class LedgerWriter:
    """Writes down every step of every job; each method returns once what it wrote is durable.

    Use it as an async context manager. All methods raise ``StorageError`` when the disk is full or fails,
    ``LedgerCorruptError`` when the file is damaged, ``LedgerBusyError`` when another program blocks it for long.
    """

    def __init__(self, path: Address, *, clock: Clock) -> None:
        self.path = path
        self._clock = clock
        self._committer, self._life = _committer(path)
        self._alive = self._life.alive
        self._do = self._committer.do
        self._do_if_room = self._committer.do_if_room

    async def __aenter__(self) -> Self:
        await self._committer.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._committer.close()
        self._life.close()

    async def begin(
        self,
        *,
        manifest: str,
        edition: str,
        provider: str,
        simulated: bool,
        caps: Caps,
        share: Share | None = None,
    ) -> Run:
        """Record that a run begins; what dead runs left under way is held as unknown (D).

        A writer has one run at a time: an earlier one of its own is over, whatever it left. A run that takes a shard
        over returns only when the one before it can start no request any more.

        Raises:
            LedgerBusyError: A run of the same manifest and edition is on; or of the same shard, or that is done.
            StorageError: The disk has no room to hold for the ledger.
            UsageError: A share of a fleet's work, of a ledger that is a file.
        """
        at = self._clock.wall()
        run_id = datetime.fromtimestamp(at).astimezone().strftime("%Y%m%dT%H%M%S") + "-" + secrets.token_hex(3)
        step = partial(
            recovery.begin,
            run_id=run_id,
            batch=(manifest, edition, simulated),
            provider=provider,
            caps=caps,
            at=at,
            alive=self._alive,
            share=share,
        )
        number, batch, wait_s = await self._do(self._life.beginning(step, run_id=run_id, purpose=f"run of {manifest}"))
        if wait_s > 0:
            await self._clock.sleep(wait_s)
        return Run(
            id=number, run_id=run_id, batch=batch, manifest=manifest, edition=edition, simulated=simulated, caps=caps
        )

    @property
    def run_handle(self) -> int:
        """The descriptor that says that this writer's run lives; a process that inherits it is a part of the run.

        Raises:
            ValueError: There is no run, or the ledger is on a server, where runs share it instead.
        """
        handle: int = self._life.handle
        return handle

    def join(self, run: Run, handle: int) -> None:
        """Write for a run that another process has begun and will end.

        Args:
            handle: Inherited from that process; see ``run_handle``.
        """
        self._life.join(run.run_id, handle)

    async def end(self, run: Run, *, exit_code: int) -> None:
        """Record how a run ended; a request still under way is held as unknown (D)."""
        step = partial(recovery.end, run=run.id, exit_code=exit_code, at=self._clock.wall())
        await self._do(self._life.ending(step))

    async def abandon(self, run: Run) -> int:
        """Hold as unknown what this run has under way (D), because nobody will read the answers; how many."""
        return await self._do(partial(steps.abandon_reserved, run=run.id, at=self._clock.wall()))

    async def admit(self, run: Run, rows: Sequence[tuple[Job | UnfitRow, str]], policy: Policy) -> list[Admission]:
        """Hold rows of the manifest against the ledger; see ``admission.admit``."""
        step = partial(admission.admit, run=run, rows=rows, policy=policy, folder=self.path.parent, alive=self._alive)
        return await self._do_if_room(step)

    async def reserve(
        self, run: Run, *, placement: int, key: str, price_microusd: int, provider: str | None = None
    ) -> Reservation | CapReached | InOtherHands | HeldForPerson | None:
        """A: durable intent and reservation; see ``steps.reserve``."""
        step = partial(
            steps.reserve,
            run=run,
            placement=placement,
            key=key,
            price_microusd=price_microusd,
            at=self._clock.wall(),
            alive=self._alive,
            provider=provider,
        )
        return await self._do_if_room(step)

    async def turn(self, scope: str, *, per_minute: float) -> float:
        """Take the next turn among all that ask for the same, by the server's clock; only for a ledger on a server.

        Args:
            scope: Whose rate it is, and of what.
            per_minute: How many turns there are; they come one by one, without bursts (generic cell rate).

        Returns:
            In how many seconds it is one's turn.
        """
        return await self._do(lambda connection: connection.call("SELECT take_turn(%s, %s)", scope, 60 / per_minute))

    async def submit(self, reservation: Reservation, *, task: str, polling_url: str, submitted_at: float) -> None:
        """K: the provider has taken the task; see ``tasks.submit``."""
        step = partial(
            tasks.submit,
            attempt=reservation.attempt,
            task=task,
            polling_url=polling_url,
            submitted_at=submitted_at,
        )
        await self._do(step)

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

    async def adopt(
        self, run: Run, fetchable: Callable[[str], bool], *, own: bool = False
    ) -> tuple[list[Unfetched], int]:
        """Take over what runs that are over bought and did not store; see ``recovery.adopt``."""
        at = self._clock.wall()
        await self._do(partial(recovery.bury_dead, at=at, alive=self._alive))
        return await self._do(partial(recovery.adopt, run=run.id, fetchable=fetchable, alive=self._alive, own=own))

    async def adopt_tasks(
        self, run: Run, providers: Collection[str], fetchable: Callable[[str], bool], *, own: bool = False
    ) -> list[Submitted]:
        """Take over what these providers have taken from runs that are over; see ``tasks.adopt``."""
        await self._do(partial(recovery.bury_dead, at=self._clock.wall(), alive=self._alive))
        step = partial(tasks.adopt, run=run.id, providers=providers, fetchable=fetchable, alive=self._alive, own=own)
        return await self._do(step)

    async def unfetched(self, run: Run) -> list[Unfetched]:
        """What is bought and not stored, and no other run fetches; earliest deadline first."""
        return await self._do(partial(reading.unfetched, run=run.id, alive=self._alive))

    async def unplaced(self, run: Run) -> list[Unplaced]:
        """Rows of this run whose picture is stored, but not yet where they want it."""
        return await self._do(partial(reading.unplaced, run=run.id, folder=self.path.parent))

    async def unaccounted(self, run: Run, paths: Sequence[str]) -> list[str]:
        """Which of these files no row knows, where this is the first run of its manifest and edition here."""
        return await self._do(partial(reading.unaccounted, run=run.id, batch=run.batch, paths=paths))

    async def tally(self, run: Run) -> Tally:
        """What has become of the rows this run has seen."""
        return await self._do(partial(tallying.tally, run=run.id, batch=run.batch, alive=self._alive))

    async def troubles(self, run: Run, *, limit: int) -> list[Trouble]:
        """The first rows of this run that are not as they should be."""
        return await self._do(partial(reading.troubles, run=run.id, limit=limit))

    async def lessons(self, venue: Venue) -> dict[str, Found]:
        """By model: what earlier runs found of the limits there."""
        return await self._do(partial(lessons.read, venue=venue))

    async def learn(self, venue: Venue, found: Mapping[str, Found]) -> None:
        """Keep what this run has found of the limits there, for the next."""
        await self._do(partial(lessons.write, venue=venue, found=found))


def _committer(path: Address) -> tuple[Handover, Any]:
    """What commits to a ledger of that kind, and how a run on it shows that it lives."""
    if isinstance(path, Server):
        from pipeline.ledger.postgres.committer import ServerCommitter, ServerLife

        committer = ServerCommitter(path)
        return committer, ServerLife(committer)
    life = FileLife(path)
    return Committer(path, give_way=life.give_way), life
