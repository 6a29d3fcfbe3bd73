"""Cutting a manifest's rows into shards: all of them held against the ledger first, and only what is new handed out."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import ParamSpec, TypeVar

import anyio
import anyio.to_thread

from pipeline.clock import Clock, SystemClock
from pipeline.deliver import prepare_output
from pipeline.errors import ExitCode
from pipeline.fleet.engine import Engine, hush
from pipeline.fleet.excerpt import Settings, Work
from pipeline.job import Job, UnfitRow
from pipeline.ledger import Admission, JobState, LedgerWriter, Policy, Run, Server, Share, Verdict
from pipeline.ledger.postgres.board import Board
from pipeline.manifest import Manifest
from pipeline.runner import RunOptions
from pipeline.runner.places import FolderPlaces, places_of
from pipeline.runner.planning import bounded, finder_of

P = ParamSpec("P")
T = TypeVar("T")

#: Jobs in a shard: large enough that handing it out costs nothing beside it, small enough that little waits for one
#: worker at the end.
SHARD_SIZE = 200
#: Rows held against the ledger at once.
_CHUNK = 256
#: What is still to come: to be bought, or bought by somebody at the moment.
_TO_COME = {JobState.PLANNED, JobState.BUYING, JobState.BOUGHT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """What a manifest came to.

    Attributes:
        jobs: Its rows.
        unfit: Those that make no job.
        there: Those whose picture is where it is wanted already, or settled otherwise.
        waiting: Those that an open shard has.
        new: Those that new shards have.
        shards: How many of these were made.
    """

    run_id: str
    manifest: str
    edition: str
    jobs: int
    unfit: int
    there: int
    waiting: int
    new: int
    shards: int
    budget_microusd: int | None


async def submit(
    manifest: Manifest, options: RunOptions, *, size: int = SHARD_SIZE, clock: Clock | None = None
) -> Submitted:
    """Hand out what is missing of a manifest; once more, only what is new since.

    Args:
        options: As of a run; the ledger is on a server.
        size: Jobs in a shard.

    Raises:
        OutputError, StorageError, ConfigurationError: As ``run_async``.
        LedgerBusyError: A run of the same manifest and edition is on, that is no worker's.
        DeclinedError: ``options.confirm`` said no.
    """
    clock = clock or SystemClock()
    server = options.ledger_path
    assert isinstance(server, Server)  # noqa: S101 - the command has seen to it
    await anyio.to_thread.run_sync(prepare_output, options.output)
    with finder_of(manifest, options) as finder:
        async with LedgerWriter(server, clock=clock) as ledger:
            options = await bounded(manifest, options, finder)
            run = await ledger.begin(
                manifest=manifest.name,
                edition=manifest.edition,
                provider=manifest.profile.name,
                simulated=manifest.profile.simulated,
                caps=options.caps_of(manifest),
                share=Share(),
            )
            with closing(await anyio.to_thread.run_sync(Board, server)) as board:
                cutter = _Cutter(board, run, options.policy_of(manifest), size)
                code = ExitCode.TEMPORARY
                try:
                    settings = Settings.of(
                        manifest,
                        output=FolderPlaces(options.output, server.folder).recorded("."),
                        budget_microusd=options.budget_of(manifest),
                    )
                    await _in_thread(board.submit, run.batch, settings.model_dump_json(), at=clock.wall())
                    places = places_of(manifest.store, output=options.output, ledger_folder=server.folder)
                    rows = options.rows_of(manifest, finder)
                    while chunk := await _in_thread(_take, rows):
                        wanted = [(row, places.recorded(row.path) if isinstance(row, Job) else "") for row in chunk]
                        await cutter.cut(await ledger.admit(run, wanted, options.policy_of(manifest)))
                    await cutter.finish()
                    code = ExitCode.OK
                finally:
                    with anyio.CancelScope(shield=True):
                        await ledger.end(run, exit_code=int(code))
    hush()
    async with Engine(server) as engine:
        await engine.fill()
    return cutter.submitted(manifest, options.budget_of(manifest))


class _Cutter:
    """Makes shards of rows as they come."""

    def __init__(self, board: Board, run: Run, policy: Policy, size: int) -> None:
        self._board = board
        self._run = run
        self._policy = policy
        self._size = size
        self._ready: list[Job] = []
        self._jobs = self._unfit = self._there = self._waiting = self._new = self._shards = 0

    async def cut(self, admitted: Sequence[Admission]) -> None:
        """Take rows that were held against the ledger."""
        jobs = {each.placement: each.row for each in admitted if isinstance(each.row, Job) and _is_to_come(each)}
        free = await _in_thread(self._board.unsharded, list(jobs)) if jobs else set()
        self._jobs += len(admitted)
        self._unfit += sum(isinstance(each.row, UnfitRow) for each in admitted)
        self._waiting += len(jobs) - len(free)
        self._new += len(free)
        self._ready += [job.at(placement) for placement, job in jobs.items() if placement in free]
        while len(self._ready) >= self._size:
            await self._make(self._ready[: self._size])
            del self._ready[: self._size]

    async def finish(self) -> None:
        """Take none any more."""
        if self._ready:
            await self._make(self._ready)

    def submitted(self, manifest: Manifest, budget_microusd: int | None) -> Submitted:
        """What it came to."""
        return Submitted(
            run_id=self._run.run_id,
            manifest=manifest.name,
            edition=manifest.edition,
            jobs=self._jobs,
            unfit=self._unfit,
            there=self._jobs - self._unfit - self._waiting - self._new,
            waiting=self._waiting,
            new=self._new,
            shards=self._shards,
            budget_microusd=budget_microusd,
        )

    async def _make(self, jobs: Sequence[Job]) -> None:
        work = Work(policy=self._policy, jobs=tuple(jobs)).model_dump_json()
        placements = [job.placement for job in jobs if job.placement is not None]
        await _in_thread(self._board.add_shard, self._run.batch, work, placements)
        self._shards += 1


def _is_to_come(admission: Admission) -> bool:
    """Whether a worker has anything to do for a row: equal rows, too, need their picture put in their places."""
    return admission.verdict is not Verdict.SETTLED or admission.state in _TO_COME


def _take(rows: Iterator[Job | UnfitRow]) -> list[Job | UnfitRow]:
    return list(islice(rows, _CHUNK))


async def _in_thread(work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    return await anyio.to_thread.run_sync(partial(work, *arguments, **named))
