"""``fluxbatch fleet``: handed out, worked at, looked at, stopped and called off, by commands alone."""

import signal
from collections.abc import Awaitable, Callable

import anyio
import pytest

from pipeline.simulator import Simulator
from tests.acceptance.conftest import Simulate
from tests.acceptance.stage import PATIENCE_S, Ended, Workspace, until

Command = Callable[..., Awaitable[Ended]]


@pytest.fixture
def fleet(workspace: Workspace, database: str) -> Command:
    """A fleet's command on this test's database."""

    async def command(*words: str) -> Ended:
        return await workspace.fluxbatch("fleet", *words, "--ledger", database)

    return command


async def told(fleet: Command, words: str) -> str:
    """What ``fleet status`` tells once these words are in it."""
    while True:
        status = await fleet("status")
        if words in status.out:
            return status.out


async def test_a_manifest_is_handed_out_bought_and_told_of(
    workspace: Workspace, simulate: Simulate, database: str, fleet: Command
) -> None:
    simulator = await simulate(latency_s=0.05)
    manifest = workspace.manifest(*(f"Picture {number}" for number in range(7)), limits={"budget_usd": "1.00"})

    nothing = await fleet("status")
    assert "nothing was submitted" in nothing.out

    made = await fleet("submit", manifest, "--shard-size", "3", "--json")
    assert made.code == 0, made.err
    told = made.json
    assert (told["manifest"], told["jobs"], told["new"], told["shards"], told["budget_usd"]) == (
        "batch",
        7,
        7,
        3,
        "1.00",
    )
    again = await fleet("submit", manifest)
    assert "0 of 7 jobs handed out, 7 handed out before; the budget is $1.00" in again.out
    assert "-> fluxbatch fleet worker --ledger" in again.out

    before = await fleet("status")
    assert "7 planned" in before.out
    assert "3 waiting" in before.out
    assert "no worker is there" in before.out

    worked = await fleet("worker", "--until-done", "--json")
    assert worked.code == 0, worked.err
    assert (worked.json["shards"], worked.json["stored"], worked.json["spend_usd"]) == (3, 7, "0.245")
    assert "batch #1: 3 stored" in worked.err

    after = (await fleet("status", "--json")).json
    [line] = after["manifests"]
    assert line["states"] == {"stored": 7}
    assert line["shards"] == {"waiting": 0, "running": 0, "finished": 3}
    assert (line["spend_usd"], line["unknown_usd"], line["on_order_usd"]) == ("0.245", "0.000", "0.000")
    assert simulator.bill.pictures == 7

    report = await workspace.fluxbatch("report", "--ledger", database)
    assert report.code == 0, report.err
    verified = await workspace.fluxbatch("ledger", "verify", "--ledger", database)
    assert verified.code == 0, verified.out


async def test_sigterm_drains_a_worker_and_another_goes_on(
    workspace: Workspace, simulate: Simulate, database: str, fleet: Command
) -> None:
    simulator = await simulate(latency_s=0.2)
    limits = {"budget_usd": "10.00", "concurrency": 4}
    manifest = workspace.manifest(*(f"Picture {number}" for number in range(60)), limits=limits)
    assert (await fleet("submit", manifest, "--shard-size", "30")).code == 0
    with anyio.fail_after(PATIENCE_S):
        async with workspace.started("fleet", "worker", "--ledger", database) as running:
            await until(lambda: simulator.bill.pictures >= 6)
            assert "1 running" in await told(fleet, "batch #1:")
            running.signal(signal.SIGTERM)
            ended = await running.end()
        assert ended.code == 0, ended.err
        assert "SIGTERM: buying has stopped" in ended.err
        bought = simulator.bill.pictures
        assert bought < 60
        assert (await fleet("status", "--json")).json["manifests"][0]["states"] == {
            "planned": 60 - bought,
            "stored": bought,
        }
        rest = await fleet("worker", "--until-done")
    assert rest.code == 0, rest.err
    assert simulator.bill.pictures == 60
    assert (await fleet("status", "--json")).json["manifests"][0]["states"] == {"stored": 60}


async def test_work_is_called_off_by_name_or_all_of_it(
    workspace: Workspace, simulator: Simulator, fleet: Command
) -> None:
    for name in ("one", "two"):
        manifest = workspace.manifest("A cat", file=f"{name}.yaml", limits={"budget_usd": "1.00"})
        assert (await fleet("submit", manifest)).code == 0
    unsure = await fleet("cancel")
    assert (unsure.code, unsure.err.splitlines()[0]) == (64, "fluxbatch: name manifests, or say --all")
    unknown = await fleet("cancel", "three")
    assert (unknown.code, "not submitted" in unknown.err) == (66, True)
    one = await fleet("cancel", "one")
    assert "one: 1 shard called off" in one.out
    rest = await fleet("cancel", "--all", "--json")
    assert rest.json["cancelled"] == {"one": 0, "two": 1}
    worked = await fleet("worker", "--until-done")
    assert worked.code == 0, worked.err
    assert simulator.bill.requests == 0


@pytest.mark.parametrize(
    "words", [("submit", "batch.yaml"), ("worker",), ("status",), ("cancel", "--all")], ids=" ".join
)
async def test_a_ledger_that_is_a_file_is_no_fleets(
    workspace: Workspace, simulator: Simulator, words: tuple[str, ...]
) -> None:
    workspace.manifest("A cat")
    ended = await workspace.fluxbatch("fleet", *words, "--ledger", "ledger.db")
    assert ended.code == 64
    assert ended.err.splitlines() == [
        "fluxbatch: --ledger ledger.db: a fleet's ledger is on a server",
        "  -> postgresql://HOST/DATABASE",
    ]


@pytest.mark.parametrize(
    "words", [("submit", "batch.yaml"), ("worker",), ("status",), ("cancel", "--all")], ids=" ".join
)
async def test_a_server_that_is_not_there_is_said_in_one_line(
    workspace: Workspace, simulator: Simulator, words: tuple[str, ...]
) -> None:
    workspace.manifest("A cat", limits={"budget_usd": "1.00"})
    ended = await workspace.fluxbatch("fleet", *words, "--ledger", "postgresql://me:secret-word@127.0.0.1:1/fleet")
    assert ended.code == 74
    assert ended.err.startswith("fluxbatch: postgresql://me@127.0.0.1:1/fleet: the database cannot be reached")
    assert "secret-word" not in ended.err
    assert "Traceback" not in ended.err


async def test_a_bad_manifest_hands_nothing_out(workspace: Workspace, simulator: Simulator, fleet: Command) -> None:
    good = workspace.manifest("A cat", file="good.yaml")
    workspace.write("bad.yaml", "version: 1\n")
    ended = await fleet("submit", good, "bad.yaml")
    assert ended.code == 65
    assert "nothing was submitted" in (await fleet("status")).out


async def test_without_a_key_a_worker_ends_with_78_and_the_work_stays(
    workspace: Workspace, simulator: Simulator, fleet: Command
) -> None:
    manifest = workspace.manifest("A cat", provider="apiyi", limits={"budget_usd": "1.00"})
    workspace.environment.pop("FLUXBATCH_API_KEY")
    assert (await fleet("submit", manifest)).code == 0, "to hand out takes no key"
    ended = await fleet("worker")
    assert ended.code == 78
    assert "FLUXBATCH_API_KEY is not set" in ended.err
    assert (await fleet("status", "--json")).json["manifests"][0]["shards"]["waiting"] == 1
