"""What is durable, and when: before a step returns, after a kill, together with its neighbours, or not at all."""

import errno
import struct
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import apsw
import pytest

from pipeline.errors import ExitCode, FluxbatchError, LedgerBusyError, StorageError
from pipeline.ledger import JobState, Ledger, LedgerWriter, Reservation, steps
from pipeline.ledger import connection as ledger_connection
from pipeline.ledger.runfile import BALLAST_BYTES
from tests.contract.ledger_scene import PRICE, FakeClock, Scene, opened

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]

_RESERVE_AND_WAIT = """
import asyncio, signal, sys
from pathlib import Path
from tests.contract.ledger_scene import opened

async def main():
    async with opened(Path(sys.argv[1])) as scene:
        await scene.reserve(await scene.begin(), scene.job())
        print("reserved", flush=True)
        signal.pause()

asyncio.run(main())
"""


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with opened(tmp_path) as scene:
        yield scene


@contextmanager
def _another_writer(path: Path) -> "Iterator[None]":
    """Hold the database's write lock, so that the ledger's steps queue up behind it."""
    other = apsw.Connection(str(path))
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def _commits(path: Path) -> int:
    """How many transactions the write-ahead log holds: its frames that say how large the database is after them."""
    log = path.with_name(path.name + "-wal").read_bytes()
    page_size = struct.unpack_from(">I", log, 8)[0]
    salts = log[16:24]
    frames = range(32, len(log) - page_size, 24 + page_size)
    return sum(
        struct.unpack_from(">I", log, frame + 4)[0] != 0 and log[frame + 8 : frame + 16] == salts for frame in frames
    )


async def test_a_reservation_is_committed_before_reserve_returns(scene: Scene) -> None:
    run = await scene.begin()
    await scene.reserve(run, scene.job())
    other = apsw.Connection(str(scene.path), flags=apsw.SQLITE_OPEN_READONLY)
    assert other.execute("SELECT money, price_microusd FROM attempts").fetchall() == [("reserved", PRICE)]
    other.close()


