"""Several providers, and one that is asked after: the installed command against real servers, killed and run again."""

import signal
from typing import Any

import aiohttp
import anyio
import apsw

from pipeline.ledger import Ledger
from pipeline.simulator import Simulator
from pipeline.simulator.settings import VENDOR_TASKS, VENDOR_TASKS_BY_MODEL
from tests.acceptance.conftest import Simulate
from tests.acceptance.secrecy import KEY
from tests.acceptance.stage import PATIENCE_S, Workspace, assert_proven, money, spent_usd, until


def point(workspace: Workspace, **simulators: Simulator) -> None:
    """Let commands find each provider at its simulator, and nobody else."""
    workspace.environment.pop("FLUXBATCH_BASE_URL", None)
    for name, simulator in simulators.items():
        workspace.environment[f"FLUXBATCH_BASE_URL_{name.upper()}"] = simulator.base_url
    workspace.environment |= {"BFL_API_KEY": KEY, "FLUXBATCH_API_KEY": KEY}


def submitted(workspace: Workspace) -> int:
    """How many attempts the ledger knows to be taken by their provider and not settled."""
    if not workspace.ledger.exists():
        return 0
    connection = apsw.Connection(str(workspace.ledger), flags=apsw.SQLITE_OPEN_READONLY)
    connection.set_busy_timeout(5_000)  # it is busy for a moment when several processes open it
    try:
        found: Any = connection.execute(
            "SELECT count(*) FROM attempts WHERE money = 'reserved' AND submitted_at IS NOT NULL"
        ).get
    finally:
        connection.close()
    return int(found or 0)


async def test_the_next_provider_serves_when_the_first_has_no_money_left(
    workspace: Workspace, simulate: Simulate
) -> None:
    first, second = await simulate(balance_microusd=70_000), await simulate()
    point(workspace, apiyi=first, bfl=second)
    manifest = workspace.manifest(
        *(f"Boat {number}" for number in range(6)),
        provider=["apiyi", "bfl"],
        limits={"concurrency": 1, "budget_usd": "0.30"},
    )
    ended = await workspace.run(manifest)
    assert ended.code == 0, ended.err
    assert "apiyi was left out for the rest of this run" in ended.err
    assert (first.bill.pictures, second.bill.pictures) == (2, 4)
    assert money(ended.json) == ("0.230", "0.000")
    assert ended.json["providers"] == {
        "apiyi": {"pictures": 2, "spend_usd": "0.070"},
        "bfl": {"pictures": 4, "spend_usd": "0.160"},
    }
    assert "Bought: 2 at apiyi for $0.070, 4 at bfl for $0.160" in ended.err
    assert sorted((row.provider, row.spend_usd) for row in workspace.rows()) == [
        *[("apiyi", "0.035")] * 2,
        *[("bfl", "0.040")] * 4,
    ]
    for row in workspace.rows():
        assert_proven(workspace, row)
    with Ledger(workspace.ledger) as ledger:
        assert {line.group: line.spent_microusd for line in ledger.spend("provider")} == {
            "apiyi": 70_000,
            "bfl": 160_000,
        }
    again = await workspace.run(manifest)
    assert (again.code, again.json["reused"]) == (0, 6), "the same pictures, whoever made them"


async def test_the_plan_reckons_with_the_dearest_that_may_serve(workspace: Workspace, simulate: Simulate) -> None:
    simulator = await simulate()
    point(workspace, apiyi=simulator, bfl=simulator)
    manifest = workspace.manifest("One", provider=["apiyi", "bfl"])
    ended = await workspace.fluxbatch("plan", manifest, "--json")
    assert ended.json["worst_case_usd"] == "0.040"
    ended = await workspace.run(manifest)
    assert money(ended.json) == ("0.035", "0.000")
    ended = await workspace.fluxbatch(
        "plan", workspace.manifest(["Two", "1:1", "flux-2-pro"], provider=["apiyi", "bfl"], file="two.yaml")
    )
    assert "bfl is not asked for flux-2-pro: no price is stated there" in ended.out


async def test_one_address_for_two_providers_is_refused_before_anything_is_bought(
    workspace: Workspace, simulator: Simulator
) -> None:
    manifest = workspace.manifest("One", provider=["apiyi", "bfl"])
    workspace.environment["BFL_API_KEY"] = KEY
    ended = await workspace.run(manifest)
    assert ended.code == 78
    assert "FLUXBATCH_BASE_URL_APIYI" in ended.err
    assert simulator.bill.requests == 0


