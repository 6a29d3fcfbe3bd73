"""What only a ledger on a server must bear: lost connections, an outage, several programs at once."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import anyio
import anyio.to_thread
import psycopg
import pytest

from pipeline.errors import ConfigurationError, ExitCode, LedgerBusyError, LedgerCorruptError, OutputError, StorageError
from pipeline.ledger import CapReached, Caps, JobState, Ledger, LedgerWriter, Policy, Reservation, Server, hold, migrate
from pipeline.ledger.postgres import lives
from pipeline.ledger.postgres.committer import ServerCommitter
from pipeline.ledger.postgres.opening import VERSION, open_writing
from tests.acceptance.stage import until
from tests.contract.ledger_scene import PRICE, FakeClock, Scene
from tests.postgres import Postgres

PATIENCE_S = 120.0


@pytest.fixture
def server(database: str, tmp_path: Path) -> Server:
    return Server(database, tmp_path)


@asynccontextmanager
async def scene_on(server: Server, *, outage_s: float | None = None) -> AsyncIterator[Scene]:
    """A ledger on a server; a writer with as much patience as is given."""
    clock = FakeClock()
    writer = LedgerWriter(server, clock=clock)
    if outage_s is not None:
        assert isinstance(writer._committer, ServerCommitter)
        writer._committer._outage_s = outage_s
    async with writer:
        yield Scene(folder=server.folder, writer=writer, clock=clock)


# --- once, however often it is sent --------------------------------------------------------------------------------


async def test_a_call_that_comes_again_is_answered_and_not_done_again(server: Server) -> None:
    async with scene_on(server) as scene:
        run = await scene.begin()
        [seen] = await scene.see(run, scene.job())
        with closing(open_writing(server)) as connection:
            me = json.dumps({"id": "me", "machine": "", "process": "", "signature": "{}"})
            step = {"step": "reserve", "with": {"run": run.id, "placement": seen.placement, "key": scene.job().key}}
            step["with"] |= {"price_microusd": PRICE, "at": scene.clock.at, "day": "2026-11-23", "caps": {}}  # type: ignore[operator] # a mapping
            ask = "SELECT perform(%s::JSONB, %s, %s::JSONB)"
            first = connection.call(ask, me, 1, json.dumps([step]))
            again = connection.call(ask, me, 1, json.dumps([step]))
            assert first == again == [{"came": {"attempt": 1}}]
            with pytest.raises(psycopg.errors.RaiseException, match="call 0 comes after call 1"):
                connection.call(ask, me, 0, json.dumps([step]))
        assert scene.money(run) == (0, 0, PRICE)


async def test_connections_that_are_cut_at_any_moment_cost_nothing_and_lose_nothing(server: Server) -> None:
    """As often as it takes to hit a call before, within and after its commit."""
    cuts, done = 0, anyio.Event()

    def cut(connection: "psycopg.Connection[tuple[int]]") -> int:
        query = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'fluxbatch'"
        found = connection.execute(query + " AND datname = current_database()").fetchone()
        assert found is not None
        return found[0]

    async def cutting() -> None:
        nonlocal cuts
        with psycopg.connect(server.url, autocommit=True) as connection:
            while not done.is_set():
                cuts += await anyio.to_thread.run_sync(cut, connection)
                await anyio.sleep(0.15)  # time for a new connection, and for some calls

    async def buying(number: int) -> None:
        job = scene.job(f"picture {number}", index=number)
        [seen] = await scene.see(run, job)
        reserved = await scene.writer.reserve(run, placement=seen.placement, key=job.key, price_microusd=PRICE)
        if isinstance(reserved, CapReached):
            return
        assert isinstance(reserved, Reservation)
        await scene.answer(reserved)
        await scene.store(run, reserved, f"pictures/{number:03}.jpeg")

    with anyio.fail_after(PATIENCE_S):
        async with scene_on(server) as scene:
            run = await scene.begin(caps=Caps(total=40 * PRICE))
            async with anyio.create_task_group() as cutter:
                cutter.start_soon(cutting)
                async with anyio.create_task_group() as buyers:
                    for number in range(1, 51):
                        buyers.start_soon(buying, number)
                        await anyio.sleep(0.03)
                done.set()
            await scene.writer.end(run, exit_code=0)
    assert cuts > 2
    assert scene.money(run) == (40 * PRICE, 0, 0)
    assert scene.verify().proven
    assert len([row for row in scene.rows() if row.state == JobState.STORED]) == 40


# --- away for too long ---------------------------------------------------------------------------------------------


async def test_a_server_that_stays_away_stops_buying_and_what_is_paid_is_kept_here(
    server: Server, database_server: Postgres
) -> None:
    with anyio.fail_after(PATIENCE_S):
        async with scene_on(server, outage_s=0.5) as scene:
            run = await scene.begin()
            paid, asked = await scene.reserve(run, scene.job()), scene.job("another", index=2)
            [seen] = await scene.see(run, asked)
            await anyio.to_thread.run_sync(database_server.stop)
            try:
                with pytest.raises(StorageError, match="what is paid for is kept in") as caught:
                    await scene.answer(paid)
                with pytest.raises(StorageError):
                    await scene.writer.reserve(run, placement=seen.placement, key=asked.key, price_microusd=PRICE)
            finally:
                await anyio.to_thread.run_sync(database_server.start)
        assert caught.value.exit_code is ExitCode.STORAGE
        [kept] = server.folder.glob(".fluxbatch-ledger-spill-*")
        assert kept.stat().st_mode & 0o777 == 0o600
        with kept.open("ab") as file:
            file.write(b'{"step": "answ')  # a crash while it was written
        async with scene_on(server) as scene:
            run = await scene.begin()
            taken, elsewhere = await scene.writer.adopt(run, lambda _: True)
    assert [(left.attempt, left.url) for left in taken] == [(paid.attempt, "https://images.example/a.jpeg?signature=s")]
    assert elsewhere == 0
    assert scene.money(run) == (PRICE, 0, 0)
    assert not kept.exists()


async def test_what_comes_while_the_server_is_away_is_kept_as_it_comes_and_recorded_when_it_is_back(
    server: Server, database_server: Postgres
) -> None:
    def kept() -> int:
        return sum(file.read_bytes().count(b"\n") for file in server.folder.glob(".fluxbatch-ledger-spill-*"))

    async with scene_on(server) as scene:
        run = await scene.begin()
        paid = [await scene.reserve(run, scene.job(f"picture {number}", index=number)) for number in (1, 2)]
        await anyio.to_thread.run_sync(database_server.stop)
        try:
            with anyio.fail_after(PATIENCE_S):
                async with anyio.create_task_group() as group:
                    for number, each in enumerate(paid, start=1):
                        group.start_soon(scene.answer, each)
                        with anyio.fail_after(PATIENCE_S / 3):  # long before the writer gives up
                            await until(lambda number=number: kept() == number)  # type: ignore[misc] # as it is now
                    await anyio.to_thread.run_sync(database_server.start)
        except BaseException:  # started for the tests that follow, whatever it is, and raised again
            await anyio.to_thread.run_sync(database_server.start)
            raise
        assert kept() == 0
        assert scene.money(run) == (2 * PRICE, 0, 0)


# --- several at once -----------------------------------------------------------------------------------------------


async def test_programs_that_begin_at_once_on_an_empty_database_make_one_ledger(server: Server) -> None:
    with anyio.fail_after(PATIENCE_S):
        async with anyio.create_task_group() as group:
            for _ in range(4):
                group.start_soon(anyio.to_thread.run_sync, lambda: open_writing(server).close())
    with Ledger(server) as ledger:
        assert ledger.status() == []


async def test_two_runs_share_and_whoever_wants_it_alone_waits_for_both(server: Server) -> None:
    async with scene_on(server) as scene, scene.beside() as other:
        first, second = await scene.begin(), await other.begin(manifest="other")
        for ends, run in ((scene, first), (other, second)):
            with pytest.raises(LedgerBusyError, match="run of"), hold(server, purpose="prune"):
                pass
            await ends.writer.end(run, exit_code=0)
        with hold(server, purpose="prune"):
            with pytest.raises(LedgerBusyError, match="somebody has this ledger alone"):
                await scene.begin()
            with pytest.raises(LedgerBusyError, match="alone"), hold(server, purpose="repair"):
                pass
        await scene.begin()


async def test_the_same_rows_admitted_by_several_at_once_are_the_same_jobs(server: Server) -> None:
    async with scene_on(server) as scene:
        runs = [(scene, await scene.begin())]
        async with scene.beside() as second, scene.beside() as third:
            runs += [(second, await second.begin(manifest="two")), (third, await third.begin(manifest="three"))]
            jobs = [scene.job(f"picture {number}", index=number) for number in range(1, 201)]

            async def admit(place: int) -> None:
                of, run = runs[place]
                await of.see(run, *(jobs[place * 60 :] + jobs[: place * 60]))

            with anyio.fail_after(PATIENCE_S):
                async with anyio.create_task_group() as group:
                    for place in range(3):
                        group.start_soon(admit, place)
    assert len(scene.rows()) == 600
    assert len({row.key for row in scene.rows()}) == 200
    assert scene.verify().proven


def test_a_process_is_gone_when_it_has_ended_or_its_number_is_anothers() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
        was = f"{child.pid}:{fields[19]}"
        assert not lives.is_gone(was)
        assert lives.is_gone(f"{child.pid}:1")
        child.kill()
        while not lives.is_gone(was):  # its end takes a moment; nobody has asked after it yet
            pass
    assert lives.is_gone(was)
    assert not lives.is_gone(lives.process())


# --- what is refused -----------------------------------------------------------------------------------------------


async def test_a_ledger_of_a_newer_version_is_left_alone(server: Server) -> None:
    migrate(server)
    with psycopg.connect(server.url) as connection:
        connection.execute("UPDATE fluxbatch.about SET version = 999")
    with pytest.raises(LedgerCorruptError, match="newer"):
        Ledger(server)
    with pytest.raises(LedgerCorruptError, match="newer"):
        migrate(server)


def test_migrating_again_changes_nothing_and_is_not_done_beside_a_run(server: Server) -> None:
    assert migrate(server) == (0, VERSION)
    assert migrate(server) == (VERSION, VERSION)

    async def beside_a_run() -> None:
        async with scene_on(server) as scene:
            await scene.begin()
            with pytest.raises(LedgerBusyError, match="run of poster"):
                await anyio.to_thread.run_sync(migrate, server)

    anyio.run(beside_a_run)


async def test_another_ledgers_folder_is_refused(server: Server, tmp_path: Path) -> None:
    (tmp_path / ".fluxbatch-ledger").write_text("another's\n")
    with pytest.raises(OutputError, match="belong to another ledger"):
        async with scene_on(server):
            pass


async def test_text_that_postgresql_cannot_hold_is_recorded_all_the_same(server: Server) -> None:
    async with scene_on(server) as scene:
        run = await scene.begin()
        reserved = await scene.reserve(run, scene.job("a\0b"))
        await scene.writer.release(
            reserved, kind="k", message="m\0\ud800", body="\0" * 3_000, request_id="\0", final=True, passing=False
        )
        [row] = scene.rows()
    assert (row.state, row.prompt, row.error_message) == (JobState.FAILED, "a\ufffdb", "m\ufffd?")


async def test_a_database_without_a_ledger_is_none(server: Server) -> None:
    with pytest.raises(Exception, match="no such ledger"):
        Ledger(server)


def test_without_its_library_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigurationError, match="fluxbatch\\[fleet\\]"):
        Ledger("postgresql://host/database", output=tmp_path)


async def test_every_commit_waits_for_the_disk(server: Server) -> None:
    with closing(open_writing(server, lost=print)) as connection:
        assert connection.call("SHOW synchronous_commit") == "on"
        assert connection.call("SHOW idle_in_transaction_session_timeout") == "15s"
        assert connection.call("SHOW statement_timeout") == "30s"
    with psycopg.connect(server.url, autocommit=True) as other:
        other.execute(f"ALTER DATABASE {other.info.dbname} SET synchronous_commit = off".encode())
    with closing(open_writing(server)) as connection:
        assert connection.call("SHOW synchronous_commit") == "on"


async def test_policy_and_caps_are_the_same_words_on_the_server(server: Server) -> None:
    """A cap that is exactly reached lets the last one in, and no other."""
    async with scene_on(server) as scene:
        run = await scene.begin(caps=Caps(batch=2 * PRICE, daily=3 * PRICE, monthly=4 * PRICE, total=5 * PRICE))
        jobs = [scene.job(f"picture {number}", index=number) for number in range(1, 4)]
        seen = await scene.see(run, *jobs, policy=Policy())
        came = [
            await scene.writer.reserve(run, placement=each.placement, key=job.key, price_microusd=PRICE)
            for each, job in zip(seen, jobs, strict=True)
        ]
        assert [type(each) for each in came] == [Reservation, Reservation, CapReached]
        assert isinstance(came[2], CapReached)
        assert (came[2].scope, came[2].committed_microusd) == ("this manifest", 2 * PRICE)
        assert scene.money(run) == (0, 0, 2 * PRICE)
        for scope in scene.scopes(run):
            assert scene.committed(scope) == 2 * PRICE
