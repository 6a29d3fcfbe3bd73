"""Workers on a real database and a real socket: manifests handed out, bought together, stopped, and broken."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import psycopg
import pytest

from pipeline.clock import SystemClock
from pipeline.errors import ExitCode
from pipeline.fleet import Submitted, Worker, WorkerOptions, submit, verdict, worker
from pipeline.fleet.engine import Engine
from pipeline.ledger import Finding, JobState, Ledger, Policy, Row, Server, hold, repair
from pipeline.ledger.postgres.board import Board
from pipeline.manifest import load_manifest
from pipeline.runner import RunOptions, Stop
from pipeline.simulator import Simulator, SimulatorSettings
from tests.acceptance.stage import until
from tests.buckets import Gate, Shop

PATIENCE_S = 120.0
PRICE = 35_000


@dataclass
class Fleet:
    """A database, a provider, and what is told."""

    server: Server
    simulator: Simulator
    folder: Path
    told: list[str] = field(default_factory=list)

    @property
    def options(self) -> RunOptions:
        environment = {"FLUXBATCH_BASE_URL": self.simulator.base_url, "FLUXBATCH_API_KEY": "k"}
        return RunOptions(
            output=self.folder / "out", ledger=self.server, environment=environment, notice=self.told.append
        )

    async def submit(
        self, *jobs: str, size: int = 4, policy: Policy | None = None, store: str = "", **limits: Any
    ) -> Submitted:
        path = self.folder / "set.yaml"
        entries = "".join(f"  - {{prompt: {job}}}\n" for job in jobs)
        given = {"budget_usd": "10.00"} | limits
        output = f"output: {{store: {store}}}\n" if store else ""
        path.write_text(f"version: 1\nname: set\n{output}limits: {given}\njobs:\n{entries}".replace("'", '"'))
        options = RunOptions(output=self.options.output, ledger=self.server, policy=policy or Policy())
        with anyio.fail_after(PATIENCE_S):
            return await submit(load_manifest(path), options, size=size)

    def worker(self, *, stop: Stop | None = None, **given: Any) -> Worker:
        options = WorkerOptions(**({"until_done": True} | given))
        return Worker(server=self.server, run_options=self.options, options=options, stop=stop or Stop())

    async def work(self, number: int = 1) -> list[ExitCode]:
        """So many workers, until nothing is left."""
        codes: list[ExitCode] = []

        async def one() -> None:
            codes.append(await self.worker().work())

        with anyio.fail_after(PATIENCE_S):
            async with anyio.create_task_group() as group:
                for _ in range(number):
                    group.start_soon(one)
        return codes

    def rows(self) -> list[Row]:
        with Ledger(self.server.url, output=self.folder / "out") as ledger:
            return list(ledger.rows())

    def findings(self) -> tuple[Finding, ...]:
        with Ledger(self.server.url, output=self.folder / "out") as ledger:
            return tuple(ledger.verify().findings)

    def repaired(self) -> list[str]:
        with hold(self.server, purpose="repair"):
            return repair(self.server, clock=SystemClock())

    def states(self) -> Counter[str]:
        return Counter(row.state for row in self.rows())


@asynccontextmanager
async def fleet_with(database: str, folder: Path, **settings: Any) -> AsyncIterator[Fleet]:
    given: dict[str, Any] = {"scale": 16, "latency_s": 0.02, "prices_microusd": {"flux-kontext-pro": PRICE}}
    async with Simulator(SimulatorSettings(**given | settings)) as simulator:
        yield Fleet(server=Server(database, folder / "out"), simulator=simulator, folder=folder)


@pytest.fixture
async def fleet(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Fleet]:
    for module, name in ((worker, "SWEEP_S"), (worker, "BUSY_S"), (worker, "FAULT_S"), (verdict, "FAULT_S")):
        monkeypatch.setattr(module, name, 0.2)
    for name in ("BUDGET_S", "KEY_S"):
        monkeypatch.setattr(verdict, name, 0.2)
    async with fleet_with(database, tmp_path) as made:
        yield made


def pictures(number: int, *, first: int = 1) -> list[str]:
    return [f"Picture {each}" for each in range(first, first + number)]


async def test_what_is_submitted_is_bought_once_by_whoever_is_there(fleet: Fleet) -> None:
    made = await fleet.submit(*pictures(10))
    assert (made.jobs, made.new, made.shards, made.waiting, made.there) == (10, 10, 3, 0, 0)
    assert await fleet.work(2) == [0, 0]
    assert fleet.states() == {"stored": 10}
    assert fleet.simulator.bill.pictures == 10
    for row in fleet.rows():
        assert row.path is not None
        assert (fleet.folder / "out" / row.path).stat().st_size == row.bytes
    with closing(Board(fleet.server)) as board:
        [line] = board.batches()
        assert line.shards == {"waiting": 0, "running": 0, "finished": 3}
        assert line.spent_microusd == 10 * PRICE
        assert board.workers() == []  # they have said goodbye


async def test_submitting_again_hands_out_only_what_is_new(fleet: Fleet) -> None:
    await fleet.submit(*pictures(5))
    again = await fleet.submit(*pictures(7))
    assert (again.new, again.waiting, again.there, again.shards) == (2, 5, 0, 1)
    await fleet.work()
    once_more = await fleet.submit(*pictures(7))
    assert (once_more.new, once_more.waiting, once_more.there, once_more.shards) == (0, 0, 7, 0)
    await fleet.work()
    assert fleet.simulator.bill.pictures == 7


async def test_equal_rows_are_bought_once_and_each_has_its_picture_wherever_their_shards_are(fleet: Fleet) -> None:
    await fleet.submit(*pictures(6), *pictures(3), "Picture 1", size=2)
    await fleet.work(2)
    rows = fleet.rows()
    assert fleet.simulator.bill.pictures == 6
    assert [row.state for row in rows] == ["stored"] * 10
    assert len({row.path for row in rows}) == 10
    assert all((fleet.folder / "out" / str(row.path)).exists() for row in rows)


async def test_the_budget_is_one_wall_and_more_money_goes_on_from_there(fleet: Fleet) -> None:
    await fleet.submit(*pictures(12), size=3, budget_usd="0.28")
    assert set(await fleet.work(3)) == {0}
    assert fleet.states() == {"stored": 8, "planned": 4}
    with closing(Board(fleet.server)) as board:
        assert any("budget" in why for why in board.batches()[0].why)
    more = await fleet.submit(*pictures(12), size=3, budget_usd="1.00")
    assert (more.new, more.there) == (4, 8)
    with closing(Board(fleet.server)) as board:
        assert board.batches()[0].why == {}, "what was once in the way is not any more"
    await fleet.work()
    assert fleet.states() == {"stored": 12}


async def test_without_any_budget_the_plan_of_all_of_it_is_the_wall(fleet: Fleet) -> None:
    path = fleet.folder / "set.yaml"
    path.write_text("version: 1\nname: set\njobs:\n  - {prompt: One}\n  - {prompt: Two}\n")
    made = await submit(load_manifest(path), RunOptions(output=fleet.folder / "out", ledger=fleet.server), size=1)
    assert made.budget_microusd == 2 * PRICE
    await fleet.work()
    assert fleet.states() == {"stored": 2}


async def test_a_stop_is_gentle_and_what_is_left_is_for_the_next(fleet: Fleet) -> None:
    await fleet.submit(*pictures(40), size=20, concurrency=2)
    stop = Stop()
    leaving = fleet.worker(stop=stop, until_done=False)
    codes: list[ExitCode] = []

    async def one() -> None:
        codes.append(await leaving.work())

    with anyio.fail_after(PATIENCE_S):
        async with anyio.create_task_group() as group:
            group.start_soon(one)
            await until(lambda: fleet.simulator.bill.pictures >= 5)
            stop.ask("SIGTERM")
    assert codes == [0]
    bought = fleet.simulator.bill.pictures
    assert 5 <= bought < 40
    assert fleet.states() == {"stored": bought, "planned": 40 - bought}
    await fleet.work()
    assert fleet.states() == {"stored": 40}
    assert fleet.simulator.bill.pictures == 40


async def test_a_shard_whose_runs_break_is_given_up_and_the_others_are_done(fleet: Fleet) -> None:
    await fleet.submit(*pictures(4), size=2)
    with psycopg.connect(fleet.server.url, autocommit=True) as connection:
        connection.execute('UPDATE fluxbatch.shards SET work = \'{"policy": {}, "jobs": [{}]}\' WHERE number = 1')
    assert await fleet.work() == [0]
    assert fleet.states() == {"stored": 2, "planned": 2}
    assert any("given up" in line for line in fleet.told)
    with closing(Board(fleet.server)) as board:
        assert sum(board.batches()[0].why.values()) == 1
    again = await fleet.submit(*pictures(4), size=2)
    assert again.new == 2
    await fleet.work()
    assert fleet.states() == {"stored": 4}


async def test_a_worker_without_a_key_leaves_and_says_why(fleet: Fleet) -> None:
    await fleet.submit("One")
    keyless = fleet.worker()
    keyless.run_options = RunOptions(output=fleet.folder / "out", environment={}, notice=fleet.told.append)
    with anyio.fail_after(PATIENCE_S):
        assert await keyless.work() is ExitCode.CONFIGURATION
    assert any("FLUXBATCH_API_KEY" in line for line in fleet.told)
    await fleet.work()
    assert fleet.states() == {"stored": 1}


async def test_a_key_that_is_refused_ends_the_worker_and_keeps_the_shard(database: str, tmp_path: Path) -> None:
    async with fleet_with(database, tmp_path, keys=("another",)) as fleet:
        await fleet.submit("One")
        with anyio.fail_after(PATIENCE_S):
            assert await fleet.worker().work() is ExitCode.ACCOUNT
        with closing(Board(fleet.server)) as board:
            assert board.is_anything_left()
            assert board.workers() == []


async def test_what_nobody_queued_is_queued_and_a_queue_that_is_gone_is_made_again(fleet: Fleet) -> None:
    await fleet.submit(*pictures(3), size=1)
    async with Engine(fleet.server) as engine:
        assert await engine.fill() == 0
    with psycopg.connect(fleet.server.url, autocommit=True) as connection:
        [(schema,)] = connection.execute(
            "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'fluxbatch_queue%'"
        ).fetchall()
        connection.execute(f"DROP SCHEMA {schema} CASCADE".encode())
    assert await fleet.work() == [0]
    assert fleet.states() == {"stored": 3}


async def test_a_stated_rate_is_all_workers_together(database: str, tmp_path: Path) -> None:
    async with fleet_with(database, tmp_path, latency_s=0.0) as fleet:
        await fleet.submit(*pictures(16), size=2, rate_per_minute=240)
        with anyio.fail_after(PATIENCE_S):
            async with anyio.create_task_group() as group:
                for _ in range(3):
                    group.start_soon(fleet.worker().work)
        times = sorted(charge.time for charge in fleet.simulator.bill.charges)
    # 240 a minute, of which a fleet uses 0.85: sixteen take at least fifteen gaps of 0.294 s, whoever asks.
    assert times[-1] - times[0] >= 15 * 60 / 240 / 0.85 - 0.3
    assert fleet.states() == {"stored": 16}


async def test_work_called_off_ends_the_shards_under_way(fleet: Fleet) -> None:
    await fleet.submit(*pictures(60), size=60, concurrency=2)
    with anyio.fail_after(PATIENCE_S):
        async with anyio.create_task_group() as group:
            group.start_soon(fleet.worker().work)
            await until(lambda: fleet.simulator.bill.pictures >= 5)
            with closing(Board(fleet.server)) as board:
                assert board.cancel("set") == {"set": 1}
    bought = fleet.simulator.bill.pictures
    assert bought < 60
    assert fleet.states() == {JobState.STORED: bought, JobState.PLANNED: 60 - bought}


async def test_workers_that_share_no_folder_keep_pictures_in_a_bucket(fleet: Fleet, shop: Shop, gate: Gate) -> None:
    await fleet.submit(*pictures(6), "Picture 1", size=2, store=f"s3://{shop.name}/set")
    with anyio.fail_after(PATIENCE_S):
        async with anyio.create_task_group() as group:
            for name in ("here", "there"):
                one = fleet.worker()
                one.server = Server(fleet.server.url, fleet.folder / name)
                one.run_options = replace(fleet.options, output=fleet.folder / name, ledger=one.server)
                group.start_soon(one.work)
    assert fleet.simulator.bill.pictures == 6
    rows = fleet.rows()
    assert {row.state for row in rows} == {"stored"}
    assert len({row.path for row in rows}) == 7
    assert all(str(row.path).startswith(f"s3://{shop.name}/set/") for row in rows)
    assert await anyio.to_thread.run_sync(fleet.findings) == ()
