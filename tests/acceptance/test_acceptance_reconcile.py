"""``fluxbatch reconcile``: which lost answers were billed, what nobody recorded, and agreement once all is settled."""

import json
from typing import Any

import aiohttp
import anyio
import pytest

from pipeline.simulator import Simulator
from tests.acceptance.conftest import Simulate
from tests.acceptance.secrecy import TOKEN
from tests.acceptance.stage import PATIENCE_S, Workspace, assert_told

PRO, MAX = "flux-kontext-pro", "flux-kontext-max"
#: Billed, and its answer names it; billed, and nothing of its answer came; never billed.
NAMED, LOST, UNBILLED = "One [fault:gateway_504*1]", "Two [fault:lost*1]", "Three [fault:lost_before_charge*1]"


async def lossy(workspace: Workspace, simulate: Simulate, **settings: Any) -> Simulator:
    """A run of five good pictures and three lost answers, at a provider with a log."""
    simulator = await simulate(log_tokens=frozenset({TOKEN}), **settings)
    workspace.environment["FLUXBATCH_LOG_TOKEN"] = TOKEN
    good = [[f"Good {number}", "1:1", PRO] for number in range(5)]
    manifest = workspace.manifest([NAMED, "1:1", PRO], [LOST, "1:1", MAX], [UNBILLED, "1:1", PRO], *good)
    ended = await workspace.run(manifest)
    assert (ended.code, ended.json["unknown"], ended.json["stored"]) == (5, 3, 5), ended.err
    return simulator


async def findings(workspace: Workspace, *words: str) -> dict[str, Any]:
    """Reconcile; what each kind of finding says."""
    ended = await workspace.fluxbatch("reconcile", "--json", *words)
    assert ended.code in {0, 5}, ended.err
    assert ended.code == ended.json["exit_code"]
    assert TOKEN not in ended.out + ended.err
    return {finding["kind"]: finding for finding in ended.json["findings"]}


async def resolve(workspace: Workspace, finding: dict[str, Any]) -> None:
    for keys, word in ((finding["resolve_billed"], "--billed"), (finding["resolve_not_billed"], "--not-billed")):
        if keys:
            assert (await workspace.fluxbatch("ledger", "resolve", *keys, word)).code == 0


async def buy_elsewhere(simulator: Simulator, model: str = MAX) -> None:
    body = {"model": model, "prompt": "somebody else's"}
    with anyio.fail_after(PATIENCE_S):
        async with aiohttp.ClientSession() as session:
            await session.post(simulator.base_url + "/images/generations", json=body)


@pytest.mark.parametrize("form", ["list", "items"])
async def test_it_tells_which_lost_answers_were_billed_and_agrees_once_they_are_settled(
    workspace: Workspace, simulate: Simulate, form: str
) -> None:
    simulator = await lossy(workspace, simulate, log_form=form)
    before = workspace.ledger.read_bytes()
    found = await findings(workspace)
    assert workspace.ledger.read_bytes() == before
    assert set(found) == {"billed", "probably_billed", "not_billed"}
    assert found["billed"]["resolve_billed"] == [workspace.row(NAMED).key]
    assert found["probably_billed"]["resolve_billed"] == [workspace.row(LOST).key]
    assert found["not_billed"]["resolve_not_billed"] == [workspace.row(UNBILLED).key]
    for finding in found.values():
        await resolve(workspace, finding)
    ended = await workspace.fluxbatch("reconcile", "--json")
    assert (ended.code, ended.json["findings"]) == (0, [])
    total = ended.json["total"]
    assert total["spend_usd"] == total["billed_usd"] == simulator.bill.charged_usd
    assert (total["spent"], total["unknown"], total["difference"]) == (7, 0, 0)
    told = await workspace.fluxbatch("reconcile")
    assert (told.code, "ledger and log agree" in told.out) == (0, True), told.out


async def test_without_names_in_the_log_the_times_tell(workspace: Workspace, simulate: Simulate) -> None:
    """The two of one model were lost at the same moment: the sum is known, and as many are settled as were billed."""
    await lossy(workspace, simulate, log_request_ids=False)
    found = await findings(workspace)
    assert set(found) == {"perhaps_billed", "probably_billed"}
    assert (found["perhaps_billed"]["count"], len(found["perhaps_billed"]["resolve_billed"])) == (2, 1)
    for finding in found.values():
        await resolve(workspace, finding)
    assert await findings(workspace) == {}


async def test_the_commands_it_prints_settle_what_they_say(workspace: Workspace, simulate: Simulate) -> None:
    await lossy(workspace, simulate)
    ended = await workspace.fluxbatch("reconcile")
    commands = [line.partition("-> fluxbatch ")[2].split() for line in ended.out.splitlines() if "-> fluxbatch" in line]
    assert (ended.code, len(commands)) == (5, 3), ended.out
    for words in commands:
        settled = await workspace.fluxbatch(*words)
        assert settled.code == 0, settled.err
    assert (await workspace.fluxbatch("reconcile")).code == 0