def test_a_reservation_outlives_a_kill_and_is_held_by_the_next_run(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", _RESERVE_AND_WAIT, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "reserved\n"
    finally:
        child.kill()
        child.communicate()
    with Ledger(tmp_path / "ledger.db") as ledger:
        [status] = ledger.status()
        assert (status.states, status.reserved_microusd) == ({JobState.BUYING: 1}, PRICE)

    async def rerun() -> None:
        async with opened(tmp_path) as scene:
            run = await scene.begin()
            assert scene.money(run) == (0, PRICE, 0)
            assert scene.state(scene.job()) is JobState.UNKNOWN

    anyio.run(rerun)


async def test_the_writing_connection_is_wal_and_fully_synchronous(scene: Scene) -> None:
    def ask(connection: apsw.Connection) -> list[Any]:
        return [connection.pragma(name) for name in ("journal_mode", "synchronous", "foreign_keys", "trusted_schema")]

    assert await scene.writer._do(ask) == ["wal", 2, 1, 0]


async def test_steps_that_wait_share_a_commit(scene: Scene) -> None:
    run = await scene.begin()
    jobs = [scene.job(f"picture {index}", index=index) for index in range(1, 101)]
    seen = await scene.see(run, *jobs)
    before = _commits(scene.path)

    async def reserve(place: int) -> None:
        await scene.reserve(run, jobs[place], placement=seen[place].placement)

    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            with _another_writer(scene.path):
                for place in range(100):
                    group.start_soon(reserve, place)
                await anyio.wait_all_tasks_blocked()
    assert 1 <= _commits(scene.path) - before <= 2
    assert scene.committed() == 100 * PRICE


async def test_a_group_larger_than_the_bound_is_committed_in_parts(scene: Scene) -> None:
    run = await scene.begin()

    async def see(index: int) -> None:
        await scene.see(run, scene.job(f"picture {index}", index=index))

    before = _commits(scene.path)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            with _another_writer(scene.path):
                for index in range(600):
                    group.start_soon(see, index)
                await anyio.wait_all_tasks_blocked()
    assert 3 <= _commits(scene.path) - before <= 4


async def test_a_refused_step_undoes_itself_and_not_its_neighbours(scene: Scene) -> None:
    run = await scene.begin()
    await scene.reserve(run, scene.job("earlier"))
    outcomes: dict[str, object] = {}

    def half_done(connection: apsw.Connection) -> None:
        connection.execute("UPDATE sums SET spent = 999")
        raise ZeroDivisionError("a bug")

    async def bug() -> None:
        with pytest.raises(FluxbatchError, match="a step was refused: a bug") as caught:
            await scene.writer._do(half_done)
        outcomes["bug"] = caught.value.__cause__

    async def reserve(prompt: str) -> None:
        outcomes[prompt] = await scene.reserve(run, scene.job(prompt))

    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            with _another_writer(scene.path):
                group.start_soon(reserve, "before")
                group.start_soon(bug)
                group.start_soon(reserve, "after")
                await anyio.wait_all_tasks_blocked()
    assert isinstance(outcomes["bug"], ZeroDivisionError)
    assert scene.money(run) == (0, 0, 3 * PRICE)


@pytest.mark.parametrize("value", [2**70, "\udc80"])
async def test_a_value_that_cannot_be_written_is_refused_and_the_ledger_lives_on(scene: Scene, value: object) -> None:
    with anyio.fail_after(20):
        with pytest.raises(FluxbatchError, match="refused"):
            await scene.writer._do(lambda connection: connection.execute("SELECT ?", (value,)).fetchall())
        await scene.begin()


async def test_a_failed_commit_fails_its_whole_group_and_leaves_nothing(scene: Scene) -> None:
    run = await scene.begin()
    job = scene.job()
    [seen] = await scene.see(run, job)
    failures = []

    def spoil_the_commit(connection: apsw.Connection) -> None:
        connection.execute("PRAGMA defer_foreign_keys = ON")
        connection.execute(
            "INSERT INTO attempts (job, placement, run, taken_from, money, price_microusd, day, started_at)"
            " VALUES (99, 99, 99, 'planned', 'reserved', 1, '', 0)"
        )

    async def expect_failure(step: Any) -> None:
        with pytest.raises(FluxbatchError) as caught:
            await step()
        failures.append(caught.value)

    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            with _another_writer(scene.path):
                # The first is taken at once and waits for the lock alone or with the others: it spoils either commit.
                group.start_soon(expect_failure, lambda: scene.writer._do(spoil_the_commit))
                await anyio.wait_all_tasks_blocked()
            group.start_soon(expect_failure, lambda: scene.writer._do(spoil_the_commit))
    assert len(failures) == 2
    assert scene.money(run) == (0, 0, 0)
    assert scene.verify().proven
    assert isinstance(await scene.reserve(run, job, placement=seen.placement), Reservation)


async def test_neighbours_of_a_failed_commit_are_told_that_they_failed(scene: Scene) -> None:
    run = await scene.begin()
    seen = await scene.see(run, *(scene.job(str(index), index=index) for index in range(10)))
    failed = 0

    def spoil_the_commit(connection: apsw.Connection) -> None:
        connection.execute("PRAGMA defer_foreign_keys = ON")
        connection.execute("UPDATE placements SET job = 99 WHERE id = 1")

    async def reserve(index: int) -> None:
        nonlocal failed
        try:
            await scene.reserve(run, scene.job(str(index)), placement=seen[index].placement)
        except FluxbatchError:
            failed += 1

    async def spoil() -> None:
        with pytest.raises(FluxbatchError):
            await scene.writer._do(spoil_the_commit)

    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            with _another_writer(scene.path):
                for index in range(10):
                    group.start_soon(reserve, index)
                group.start_soon(spoil)
                await anyio.wait_all_tasks_blocked()
    # The thread may have taken the first before the others came; whoever shared the spoiled commit was told so.
    assert failed >= 9
    assert scene.money(run) == (0, 0, (10 - failed) * PRICE)


async def test_a_full_disk_fails_the_step_and_leaves_the_ledger_whole(scene: Scene) -> None:
    run = await scene.begin()
    await scene.bring_to(JobState.STORED, run, scene.job())

    def fill(connection: apsw.Connection) -> None:
        connection.execute(f"PRAGMA max_page_count = {connection.pragma('page_count')}")

    def make_room(connection: apsw.Connection) -> None:
        connection.execute("PRAGMA max_page_count = 1000000")

    await scene.writer._do(fill)
    with anyio.fail_after(20), pytest.raises(StorageError, match="the disk is full") as caught:
        await scene.see(run, *(scene.job(f"{index} " + "x" * 3_000, index=index) for index in range(100)))
    assert caught.value.exit_code is ExitCode.STORAGE
    assert "\n" not in str(caught.value)
    assert len(scene.rows()) == 1
    await scene.writer._do(make_room)
    with pytest.raises(StorageError, match="the disk is full"):
        await scene.see(run, scene.job("another", index=2))  # this run buys nothing more
    async with opened(scene.folder) as later:
        await later.bring_to(JobState.STORED, await later.begin(manifest="next"), later.job("another", index=2))
    assert scene.verify().proven


async def test_what_is_paid_is_written_down_on_a_full_disk_from_the_ballast(scene: Scene) -> None:
    run = await scene.begin()
    jobs = [scene.job(f"picture {index}", index=index) for index in range(3)]
    held = [await scene.reserve(run, job) for job in jobs]
    (file,) = scene.path.with_name("ledger.db.runs").iterdir()
    assert file.stat().st_blocks * 512 >= BALLAST_BYTES

    def answered(connection: apsw.Connection) -> None:
        if file.stat().st_blocks * 512 >= BALLAST_BYTES:
            raise apsw.FullError("database or disk is full")
        steps.answer(connection, attempt=held[0].attempt, url="u", bought_at=0.0, deadline=None, request_id="")

    await scene.writer._do(answered)
    await scene.answer(held[1])
    with pytest.raises(StorageError, match="the disk is full"):
        await scene.reserve(run, scene.job("one more", index=4), placement=1)
    assert [row.state for row in scene.rows()] == ["bought", "bought", "buying"]


async def test_a_disk_with_no_room_for_the_ballast_begins_no_run(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(StorageError, match="no room to hold 32 MiB") as caught:
        await scene.begin()
    assert caught.value.exit_code is ExitCode.STORAGE
    assert not scene.path.with_name("ledger.db.runs").exists()


def _refusing(error: apsw.Error, times: int, at: str = "COMMIT") -> Any:
    """A step after which the disk refuses a statement so many times."""
    left = times

    def refuse(cursor: object, statement: str, bindings: object) -> bool:
        nonlocal left
        if statement == at and left:
            left -= 1
            raise error
        return True

    def step(connection: apsw.Connection) -> None:
        connection.exec_trace = refuse

    return step


async def test_a_disk_that_stays_full_while_a_run_begins_is_said(scene: Scene) -> None:
    """It went on for ever: each beginning took its ballast anew, and gave it up."""
    with pytest.raises(StorageError, match="the disk is full"):
        await scene.writer._do(_refusing(apsw.FullError("database or disk is full"), 1_000))
    with anyio.fail_after(20), pytest.raises(StorageError, match="the disk is full"):
        await scene.begin()


async def test_what_is_paid_is_written_down_when_the_disk_fails_once(scene: Scene) -> None:
    """The answer was there, and the URL was lost with the one write that failed."""
    run = await scene.begin()
    held = await scene.reserve(run, scene.job())
    with pytest.raises(StorageError, match="the disk fails"):  # the step that makes it fail is refused, both times
        await scene.writer._do(_refusing(apsw.IOError("disk I/O error"), 3))
    await scene.answer(held)
    assert scene.state(scene.job()) is JobState.BOUGHT
    with pytest.raises(StorageError, match="the disk fails"):  # but nothing more is bought
        await scene.reserve(run, scene.job("one more", index=4), placement=1)


async def test_a_disk_that_fails_twice_fails_the_step(scene: Scene) -> None:
    run = await scene.begin()
    held = await scene.reserve(run, scene.job())
    with pytest.raises(StorageError, match="the disk fails"):
        await scene.writer._do(_refusing(apsw.IOError("disk I/O error"), 4))
    with pytest.raises(StorageError, match="the disk fails"):
        await scene.answer(held)
    assert scene.state(scene.job()) is JobState.BUYING


async def test_another_program_that_writes_for_long_is_said(tmp_path: Path) -> None:
    async with opened(tmp_path) as scene:
        await scene.writer._do(lambda connection: connection.execute("PRAGMA busy_timeout = 50"))
        with anyio.fail_after(20), _another_writer(scene.path), pytest.raises(LedgerBusyError):
            await scene.begin()
        await scene.begin()


async def test_a_cancelled_step_is_still_written_and_then_held(scene: Scene) -> None:
    """Whoever asked is gone, the reservation is not: the end of the run makes it unknown."""
    run = await scene.begin()
    [seen] = await scene.see(run, scene.job())
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            with _another_writer(scene.path):
                group.start_soon(lambda: scene.reserve(run, scene.job(), placement=seen.placement))
                await anyio.wait_all_tasks_blocked()
                group.cancel_scope.cancel()
    await scene.writer.end(run, exit_code=0)
    assert scene.money(run) == (0, PRICE, 0)


async def test_a_step_after_the_ledger_was_closed_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path) as scene:
        pass
    with anyio.fail_after(20), pytest.raises(FluxbatchError, match="closed"):
        await scene.begin()


async def test_leaving_waits_for_what_was_handed_over(tmp_path: Path) -> None:
    with anyio.fail_after(20):
        async with opened(tmp_path) as scene:
            run = await scene.begin()
            [seen] = await scene.see(run, scene.job())
            async with anyio.create_task_group() as group:
                group.start_soon(lambda: scene.reserve(run, scene.job(), placement=seen.placement))
                await anyio.wait_all_tasks_blocked()
                group.cancel_scope.cancel()
    assert scene.money(run) == (0, 0, PRICE)


async def test_cancelled_while_opening_ends_the_thread(tmp_path: Path) -> None:
    writer = LedgerWriter(tmp_path / "ledger.db", clock=FakeClock())
    with anyio.fail_after(20):
        ledger_connection.open_writing(tmp_path / "ledger.db").close()
        with _another_writer(tmp_path / "ledger.db"), anyio.CancelScope() as scope:
            scope.cancel()
            async with writer:
                pytest.fail("the body of a cancelled opening ran")
        await anyio.to_thread.run_sync(writer._committer._thread.join)
    assert not writer._committer._thread.is_alive()
