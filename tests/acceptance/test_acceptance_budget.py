"""The budget is a wall, however many requests push against it at once."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.acceptance.conftest import Simulate
from tests.acceptance.stage import Workspace, money, spent_usd

SCENES = tuple(f"Scene {number:02}" for number in range(60))
#: Ten pictures and a bit of an eleventh.
TEN_USD = 0.36


@pytest.mark.parametrize(
    ("limits", "words", "scope", "needs"),
    [
        ({}, ("--budget", "0.36"), "this manifest", "a larger budget_usd in the manifest, or --budget"),
        ({"budget_usd": TEN_USD}, (), "this manifest", "a larger budget_usd in the manifest, or --budget"),
        ({"daily_usd": TEN_USD}, (), "day ", "a larger daily_usd in the manifest, or another day"),
        ({"monthly_usd": TEN_USD}, (), "month ", "a larger monthly_usd in the manifest, or another month"),
        ({"total_usd": TEN_USD}, (), "the whole ledger", "a larger total_usd in the manifest"),
        ({"budget_usd": 2, "total_usd": TEN_USD}, (), "the whole ledger", "a larger total_usd in the manifest"),
    ],
    ids=["option", "budget_usd", "daily_usd", "monthly_usd", "total_usd", "the_lower_of_two"],
)
async def test_the_bill_never_passes_the_cap(
    workspace: Workspace, simulate: Simulate, limits: Mapping[str, Any], words: tuple[str, ...], scope: str, needs: str
) -> None:
    simulator = await simulate(latency_s=0.05)
    ended = await workspace.run(workspace.manifest(*SCENES, limits=limits), "--concurrency", "50", *words)
    assert ended.code == 4, ended.err
    assert simulator.bill.charged_usd == ended.json["spend_usd"] == spent_usd(workspace) == "0.350"
    assert (ended.json["stored"], ended.json["skipped"], ended.json["failed"]) == (10, 50, 0)
    assert f"the budget of {scope}" in ended.err
    assert f"The rest needs {needs}; then: fluxbatch run batch.yaml --concurrency 50\n" in ended.err


async def test_unknown_money_counts_against_the_budget(workspace: Workspace, simulate: Simulate) -> None:
    simulator = await simulate()
    prompts = [f"{scene} [fault:lost]" for scene in SCENES]
    ended = await workspace.run(workspace.manifest(*prompts), "--concurrency", "50", "--budget", "0.20")
    assert ended.code == 5  # unknown money is more serious than a budget that is used up
    assert money(ended.json) == ("0.000", "0.175")
    assert simulator.bill.charged_usd == "0.175"


async def test_refusals_give_their_reservations_back(workspace: Workspace, simulate: Simulate) -> None:
    simulator = await simulate(latency_s=0.02)
    prompts = [f"{scene} [fault:moderated]" if n % 2 else scene for n, scene in enumerate(SCENES[:40])]
    ended = await workspace.run(workspace.manifest(*prompts), "--concurrency", "50", "--budget", "0.735")
    assert (ended.code, ended.json["stored"], ended.json["failed"]) == (3, 20, 20)
    assert simulator.bill.charged_usd == "0.700"


async def test_raising_the_budget_goes_on(workspace: Workspace, simulate: Simulate) -> None:
    simulator = await simulate()
    manifest = workspace.manifest(*SCENES[:20], limits={"budget_usd": TEN_USD})
    await workspace.run(manifest)
    same = await workspace.run(manifest)
    assert (same.code, same.json["spend_usd"], same.json["reused"]) == (4, "0.000", 10)
    raised = await workspace.run(manifest, "--budget", "0.70")
    assert (raised.code, raised.json["stored"], raised.json["reused"]) == (0, 10, 10)
    assert simulator.bill.charged_usd == raised.json["manifest_spend_usd"] == "0.700"


async def test_a_ledgers_cap_holds_across_manifests(workspace: Workspace, simulate: Simulate) -> None:
    simulator = await simulate()
    limits = {"total_usd": TEN_USD}
    first = workspace.manifest(*SCENES[:8], file="first.yaml", limits=limits)
    second = workspace.manifest(*SCENES[8:16], file="second.yaml", limits=limits)
    ended = await workspace.fluxbatch("run", first, second, "--json")
    assert (ended.code, ended.json["stored"], ended.json["skipped"]) == (4, 10, 6)
    assert simulator.bill.charged_usd == "0.350"


async def test_without_a_budget_the_plans_worst_case_is_one(workspace: Workspace, simulate: Simulate) -> None:
    await simulate()
    ended = await workspace.run(workspace.manifest(*SCENES[:3]))
    assert (ended.code, ended.json["budget_usd"]) == (0, "0.105")


async def test_a_budget_below_one_picture_buys_none(workspace: Workspace, simulate: Simulate) -> None:
    simulator = await simulate()
    ended = await workspace.run(workspace.manifest("A cat"), "--budget", "0")
    assert (ended.code, ended.json["skipped"], simulator.bill.requests) == (4, 1, 0)
