"""A worker in a network of its own that is cut off from the database, or from the provider: no cent is unclear that
need not be, and others do its work.
"""

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import anyio
import psycopg
import pytest

from pipeline.fleet import engine, worker
from pipeline.ledger import JobState
from pipeline.ledger.postgres.board import BatchLine, Board
from tests.acceptance.stage import Running, until
from tests.integration.test_fleet_worker import PATIENCE_S, PRICE, Fleet, fleet_with, pictures
from tests.outposts import PROVIDER, Outpost, outpost

#: Seconds without a sign of life after which a worker is silent: several of these, and less than the usual fifteen.
SILENCE_S = 6.0
#: The command, with less patience for a first byte than three minutes, and for a picture than half of one.
HASTY = """
import sys
from pipeline.catalog import models
for name, model in list(models().items()):
    object.__setattr__(model, "first_byte_s", 5.0)
from pipeline.fleet import worker
worker.NOTHING_S = 5.0
from pipeline.cli import main
sys.exit(main())
"""


@pytest.fixture
def away() -> Iterator[Outpost]:
    with outpost() as made:
        yield made


@pytest.fixture
async def fleet(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Fleet]:
    for module in (engine, worker):
        monkeypatch.setattr(module, "STALE_S", SILENCE_S)
    monkeypatch.setattr(worker, "BUSY_S", 0.5)
    async with fleet_with(database, tmp_path, host=PROVIDER, latency_s=1.0) as made:
        await made.submit(*pictures(1))
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(
                "CREATE OR REPLACE FUNCTION fluxbatch.silence() RETURNS INTERVAL LANGUAGE sql IMMUTABLE AS "
                f"$$SELECT INTERVAL '{SILENCE_S} seconds'$$".encode()
            )
        yield made


@asynccontextmanager
async def inside(away: Outpost, fleet: Fleet, database: str, *words: str) -> AsyncIterator[Running]:
    """A worker in the namespace."""
    given = {"FLUXBATCH_BASE_URL": fleet.simulator.base_url, "FLUXBATCH_API_KEY": "k", "SSL_CERT_FILE": os.devnull}
    process = await asyncio.create_subprocess_exec(
        *away.command(sys.executable, "-c", HASTY, "fleet", "worker", "--ledger", database),
        *("--output", str(fleet.folder / "out"), *words),
        env={name: value for name, value in os.environ.items() if not name.startswith("FLUXBATCH_")} | given,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    running = Running(process, [])
    try:
        yield running
    finally:
        await running.killed()


def standing(fleet: Fleet) -> BatchLine:
    with closing(Board(fleet.server)) as board:
        [line] = board.batches()
    return line


def open_shards(fleet: Fleet) -> int:
    line = standing(fleet)
    return line.shards["waiting"] + line.shards["running"]


def assert_every_cent(fleet: Fleet, jobs: int, *, unclear: int = 0) -> None:
    """The provider's bill is the ledger's; so many answers at most were lost, and are held."""
    billed = Counter(charge.prompt for charge in fleet.simulator.bill.charges)
    assert set(billed.values()) <= {1}, billed.most_common(3)
    rows = fleet.rows()
    lost = {row.prompt for row in rows if row.state == JobState.UNKNOWN}
    stored = {row.prompt for row in rows if row.state == JobState.STORED}
    assert len(stored) + len(lost) == jobs, Counter(row.state for row in rows)
    assert stored == set(billed) - lost
    assert len(lost) <= unclear
    line = standing(fleet)
    assert line.shards["waiting"] + line.shards["running"] == 0
    assert (line.spent_microusd, line.unknown_microusd, line.reserved_microusd) == (
        PRICE * len(stored),
        PRICE * len(lost),
        0,
    )
    # A part may be left of a picture that two have fetched: for a repair.
    assert {finding.kind for finding in fleet.findings()} <= {"unknown", "leftover"}
    assert not list((fleet.folder / "out").glob(".fluxbatch-ledger-*"))


def bought(fleet: Fleet, number: int) -> bool:
    return fleet.simulator.bill.pictures >= number


def taken_over(fleet: Fleet) -> bool:
    with psycopg.connect(fleet.server.url) as connection:
        found = connection.execute("SELECT max(epoch) FROM fluxbatch.shards").fetchone()
    assert found is not None
    return bool(found[0] > 1)


async def test_who_is_cut_off_from_the_database_records_what_it_paid_and_another_goes_on(
    fleet: Fleet, away: Outpost, torture: bool
) -> None:
    await fleet.submit(*pictures(24), size=12, concurrency=4)
    with anyio.fail_after(2 * PATIENCE_S):
        async with away.database(fleet.server.url) as url, inside(away, fleet, url, "--until-done") as one:
            await until(lambda: bought(fleet, 6))
            if not torture:  # else the loss is only noticed by the silence, after twenty seconds
                away.break_off()
            away.cut("database")
            at_cut = fleet.simulator.bill.pictures
            await until(lambda: bool(list((fleet.folder / "out").glob(".fluxbatch-ledger-spill-*"))))
            async with anyio.create_task_group() as group:
                group.start_soon(fleet.worker().work)
                await until(lambda: taken_over(fleet))
                await until(lambda: bought(fleet, at_cut + 8))
                away.mend("database")
            ended = await one.end()
    assert ended.code == 0, ended.err
    assert "Traceback" not in ended.err, ended.err
    assert_every_cent(fleet, 24)


async def test_who_never_reached_the_provider_rests_nothing_is_unclear_and_it_works_once_the_way_is_there(
    fleet: Fleet, away: Outpost
) -> None:
    await fleet.submit(*pictures(8), size=4, concurrency=4)
    away.cut("provider")
    with anyio.fail_after(PATIENCE_S):
        async with away.database(fleet.server.url) as url, inside(away, fleet, url) as one:
            await one.hears("resting for 5 s")
            assert fleet.simulator.bill.requests == 0
            await fleet.work()
            assert_every_cent(fleet, 8)
            await fleet.submit(*pictures(12), size=4, concurrency=4)
            away.mend("provider")
            await until(lambda: fleet.states() == {"stored": 12} and not open_shards(fleet))
            one.signal(signal.SIGTERM)
            ended = await one.end()
    assert ended.code == 0, ended.err
    assert_every_cent(fleet, 12)


async def test_answers_that_a_cut_took_are_held_and_no_more_and_another_does_the_rest(
    fleet: Fleet, away: Outpost
) -> None:
    await fleet.submit(*pictures(16), size=16, concurrency=4)
    with anyio.fail_after(PATIENCE_S):
        async with away.database(fleet.server.url) as url, inside(away, fleet, url) as one:
            await until(lambda: bought(fleet, 5))
            away.cut("provider")
            await one.hears("resting for 5 s")
            await fleet.work()
            away.mend("provider")
            one.signal(signal.SIGTERM)
            ended = await one.end()
    assert ended.code == 0, ended.err
    assert_every_cent(fleet, 16, unclear=4)
    assert fleet.states()["unknown"] > 0, "what was on its way was sent into silence"