async def test_a_run_killed_while_the_vendor_draws_is_paid_once_and_completed_by_the_next(
    workspace: Workspace, simulate: Simulate
) -> None:
    vendor = await simulate(latency_s=5.0, keys=frozenset({KEY}))
    point(workspace, bfl=vendor)
    prompts = [f"Ship {number}" for number in range(4)]
    manifest = workspace.manifest(*prompts, provider="bfl")
    with anyio.fail_after(PATIENCE_S):
        async with workspace.started("run", manifest, "--no-report") as running:
            await until(lambda: submitted(workspace) == len(prompts))
            running.signal(signal.SIGKILL)
            await running.end()
        verified = await workspace.fluxbatch("ledger", "verify")
        assert "the next run with that provider asks after it" in " ".join(verified.out.split())
        ended = await workspace.run(manifest, "--resend-unknown", "--retry-failed", "--rebuy-lost")
    assert ended.code == 0, ended.err
    assert "4 bought and not stored by an earlier run: fetched first" in ended.err
    assert workspace.states() == {"stored": 4}
    assert (vendor.bill.requests, vendor.bill.pictures) == (4, 4), "submitted once, charged once"
    assert spent_usd(workspace) == "0.160"
    assert workspace.findings() == set()


async def test_only_a_lost_answer_to_the_submission_is_unknown(workspace: Workspace, simulate: Simulate) -> None:
    vendor = await simulate()
    point(workspace, bfl=vendor)
    prompts = [
        "Fine",
        "Lost [fault:lost]",
        "Asked for too much [fault:task_request_moderated]",
        "Drawn too much [fault:task_content_moderated]",
        "Hard to ask after [fault:poll_500*2]",
        "Failed [fault:task_error]",
    ]
    ended = await workspace.run(workspace.manifest(*prompts, provider="bfl"))
    assert ended.code == 5, ended.err
    assert {row.prompt.split()[0]: row.state for row in workspace.rows()} == {
        "Fine": "stored",
        "Lost": "unknown",
        "Asked": "failed",
        "Drawn": "failed",
        "Hard": "stored",
        "Failed": "unknown",
    }
    assert money(ended.json) == ("0.080", "0.080")


async def test_the_vendors_limits_on_active_tasks_only_slow_a_run(workspace: Workspace, simulate: Simulate) -> None:
    """A task is active until its picture is ready, so what is in flight to the pace is what the vendor counts."""
    vendor = await simulate(
        latency_s=0.4, active_tasks=VENDOR_TASKS, active_tasks_by_model=VENDOR_TASKS_BY_MODEL, keys=frozenset({KEY})
    )
    point(workspace, bfl=vendor)
    jobs = [[f"Ship {number}", "1:1", "flux-kontext-max"] for number in range(16)]
    ended = await workspace.run(workspace.manifest(*jobs, provider="bfl", limits={"concurrency": 16}))
    assert (ended.code, ended.json["stored"], ended.json["failed"]) == (0, 16, 0), ended.err
    assert (vendor.bill.pictures, spent_usd(workspace)) == (16, "1.280")


async def test_a_vendor_that_charges_more_than_budgets_count_is_told_of_once(
    workspace: Workspace, simulate: Simulate
) -> None:
    """Flux 2 costs by the megapixel there; a price that somebody stated may be too low, and the budget then no wall."""
    vendor = await simulate(prices_microusd={"flux-2-pro": 45_000, "flux-kontext-pro": 40_000})
    point(workspace, bfl=vendor)
    jobs = [*([f"Ship {number}", "1:1", "flux-2-pro"] for number in range(3)), ["Boat", "1:1", "flux-kontext-pro"]]
    provider = {"profile": "bfl", "prices": {"flux-2-pro": 0.03}}
    ended = await workspace.run(workspace.manifest(*jobs, provider=provider))
    assert (ended.code, ended.json["stored"]) == (0, 4), ended.err
    told = "bfl says that a picture of flux-2-pro costs $0.045, and budgets count $0.030"
    assert (ended.err.count(told), ended.err.count("bfl says")) == (1, 1)


async def test_the_simulator_has_the_vendors_limits_when_told_to(workspace: Workspace) -> None:
    words = ("simulate", "--port", "0", "--latency", "60", "--spread", "0", "--vendor-limits")
    with anyio.fail_after(PATIENCE_S):
        async with workspace.started(*words) as serving, aiohttp.ClientSession() as session:
            root = (await serving.first_line()).partition("=")[2]

            async def submitted(model: str) -> int:
                async with session.post(f"{root}/{model}", json={"prompt": "a"}, headers={"x-key": KEY}) as answer:
                    return answer.status

            assert [await submitted("flux-kontext-max") for _ in range(7)] == [200] * 6 + [429]
            assert [await submitted("flux-kontext-pro") for _ in range(19)] == [200] * 18 + [429]
