"""A ledger to play a run's steps on, through its public interface only."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from pipeline.job import Job, PictureRequest, UnfitRow, job_key
from pipeline.ledger import (
    Address,
    Admission,
    BatchName,
    Caps,
    JobState,
    Ledger,
    LedgerWriter,
    Picture,
    Policy,
    Reservation,
    Row,
    Run,
    Server,
    Tally,
    Unfetched,
    Verification,
)
from pipeline.ledger.opening import changing, open_reading
from pipeline.ledger.sums import scopes
from pipeline.ratio import Ratio

PRICE = 35_000


class FakeClock:
    """Stands still until told otherwise; local time, as the ledger's days are."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 23, 12).astimezone().timestamp()

    def monotonic(self) -> float:
        return self.at

    def wall(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds

    def set(self, year: int, month: int, day: int, hour: int = 12) -> None:
        self.at = datetime(year, month, day, hour).astimezone().timestamp()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A ledger being written, and what to do to it in a few words."""

    folder: Path
    writer: LedgerWriter
    clock: FakeClock = field(default_factory=FakeClock)

    @property
    def address(self) -> Address:
        return self.writer.path

    @property
    def path(self) -> Path:
        """The ledger's file, where it is one."""
        assert isinstance(self.writer.path, Path)
        return self.writer.path

    def job(self, prompt: str = "a lighthouse", *, index: int = 1, edition: str = "", repeat: int = 1) -> Job:
        request = PictureRequest(model="flux-kontext-pro", prompt=prompt, ratio=Ratio(16, 9))
        return Job(
            index=index,
            key=job_key(request, repeat=repeat, edition=edition, simulated=False),
            request=request,
            repeat=repeat,
            path=f"{index:03}",
            source=f"poster.yaml:{index}",
        )

    def unfit(self, *, index: int = 1, line: int = 7) -> UnfitRow:
        key = hashlib.sha256(b"a row that does not fit").hexdigest()
        return UnfitRow(index=index, key=key, source=f"rows.csv:{line}", message="the prompt is empty")

    async def begin(
        self, *, manifest: str = "poster", edition: str = "", simulated: bool = False, caps: Caps | None = None
    ) -> Run:
        return await self.writer.begin(
            manifest=manifest,
            edition=edition,
            provider="simulator" if simulated else "apiyi",
            simulated=simulated,
            caps=caps or Caps(),
        )

    async def see(
        self, run: Run, *rows: Job | UnfitRow, policy: Policy | None = None, folder: str = "pictures"
    ) -> list[Admission]:
        wanted = [(row, f"{folder}/{row.index:03}") for row in rows]
        return await self.writer.admit(run, wanted, policy or Policy())

    async def reserve(self, run: Run, job: Job, *, placement: int | None = None, price: int = PRICE) -> Reservation:
        """A reservation for a job; the job is admitted first when no placement is given."""
        if placement is None:
            placement = (await self.see(run, job))[0].placement
        reserved = await self.writer.reserve(run, placement=placement, key=job.key, price_microusd=price)
        assert isinstance(reserved, Reservation)
        return reserved

    async def answer(self, reservation: Reservation, *, deadline: float | None = None) -> None:
        await self.writer.answer(
            reservation,
            url="https://images.example/a.jpeg?signature=s",
            bought_at=self.clock.wall(),
            deadline=self.clock.wall() + 600 if deadline is None else deadline,
            request_id="req-1",
        )

    async def refuse(
        self,
        reservation: Reservation,
        *,
        kind: str = "overloaded",
        final: bool = True,
        passing: bool = True,
        counted: bool = True,
    ) -> None:
        await self.writer.release(
            reservation, kind=kind, message="not now", final=final, passing=passing, counted=counted
        )

    async def lose_answer(self, reservation: Reservation) -> None:
        await self.writer.lose_answer(reservation, kind="read_timeout", message="no answer in 180 s")

    def picture(self, data: bytes = b"picture", *, verdict: str = "ok") -> Picture:
        return Picture(
            sha256=hashlib.sha256(data).hexdigest(),
            size_bytes=len(data),
            width=1392,
            height=752,
            format="jpeg",
            verdict=verdict,
            stored_at=self.clock.wall(),
            url_age_s=1.25,
        )

    async def store(
        self, run: Run, reservation: Reservation, path: str = "pictures/001.jpeg", *, verdict: str = "ok"
    ) -> None:
        """Record a stored picture whose file is there."""
        file = self.folder / path
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"picture")
        await self.writer.store(run, attempt=reservation.attempt, path=path, picture=self.picture(verdict=verdict))

    async def bring_to(self, state: JobState, run: Run, job: Job, *, placement: int | None = None) -> Reservation:
        """Take a job from being planned to a state; the reservation it took."""
        reservation = await self.reserve(run, job, placement=placement)
        match state:
            case JobState.PLANNED:
                await self.refuse(reservation, final=False)
            case JobState.FAILED:
                await self.refuse(reservation, passing=False)
            case JobState.UNKNOWN:
                await self.lose_answer(reservation)
            case JobState.BOUGHT | JobState.STORED | JobState.LOST | JobState.SPOILED:
                await self._bring_paid(state, run, job, reservation)
            case JobState.BUYING:
                pass
        return reservation

    async def _bring_paid(self, state: JobState, run: Run, job: Job, reservation: Reservation) -> None:
        await self.answer(reservation)
        if state is JobState.STORED:
            await self.store(run, reservation, f"pictures/{job.index:03}.jpeg")
        elif state is JobState.LOST:
            await self.writer.lose(attempt=reservation.attempt, kind="window_closed", message="404")
        elif state is JobState.SPOILED:
            await self.writer.spoil(attempt=reservation.attempt, kind="html", message="not a picture")

    @asynccontextmanager
    async def beside(self) -> AsyncIterator["Scene"]:
        """The same ledger, written by another program at the same time."""
        async with LedgerWriter(self.address, clock=self.clock) as writer:
            yield Scene(folder=self.folder, writer=writer, clock=self.clock)

    async def tally(self, run: Run) -> Tally:
        return await self.writer.tally(run)

    async def unfetched(self, run: Run) -> list[Unfetched]:
        return await self.writer.unfetched(run)

    def state(self, job: Job) -> JobState:
        with Ledger(self.address) as ledger:
            [known] = ledger.known(BatchName(manifest="poster", edition="", simulated=False), [job.key])
        assert known.state is not None
        return known.state

    def rows(self) -> list[Row]:
        with Ledger(self.address) as ledger:
            return list(ledger.rows())

    def committed(self, scope: str = "total") -> int:
        """Spent, unknown and reserved in one scope of the running totals."""
        with closing(open_reading(self.address)) as connection:
            found = connection.execute("SELECT spent + unknown + reserved FROM sums WHERE scope = ?", (scope,)).get
        return int(found or 0)

    def money(self, run: Run) -> tuple[int, int, int]:
        """What the manifest has spent, unknown and reserved."""
        with Ledger(self.address) as ledger:
            batch = next(line for line in ledger.status() if line.manifest == run.manifest)
        return batch.spent_microusd, batch.unknown_microusd, batch.reserved_microusd

    def scopes(self, run: Run, day: str = "2026-11-23") -> tuple[str, str, str, str]:
        return scopes(run.batch, day, simulated=run.simulated)

    def verify(self) -> Verification:
        with Ledger(self.address) as ledger:
            return ledger.verify()

    def tamper(self, statement: str) -> None:
        """Change the ledger as nothing in the program would."""
        with changing(self.address) as connection:
            connection.execute(statement)
            connection.execute("COMMIT")


class Opens(Protocol):
    """Opens a new ledger whose folder that is, on one of the databases."""

    def __call__(self, folder: Path, /) -> AbstractAsyncContextManager[Scene]: ...


@asynccontextmanager
async def opened(folder: Path, *, server: Server | None = None) -> AsyncIterator[Scene]:
    """A new ledger in a folder, or on a server with its pictures in that folder."""
    clock = FakeClock()
    async with LedgerWriter(folder / "ledger.db" if server is None else server, clock=clock) as writer:
        yield Scene(folder=folder, writer=writer, clock=clock)
