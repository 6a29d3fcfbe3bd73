"""Workers who wait: for a provider that only they cannot reach, and for a database that is away."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from typing import Any

import anyio
import anyio.to_thread
import psycopg
import pytest

from pipeline.errors import ExitCode
from pipeline.fleet import Worker, worker
from pipeline.fleet.handing import Patience
from pipeline.ledger.postgres.board import Board
from pipeline.runner import Stop
from tests.acceptance.stage import until
from tests.integration.test_fleet_worker import PATIENCE_S, Fleet, fleet, pictures
from tests.postgres import Postgres
from tests.unit.report_samples import snapshot

__all__ = ["fleet"]  # the fixture


class Attended:
    """A worker under way, and what it has told and come to."""

    def __init__(self, made: Worker, stop: Stop) -> None:
        self.stop = stop
        self.told: list[str] = []
        self.code: ExitCode | None = None
        made.run_options = replace(made.run_options, notice=self.told.append)
        self.worker = made

    async def work(self) -> None:
        self.code = await self.worker.work()

    def says(self, words: str) -> bool:
        return any(words in line for line in self.told)


@asynccontextmanager
async def at_work(fleet: Fleet, *workers: Attended) -> AsyncIterator[None]:
    with anyio.fail_after(PATIENCE_S):
        async with anyio.create_task_group() as group:
            for each in workers:
                group.start_soon(each.work)
            yield


def unreaching(fleet: Fleet, **given: Any) -> Attended:
    """One whose provider cannot be reached: nobody listens there."""
    stop = Stop()
    made = fleet.worker(stop=stop, **given)
    environment = dict(fleet.options.environment) | {"FLUXBATCH_BASE_URL": "http://127.0.0.1:1/v1"}
    made.run_options = replace(made.run_options, environment=environment)
    return Attended(made, stop)


async def test_who_cannot_reach_the_provider_rests_and_another_does_the_work(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "_LEAVE_S", 600.0)  # a signal ends a rest by itself
    await fleet.submit(*pictures(8), size=2)
    lonely = unreaching(fleet, until_done=False)
    lonely.worker._rest.shortest_s = 300.0
    async with at_work(fleet, lonely):
        await until(lambda: lonely.says("resting for 300 s"))
        with closing(Board(fleet.server)) as board:
            await until(lambda: any(each.told.get("rests") for each in board.workers()))
            [line] = board.workers()
            assert line.told["rests"]["for_s"] > 100.0
            assert "cannot be reached" in line.told["rests"]["why"]
            assert not line.told["shards"]
        assert await fleet.work() == [0]
        assert fleet.states() == {"stored": 8}
        assert sum("resting" in each for each in lonely.told) == 1, "it took no other shard"
        lonely.stop.ask("SIGTERM")
    assert lonely.code is ExitCode.OK
    with psycopg.connect(fleet.server.url) as connection:
        assert connection.execute("SELECT sum(faults) FROM fluxbatch.shards").fetchone() == (0,)


async def test_a_rest_ends_by_itself_and_the_next_is_longer(fleet: Fleet) -> None:
    await fleet.submit("One")
    lonely = unreaching(fleet)
    lonely.worker._rest.shortest_s = 0.6
    async with at_work(fleet, lonely):
        await until(lambda: sum("resting" in each for each in lonely.told) == 2)
        lonely.stop.ask("SIGTERM")
    rests = [line.partition(": ")[0] for line in lonely.told if "resting" in line]
    assert rests == ["resting for 1 s", "resting for 1 s"]  # of 0.6 and 1.2
    assert lonely.worker._rest._in_a_row == 2


async def test_whoever_is_to_end_ends_when_the_database_stays_away_and_others_wait_for_it(
    fleet: Fleet, database_server: Postgres
) -> None:
    await fleet.submit("One")
    ending, staying, leaving = (unreaching(fleet, until_done=only, outage_s=2.0) for only in (True, False, False))
    for each in (ending, staying, leaving):
        each.worker._rest.shortest_s = 300.0
    async with at_work(fleet, ending, staying, leaving):
        await until(lambda: all(each.says("resting") for each in (ending, staying, leaving)))
        await anyio.to_thread.run_sync(database_server.stop)
        try:
            await until(lambda: all(each.says("does not answer") for each in (ending, staying, leaving)))
            leaving.stop.ask("SIGTERM")
            await until(lambda: ending.code is not None and leaving.code is not None)
            assert (ending.code, leaving.code, staying.code) == (ExitCode.STORAGE, ExitCode.OK, None)
            assert ending.says("leaving: the database has been away for")
        finally:
            await anyio.to_thread.run_sync(database_server.start)
        await until(lambda: staying.says("the database answers again, after"))
        staying.stop.ask("SIGTERM")
    assert staying.code is ExitCode.OK
    await fleet.work()
    assert fleet.states() == {"stored": 1}


async def test_no_run_is_left_while_the_database_is_away(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is fetched in an outage waits to be recorded: that nothing comes of it is nobody's fault."""
    monkeypatch.setattr(worker, "TELL_S", 0.02)
    made, stop = fleet.worker(), Stop()
    made._outage.lasts("gone", now=anyio.current_time())
    waiting = snapshot(stored=4, in_flight=0, queued=2)
    with anyio.move_on_after(0.5):
        await made._watch(1, "set #1", stop, Patience(0.1), lambda: waiting)
    assert not stop.asked
    made._outage.over(now=anyio.current_time())
    with anyio.fail_after(PATIENCE_S):
        await made._watch(1, "set #1", stop, Patience(0.1), lambda: waiting)
    assert stop.asked
    assert any("left to others" in line for line in fleet.told)
