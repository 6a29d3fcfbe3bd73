"""Money that bought nothing, settled by a person who has read the provider's bill."""

import signal

import anyio

from pipeline.simulator import Simulator
from tests.acceptance.conftest import Simulate
from tests.acceptance.stage import PATIENCE_S, Workspace, assert_told, money, until

LOST = "One [fault:lost*1]"


async def unknown(workspace: Workspace) -> str:
    """Buy with one answer lost; the manifest."""
    manifest = workspace.manifest(LOST, "Two", limits={"budget_usd": 1})
    ended = await workspace.run(manifest)
    assert (ended.code, ended.json["unknown"]) == (5, 1)
    return manifest


async def test_what_was_not_billed_is_bought_by_the_next_run(workspace: Workspace, simulator: Simulator) -> None:
    manifest = await unknown(workspace)
    key = workspace.row(LOST).key
    settled = await workspace.fluxbatch("ledger", "resolve", key[:8], "--not-billed")
    assert (settled.code, settled.out) == (
        0,
        f"{key[:12]}: $0.035: not billed: the next run buys it\n-> fluxbatch ledger verify\n",
    )
    assert (await workspace.fluxbatch("ledger", "verify")).code == 0
    again = await workspace.run(manifest)
    assert (again.code, again.json["stored"], again.json["reused"]) == (0, 1, 1)
    assert money(again.json) == ("0.035", "0.000")


async def test_what_was_billed_is_accepted_and_never_bought_by_itself(
    workspace: Workspace, simulator: Simulator
) -> None:
    manifest = await unknown(workspace)
    settled = await workspace.fluxbatch("ledger", "resolve", "--unknown", "--billed", "--json")
    assert settled.json["settled"][0]["after"] == "lost"
    again = await workspace.run(manifest)
    assert (again.code, again.json["lost"], again.json["manifest_unknown_usd"]) == (0, 1, "0.000")
    assert again.json["manifest_spend_usd"] == simulator.bill.charged_usd == "0.070"
    rebought = await workspace.run(manifest, "--rebuy-lost")
    assert (rebought.code, rebought.json["stored"]) == (0, 1)


async def test_a_loss_left_open_by_its_resend_needs_a_second_word(workspace: Workspace, simulator: Simulator) -> None:
    manifest = await unknown(workspace)
    resent = await workspace.run(manifest, "--resend-unknown")
    assert (resent.code, resent.json["stored"], resent.json["manifest_unknown_usd"]) == (0, 1, "0.035")
    settled = await workspace.fluxbatch("ledger", "resolve", "--unknown", "--billed")
    assert settled.out.endswith("billed; the job is stored\n-> fluxbatch ledger verify\n")
    nothing = await workspace.fluxbatch("ledger", "resolve", "--unknown", "--billed")
    assert (nothing.code, nothing.out) == (0, "no money is unknown\n-> fluxbatch ledger verify\n")


async def test_what_is_not_said_is_asked_for(workspace: Workspace, simulator: Simulator) -> None:
    await unknown(workspace)
    key = workspace.row(LOST).key
    assert_told(await workspace.fluxbatch("ledger", "resolve", key), 64, "--billed or --not-billed", "  -> ")
    assert_told(await workspace.fluxbatch("ledger", "resolve", "--billed"), 64, "--unknown", "  -> ")
    assert_told(await workspace.fluxbatch("ledger", "resolve", "abc", "--billed"), 64, "abc", "  -> ")
    assert_told(await workspace.fluxbatch("ledger", "resolve", "f" * 64, "--billed"), 66, "  -> ")
    stored = workspace.row("Two").key
    assert_told(await workspace.fluxbatch("ledger", "resolve", stored, "--billed"), 64, "stored", "  -> ")
    assert workspace.states() == {"stored": 1, "unknown": 1}


async def test_verify_repairs_what_needs_no_person_and_says_what_is_left(
    workspace: Workspace, simulate: Simulate
) -> None:
    simulator = await simulate(latency_s=2.0)
    with anyio.fail_after(PATIENCE_S):
        async with workspace.started("run", workspace.manifest("One", "Two"), "--json") as running:
            await until(lambda: simulator.bill.requests == 2)
            busy = await workspace.fluxbatch("ledger", "verify", "--repair")
            running.signal(signal.SIGKILL)
            await running.end()
    assert_told(busy, 75, "another run holds this ledger")
    before = await workspace.fluxbatch("ledger", "verify")
    assert (before.code, before.out.splitlines()[0].partition(":")[0]) == (5, "dead"), before.out
    mended = await workspace.fluxbatch("ledger", "verify", "--repair")
    assert mended.code == 5
    assert "repaired: 2 reserved by runs that died, $0.070: held as unknown" in mended.out
    assert "of the last day" in mended.out
    told = await workspace.fluxbatch("ledger", "verify", "--repair", "--json")
    assert (told.json["repaired"], [each["kind"] for each in told.json["findings"]]) == ([], ["unknown"])
    missing = await workspace.fluxbatch("ledger", "verify", "--repair", "--ledger", "none.db")
    assert missing.code == 66
    assert not (workspace.root / "none.db.lock").exists()
