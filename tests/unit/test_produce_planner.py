"""The planner: rows into orders, a chunk at a time, only as fast as they are taken."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import anyio
import pytest

from pipeline.errors import ExitCode, FluxbatchError, NotFoundError, StorageError
from pipeline.job import Job, UnfitRow
from pipeline.ledger import Admission, JobState, Policy, Run, Verdict
from pipeline.produce import Halt, Order, Planner
from pipeline.produce.planner import CHUNK
from tests.unit.produce_doubles import RUN, job, settle

Row = Job | UnfitRow


class FakeRegister:
    """Admits everything that is a job and not known; remembers what it saw."""

    def __init__(self) -> None:
        self.chunks: list[list[tuple[Row, str]]] = []
        self.verdicts: dict[int, Verdict] = {}
        self.error: FluxbatchError | None = None

    async def admit(self, run: Run, rows: Sequence[tuple[Row, str]], policy: Policy) -> list[Admission]:
        if self.error is not None:
            raise self.error
        self.chunks.append(list(rows))
        return [
            Admission(
                row=row,
                placement=row.index * 10,
                verdict=self.verdicts.get(row.index, Verdict.BUY),
                state=JobState.PLANNED,
            )
            for row, _ in rows
        ]

    @property
    def seen(self) -> list[int]:
        return [row.index for chunk in self.chunks for row, _ in chunk]


class Rows(Iterator[Row]):
    """So many rows, which count how many were read; ``ending`` is raised after the last."""

    def __init__(self, count: int, ending: Exception | None = None) -> None:
        self.read = 0
        self.unfit: set[int] = set()
        self._count = count
        self._ending = ending or StopIteration()

    def __next__(self) -> Row:
        if self.read == self._count:
            raise self._ending
        self.read += 1
        if self.read in self.unfit:
            return UnfitRow(index=self.read, key="00" * 32, source="rows.csv:2", message="no prompt")
        return job(self.read)


class Desk:
    """A planner with doubles around it."""

    def __init__(self) -> None:
        self.halt = Halt()
        self.register = FakeRegister()
        self.planner = Planner(
            run=RUN,
            policy=Policy(),
            register=self.register,
            halt=self.halt,
            recorded=lambda path: f"pictures/{path}",
        )

    async def plan(self, rows: Iterator[Row]) -> list[Order]:
        """Take every order as it comes."""
        send, receive = anyio.create_memory_object_stream[Order](0)
        taken: list[Order] = []
        with anyio.fail_after(5):
            async with receive, anyio.create_task_group() as group:
                group.start_soon(self.planner.work, rows, send)
                taken = [order async for order in receive]
        return taken


async def test_every_row_becomes_an_order_in_its_order() -> None:
    desk = Desk()

    taken = await desk.plan(Rows(3))

    assert [(order.job.index, order.placement) for order in taken] == [(1, 10), (2, 20), (3, 30)]
    assert (desk.planner.seen, desk.planner.to_buy) == (3, 3)
    assert desk.planner.finished


async def test_rows_are_admitted_a_chunk_at_a_time() -> None:
    desk = Desk()

    taken = await desk.plan(Rows(2 * CHUNK + 5))

    assert [len(chunk) for chunk in desk.register.chunks] == [CHUNK, CHUNK, 5]
    assert len(taken) == 2 * CHUNK + 5


async def test_the_ledger_is_told_the_place_relative_to_itself_and_none_for_an_unfit_row() -> None:
    desk, rows = Desk(), Rows(2)
    rows.unfit = {2}

    await desk.plan(rows)

    assert [wanted for _, wanted in desk.register.chunks[0]] == ["pictures/m/00001", ""]


async def test_rows_are_read_only_as_orders_are_taken() -> None:
    desk, rows = Desk(), Rows(100_000)
    send, receive = anyio.create_memory_object_stream[Order](0)
    with anyio.fail_after(5):
        async with receive, anyio.create_task_group() as group:
            group.start_soon(desk.planner.work, rows, send)
            for _ in range(CHUNK):
                await receive.receive()
            await settle()
            assert rows.read <= 2 * CHUNK
            assert not desk.planner.finished
            group.cancel_scope.cancel()


async def test_a_row_that_makes_no_job_is_seen_and_never_ordered() -> None:
    desk, rows = Desk(), Rows(3)
    rows.unfit = {2}

    taken = await desk.plan(rows)

    assert [order.job.index for order in taken] == [1, 3]
    assert desk.register.seen == [1, 2, 3]
    assert (desk.planner.seen, desk.planner.to_buy) == (3, 2)


@pytest.mark.parametrize("verdict", [Verdict.SETTLED, Verdict.PLACE])
async def test_only_what_is_to_be_bought_is_ordered(verdict: Verdict) -> None:
    desk = Desk()
    desk.register.verdicts = {1: verdict, 3: verdict}

    taken = await desk.plan(Rows(4))

    assert [order.job.index for order in taken] == [2, 4]
    assert (desk.planner.seen, desk.planner.to_buy) == (4, 2)


async def test_the_stream_is_closed_when_there_are_no_rows() -> None:
    desk = Desk()

    assert await desk.plan(Rows(0)) == []
    assert desk.planner.finished


async def test_once_buying_has_stopped_no_row_is_read() -> None:
    desk, rows = Desk(), Rows(1_000)
    desk.halt.call(ExitCode.BUDGET, "no money")

    assert await desk.plan(rows) == []

    assert desk.register.chunks == []
    assert (rows.read, desk.planner.seen, desk.planner.finished) == (0, 0, False)


async def test_rows_after_the_chunk_in_hand_are_not_read_when_buying_stops_meanwhile() -> None:
    desk, rows = Desk(), Rows(CHUNK + 7)
    send, receive = anyio.create_memory_object_stream[Order](0)
    with anyio.fail_after(5):
        async with receive, anyio.create_task_group() as group:
            group.start_soon(desk.planner.work, rows, send)
            await receive.receive()
            desk.halt.call(ExitCode.TEMPORARY, "stopped")
            drained = [order async for order in receive]

    assert len(drained) == CHUNK - 1
    assert (rows.read, desk.planner.seen, desk.planner.finished) == (CHUNK, CHUNK, False)


async def test_a_ledger_that_fails_stops_buying_and_its_rows_are_not_seen() -> None:
    desk = Desk()
    desk.register.error = StorageError("the disk is full")

    assert await desk.plan(Rows(CHUNK + 1)) == []

    assert [cause.code for cause in desk.halt.causes] == [ExitCode.STORAGE]
    assert (desk.planner.seen, desk.planner.finished) == (0, False)


async def test_a_rows_file_that_goes_away_stops_buying_instead_of_breaking_what_is_under_way() -> None:
    desk = Desk()

    taken = await desk.plan(Rows(CHUNK, ending=NotFoundError(Path("rows.csv"))))

    assert len(taken) == CHUNK
    assert [(cause.code, cause.message) for cause in desk.halt.causes] == [
        (ExitCode.NOT_FOUND, "rows.csv: no such file")
    ]
