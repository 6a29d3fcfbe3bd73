"""Runs on one PostgreSQL ledger: its budget holds to the cent, whoever is killed, and whatever the server does."""

import signal
from collections import Counter

import anyio
import anyio.to_thread
import pytest

from pipeline import Ledger
from pipeline.ledger import JobState, Row
from pipeline.money import format_usd
from pipeline.simulator import Simulator
from tests.acceptance.conftest import Simulate
from tests.acceptance.stage import PATIENCE_S, Ended, Running, Workspace, until
from tests.postgres import Postgres, address

PROCESSES, JOBS, AFFORDED, PRICE = 4, 300, 250, 35_000
#: As long as a server takes that is restarted at once.
AWAY_S = 5.0


def rows(workspace: Workspace, database: str) -> list[Row]:
    with Ledger(database, output=workspace.output) as ledger:
        return list(ledger.rows())


def held(workspace: Workspace, database: str) -> tuple[int, int]:
    """What the whole ledger has spent, and what of its money is unknown."""
    with Ledger(database, output=workspace.output) as ledger:
        lines = ledger.spend("provider")
    return sum(line.spent_microusd for line in lines), sum(line.unknown_microusd for line in lines)


def findings(workspace: Workspace, database: str) -> set[str]:
    with Ledger(database, output=workspace.output) as ledger:
        return {finding.kind for finding in ledger.verify().findings}