async def test_what_nobody_recorded_is_loud(workspace: Workspace, simulate: Simulate) -> None:
    simulator = await simulate()
    workspace.environment["FLUXBATCH_LOG_TOKEN"] = TOKEN
    assert (await workspace.run(workspace.manifest("One"))).code == 0
    assert await findings(workspace) == {}
    await buy_elsewhere(simulator)
    found = await findings(workspace)
    assert (list(found), found["unrecorded"]["amount_usd"]) == (["unrecorded"], "0.070")
    (entry,) = found["unrecorded"]["entries"]
    assert (entry["model"], entry["request_id"]) == (MAX, simulator.bill.charges[-1].request_id)
    told = await workspace.fluxbatch("reconcile")
    assert told.code == 5
    assert entry["request_id"] in told.out
    assert "this ledger knows nothing of" in told.out
    assert await findings(workspace, "--token-name", "another") != {}
    yesterday = await workspace.fluxbatch("reconcile", "--until", "2026-01-01")
    assert (yesterday.code, "nothing in the ledger, nothing in the log" in yesterday.out) == (0, True), yesterday.out


async def test_another_price_is_shown(workspace: Workspace, simulate: Simulate) -> None:
    await simulate(prices_microusd={PRO: 28_000})
    workspace.environment["FLUXBATCH_LOG_TOKEN"] = TOKEN
    manifest = workspace.manifest("One", "Two")
    assert (await workspace.run(manifest)).code == 0
    found = await findings(workspace, manifest)
    assert (list(found), found["price"]["amount_usd"]) == (["price"], "-0.014")


async def test_make_believe_money_is_compared_with_the_simulators_log(workspace: Workspace, simulate: Simulate) -> None:
    await simulate(log_tokens=frozenset({TOKEN}))
    workspace.environment["FLUXBATCH_LOG_TOKEN"] = TOKEN
    assert (await workspace.run(workspace.manifest("One", provider="simulator"))).code == 0
    assert await findings(workspace) == {}  # the only provider of the ledger
    told = await workspace.fluxbatch("reconcile", "--provider", "apiyi", "--json")
    assert (told.code, told.json["total"]["spent"], told.json["total"]["billed"]) == (5, 0, 1)


async def test_the_token_may_stand_in_a_file(workspace: Workspace, simulate: Simulate) -> None:
    await lossy(workspace, simulate)
    file = workspace.write("token", TOKEN + "\n")
    file.chmod(0o600)
    del workspace.environment["FLUXBATCH_LOG_TOKEN"]
    workspace.environment["FLUXBATCH_LOG_TOKEN_FILE"] = str(file)
    assert "billed" in await findings(workspace)
    file.chmod(0o644)
    assert_told(await workspace.fluxbatch("reconcile"), 78, "FLUXBATCH_LOG_TOKEN_FILE", "0644")


async def test_what_keeps_it_from_comparing_has_its_exit_code(workspace: Workspace, simulate: Simulate) -> None:
    workspace.output.mkdir()
    assert_told(await workspace.fluxbatch("reconcile"), 66, "no such ledger")
    await lossy(workspace, simulate)
    for words in (
        ("--since", "yesterday"),
        ("--since", "2026-02-02", "--until", "2026-02-01"),
        ("--provider", "nobody"),
        ("batch.yaml", "--provider", "apiyi"),
    ):
        assert_told(await workspace.fluxbatch("reconcile", *words), 64, "  -> ")
    workspace.environment["FLUXBATCH_LOG_TOKEN"] = "wrong-canary-token"
    refused = await workspace.fluxbatch("reconcile", "--debug")
    assert refused.code == 77
    assert "refuses the log token" in refused.err
    assert "wrong-canary-token" not in refused.err
    workspace.environment["FLUXBATCH_LOG_TOKEN"] = ""
    assert_told(await workspace.fluxbatch("reconcile"), 78, "no token for the provider's log", "FLUXBATCH_LOG_TOKEN")
    told = await workspace.fluxbatch("reconcile", "--json")
    assert json.loads(told.out)["exit_code"] == 78
    del workspace.environment["FLUXBATCH_BASE_URL"]
    workspace.environment["FLUXBATCH_LOG_TOKEN"] = TOKEN
    assert_told(await workspace.fluxbatch("reconcile", "--provider", "simulator"), 78, "fluxbatch simulate")


async def test_a_provider_that_is_away_is_told(workspace: Workspace, simulate: Simulate) -> None:
    simulator = await simulate()
    workspace.environment["FLUXBATCH_LOG_TOKEN"] = TOKEN
    assert (await workspace.run(workspace.manifest("One"))).code == 0
    await simulator.__aexit__(None, None, None)
    assert_told(await workspace.fluxbatch("reconcile"), 69, "cannot connect")


async def test_no_token_is_in_any_file_or_output(workspace: Workspace, simulate: Simulate) -> None:
    await lossy(workspace, simulate)
    ended = [await workspace.fluxbatch("reconcile", *words) for words in ((), ("--json",), ("--debug",))]
    files = [path.read_bytes() for path in workspace.root.rglob("*") if path.is_file()]
    told = [(each.out + each.err).encode() for each in ended]
    assert not any(TOKEN.encode() in text for text in files + told)