def manifests(workspace: Workspace) -> list[str]:
    budget = format_usd(AFFORDED * PRICE)
    return [
        workspace.manifest(
            *(f"Picture {number} of {name}" for number in range(JOBS // PROCESSES)),
            file=f"{name}.yaml",
            limits={"total_usd": budget, "concurrency": 8},
        )
        for name in ("north", "east", "south", "west")
    ]


async def test_four_runs_one_killed_and_the_server_restarted_keep_one_budget_to_the_cent(
    workspace: Workspace, simulate: Simulate, database: str, database_server: Postgres
) -> None:
    simulator = await simulate(latency_s=0.3)
    workspace.covered = False  # the coverage of what they run is had by quieter tests
    ended: dict[str, Ended] = {}
    running: dict[str, Running] = {}

    async def one(manifest: str) -> None:
        words = ("run", manifest, "--json", "--quiet", "--no-report", "--ledger", database)
        async with workspace.started(*words) as process:
            running[manifest] = process
            ended[manifest] = await process.end()

    with anyio.fail_after(3 * PATIENCE_S):
        async with anyio.create_task_group() as group:
            for manifest in manifests(workspace):
                group.start_soon(one, manifest)
            await until(lambda: simulator.bill.pictures >= 60)
            running["north.yaml"].signal(signal.SIGKILL)
            await until(lambda: simulator.bill.pictures >= 110)
            await anyio.to_thread.run_sync(database_server.stop)
            await anyio.sleep(AWAY_S)
            await anyio.to_thread.run_sync(database_server.start)
        again = await workspace.run("north.yaml", "--ledger", database)

    assert ended.pop("north.yaml").code == -signal.SIGKILL
    assert {each.code for each in (*ended.values(), again)} <= {0, 4, 5}, [each.err for each in ended.values()]
    assert 4 in {each.code for each in (*ended.values(), again)} or again.code == 5
    _assert_every_cent(workspace, database, simulator)
    assert sum(held(workspace, database)) == AFFORDED * PRICE
    assert findings(workspace, database) <= {"unknown"}
    assert not list(workspace.output.glob(".fluxbatch-ledger-*"))


def _assert_every_cent(workspace: Workspace, database: str, simulator: Simulator) -> None:
    """The provider's bill is what the ledger has spent, with what was billed of the lost answers of the killed run."""
    billed = Counter(charge.prompt for charge in simulator.bill.charges)
    jobs = rows(workspace, database)
    unclear = {row.prompt for row in jobs if row.state == JobState.UNKNOWN}
    assert all("north" in prompt for prompt in unclear)
    assert set(billed.values()) == {1}
    assert {row.prompt for row in jobs if row.state == JobState.STORED} == set(billed) - unclear
    spent, unknown = held(workspace, database)
    assert spent == PRICE * len(set(billed) - unclear)
    assert unknown == PRICE * len(unclear)


async def test_what_is_paid_while_the_server_stays_away_is_recorded_by_the_next_run(
    workspace: Workspace, simulate: Simulate, database: str, database_server: Postgres
) -> None:
    """The answer comes, and the program is killed before the server is back: the picture is fetched all the same."""
    simulator = await simulate(latency_s=2.0)
    manifest = workspace.manifest("One", "Two", "Three")
    spills = workspace.output.glob
    with anyio.fail_after(3 * PATIENCE_S):
        async with workspace.started("run", manifest, "--no-report", "--ledger", database) as running:
            await until(lambda: simulator.bill.requests == 3)
            await anyio.to_thread.run_sync(database_server.stop)
            try:
                with anyio.fail_after(PATIENCE_S):  # long before the run itself gives up
                    await until(lambda: sum(file.read_bytes().count(b"\n") for file in spills(".*-spill-*")) == 3)
                running.signal(signal.SIGKILL)
                await running.end()
            finally:
                await anyio.to_thread.run_sync(database_server.start)
        ended = await workspace.run(manifest, "--ledger", database)
    assert (ended.code, ended.json["reused"] + ended.json["stored"]) == (0, 3), ended.err
    assert simulator.bill.pictures == 3
    assert held(workspace, database) == (3 * PRICE, 0)
    assert findings(workspace, database) == set()
    assert not list(spills(".*-spill-*"))


async def test_a_paused_run_that_was_taken_for_dead_records_what_it_paid_and_buys_no_more(
    workspace: Workspace, simulate: Simulate, database: str
) -> None:
    simulator = await simulate(latency_s=1.0)
    manifest = workspace.manifest(*(f"Picture {number}" for number in range(8)), limits={"concurrency": 2})
    with anyio.fail_after(3 * PATIENCE_S):
        async with workspace.started("run", manifest, "--no-report", "--ledger", database) as running:
            await until(lambda: simulator.bill.requests == 2)
            running.signal(signal.SIGSTOP)
            _forget_writers(database)
            other = await workspace.run(workspace.manifest("Other", file="other.yaml"), "--ledger", database)
            assert other.code == 0, other.err
            unknown = {row.state for row in rows(workspace, database) if row.prompt.startswith("Picture")}
            running.signal(signal.SIGCONT)
            ended = await running.end()
    assert JobState.UNKNOWN in unknown
    assert ended.code == 75, ended.err
    assert "taken for dead" in ended.out
    assert simulator.bill.requests == 3
    assert held(workspace, database) == (3 * PRICE, 0)
    assert findings(workspace, database) == set()


def _forget_writers(database: str) -> None:
    """Let the server have heard of nobody for longer than a run may be silent."""
    import psycopg

    with psycopg.connect(database) as connection:
        connection.execute("UPDATE fluxbatch.writers SET seen_at = seen_at - INTERVAL '10 minutes'")


async def test_a_killed_run_is_known_to_be_dead_at_once_on_its_own_machine(
    workspace: Workspace, simulate: Simulate, database: str
) -> None:
    simulator = await simulate(latency_s=6.0)
    manifest = workspace.manifest("One")
    with anyio.fail_after(PATIENCE_S):
        async with workspace.started("run", manifest, "--ledger", database) as running:
            await until(lambda: simulator.bill.requests == 1)
            second = await workspace.run(manifest, "--ledger", database)
            repairing = await workspace.fluxbatch("ledger", "verify", "--repair", "--ledger", database)
            running.signal(signal.SIGKILL)
            await running.end()
        third = await workspace.run(manifest, "--ledger", database)
    assert (second.code, third.code) == (75, 5), third.err
    assert "only different manifests or editions share a ledger" in second.err
    assert repairing.code == 75
    assert f"process {running.pid} on " in repairing.err
    assert third.json["unknown"] == 1


async def test_no_command_tells_the_servers_password(workspace: Workspace, simulate: Simulate, database: str) -> None:
    """Nor does anything that is written; libpq takes it from the environment as well."""
    await simulate()
    secret = database.replace("postgres:@", "postgres:pass-w0rd@")
    assert secret != database
    manifest = workspace.manifest("One")
    at = ("--ledger", secret)
    told = [
        await workspace.run(manifest, *at, report=True),
        await workspace.fluxbatch("plan", manifest, *at),
        await workspace.fluxbatch("status", "--json", *at),
        await workspace.fluxbatch("ledger", "verify", "--json", *at),
        await workspace.fluxbatch("ledger", "spend", *at),
        await workspace.fluxbatch("ledger", "export", *at),
        await workspace.fluxbatch("report", *at),
        await workspace.fluxbatch("prune", *at),
        await workspace.fluxbatch("explain", rows(workspace, database)[0].key[:8], *at),
        await workspace.fluxbatch("ledger", "migrate", *at),
    ]
    assert [each.code for each in told] == [0] * len(told), [each.err for each in told]
    told += [
        await workspace.fluxbatch("status", "--debug", "--ledger", address(secret, "no-such-database")),
        await workspace.fluxbatch("status", "--debug", "--ledger", "postgresql://u:pass-w0rd@[broken/db"),
        await workspace.fluxbatch("status", "--debug", "--ledger", "postgresql://u:pass-w0rd@127.0.0.1:1/db"),
        await workspace.fluxbatch("status", "--debug", "--ledger", "postgresql://u:pass-w0rd@h/db?no_such=pass-w0rd"),
        await workspace.fluxbatch("cron", "show", manifest, *at),
    ]
    assert [each.code for each in told[-5:]] == [78, 64, 74, 64, 64], [each.err for each in told[-5:]]
    assert not [each for each in told if "pass-w0rd" in each.out + each.err]
    written = [file for file in workspace.output.rglob("*") if file.is_file()]
    assert not [file for file in written if b"pass-w0rd" in file.read_bytes()]


@pytest.mark.parametrize("words", [("ledger", "verify"), ("plan", "batch.yaml"), ("run", "batch.yaml", "--json")])
async def test_pictures_are_looked_for_only_in_the_folder_that_is_the_ledgers(
    workspace: Workspace, simulate: Simulate, database: str, words: tuple[str, ...]
) -> None:
    """Or all of them would count as gone, and might be bought again."""
    simulator = await simulate()
    manifest = workspace.manifest("One")
    assert (await workspace.run(manifest, "--ledger", database)).code == 0
    ended = await workspace.fluxbatch(*words, "--ledger", database, "--output", "elsewhere")
    assert ended.code == 73
    assert "not the folder whose pictures" in ended.err
    (workspace.root / "output").rename(workspace.root / "moved")
    moved = await workspace.fluxbatch("ledger", "verify", "--ledger", database, "--output", "moved")
    assert moved.code == 0, moved.err
    within = await workspace.run(manifest, "--ledger", database, "--output", "moved/within")
    assert (within.code, within.json["reused"], simulator.bill.pictures) == (0, 1, 1), within.err
