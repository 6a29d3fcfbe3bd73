"""This pipeline as LiteLLM's proxy has it for a client, with the simulator for the provider behind it.

What the proxy does was measured on the version in ``litellm.txt``: it hands on what it does not know, answers with the
provider's own URL, keeps neither codes nor ``Retry-After``, and says 500 for whatever went wrong behind it. Asking with
the SDK inside it (``openai/``), it asks up to three times for one request, and nothing in its configuration stops that.
"""

from typing import Any

import anyio
import pytest

from pipeline.money import parse_usd
from pipeline.simulator import Simulator
from tests.acceptance.stage import PATIENCE_S, Workspace, assert_proven, money, spent_usd, until
from tests.parts.conftest import Gateway, Point
from tests.parts.places import UPSTREAM_HOST

PRO, MAX = "flux-kontext-pro", "flux-kontext-max"
#: The provider's own URL comes through the proxy, so its host is not the base URL's; here it is a private one besides.
PROVIDER: dict[str, Any] = {"allow_hosts": [UPSTREAM_HOST]}


def manifest(workspace: Workspace, *prompts: str, model: str = PRO, **keys: Any) -> str:
    return workspace.manifest(*([prompt, "16:9", model] for prompt in prompts), **{"provider": PROVIDER} | keys)


def assert_bill_is_the_ledgers(workspace: Workspace, simulator: Simulator, *, unknown: int = 0) -> None:
    """Each picture that was charged was bought by the ledger's word, or is one of its unknowns."""
    assert workspace.findings() <= {"unknown"}
    states = workspace.states()
    assert states.get("unknown", 0) == unknown
    assert simulator.bill.pictures == states.get("stored", 0) + unknown
    assert simulator.bill.charged_microusd == parse_usd(spent_usd(workspace)) + unknown * 35_000


async def test_pictures_come_through_it_with_every_parameter(
    workspace: Workspace, litellm: Gateway, through: Point
) -> None:
    through(litellm)
    async with litellm.upstream(wire="both") as simulator:
        ended = await workspace.run(manifest(workspace, "One", "Two"), "--budget", "1")
        third = await workspace.run(manifest(workspace, "Three", model=MAX, file="max.yaml"), "--budget", "1")
        assert simulator.bill.requests == 3
        assert simulator.bill.charged_microusd == parse_usd(spent_usd(workspace)) == 140_000
    assert (ended.code, third.code) == (0, 0), ended.err + third.err
    for row in workspace.rows():
        assert_proven(workspace, row)
        assert (row.ratio, row.verdict) == ("16:9", "ok")


async def test_a_ratio_that_gets_lost_on_the_way_is_seen_by_the_pictures_shape(
    workspace: Workspace, litellm: Gateway, through: Point
) -> None:
    """Asking without the SDK, it puts what it does not know below ``extra_body``, where not all providers look."""
    through(litellm)
    async with litellm.upstream(wire="flat"):
        ended = await workspace.run(manifest(workspace, "One"), "--budget", "1")
    (row,) = workspace.rows()
    assert (ended.code, row.state, row.width, row.height, row.verdict) == (0, "stored", 64, 64, "wrong_shape")


async def test_a_private_host_in_its_answers_is_not_fetched_from_unless_allowed(
    workspace: Workspace, litellm: Gateway, through: Point
) -> None:
    through(litellm)
    async with litellm.upstream() as simulator:
        ended = await workspace.run(manifest(workspace, "One", provider={}), "--budget", "1")
        assert simulator.bill.charged_microusd == 35_000
    assert ended.code == 5
    assert "allow_hosts" in ended.err
    assert money(ended.json) == ("0.035", "0.000")


async def test_a_wrong_key_stops_the_run_before_anything_is_asked(
    workspace: Workspace, litellm: Gateway, through: Point
) -> None:
    """Without a database behind it, the proxy says of a wrong key: 400, ``no_db_connection``."""
    through(litellm, "sk-not-the-proxys")
    async with litellm.upstream() as simulator:
        ended = await workspace.run(manifest(workspace, "One", "Two"), "--budget", "1")
        assert simulator.bill.requests == 0
    assert (ended.code, money(ended.json), ended.json["skipped"]) == (77, ("0.000", "0.000"), 2)
    assert "When the key is right" in ended.err


async def test_a_model_that_it_does_not_have_is_refused_once_for_all(
    workspace: Workspace, litellm: Gateway, through: Point
) -> None:
    through(litellm)
    batch = manifest(workspace, *(f"Picture {number}" for number in range(12)), model="flux-2-pro")
    async with litellm.upstream() as simulator:
        ended = await workspace.run(batch, "--budget", "1")
        assert simulator.bill.requests == 0
    assert (ended.code, money(ended.json)) == (3, ("0.000", "0.000")), ended.err
    assert (ended.json["failed"], ended.json["skipped"]) == (1, 11)
    assert {row.error_kind for row in workspace.rows() if row.state == "failed"} == {"unknown_model"}


async def test_refusals_come_through_it_as_refusals(workspace: Workspace, litellm: Gateway, through: Point) -> None:
    through(litellm)
    async with litellm.upstream() as simulator:
        ended = await workspace.run(
            manifest(workspace, "Nude [fault:moderated]", "Bad [fault:invalid]", "Good"), "--budget", "1"
        )
        assert_bill_is_the_ledgers(workspace, simulator)
    assert (ended.code, ended.json["stored"], ended.json["failed"]) == (3, 1, 2), ended.err
    assert workspace.row("Nude [fault:moderated]").error_kind == "moderated"
    assert workspace.row("Bad [fault:invalid]").error_kind == "invalid"


async def test_its_upstreams_key_being_refused_stops_the_run_and_not_the_next(
    workspace: Workspace, litellm: Gateway, through: Point
) -> None:
    """For a second after it, the proxy itself refuses whatever is asked with a 429, which only slows the next run."""
    through(litellm)
    batch = manifest(workspace, "One")
    async with litellm.upstream(keys=frozenset({"another"})) as simulator:
        ended = await workspace.run(batch, "--budget", "1")
        assert simulator.bill.charged_microusd == 0
    assert (ended.code, money(ended.json)) == (77, ("0.000", "0.000"))
    assert "Incorrect API key" in ended.err
    async with litellm.upstream() as simulator:
        again = await workspace.run(batch, "--budget", "1")
        assert_bill_is_the_ledgers(workspace, simulator)
    assert (again.code, again.json["stored"]) == (0, 1), again.err


async def test_rate_limits_behind_it_only_slow_a_run(workspace: Workspace, litellm: Gateway, through: Point) -> None:
    """The proxy rests a provider for a second after some refusals, and hands on neither Retry-After nor code."""
    through(litellm)
    prompts = [f"Picture {number}" for number in range(8)]
    async with litellm.upstream(
        requests_per_minute=120, rate_window_s=1.0, max_in_flight=2, latency_s=0.05
    ) as simulator:
        ended = await workspace.run(manifest(workspace, *prompts), "--budget", "1")
        assert_bill_is_the_ledgers(workspace, simulator)
    assert (ended.code, ended.json["stored"]) == (0, 8), ended.err
    assert simulator.bill.throttled > 0
    assert simulator.bill.pictures == 8


@pytest.mark.parametrize("fault", ["lost", "half_body", "html_200", "gateway_504"])
async def test_an_answer_lost_behind_it_is_unknown_and_not_bought_again(
    workspace: Workspace, litellm: Gateway, through: Point, fault: str
) -> None:
    """It says 500 of the first two, and an error in a 200 of the third: none may pass for an overload or a refusal."""
    through(litellm)
    batch = manifest(workspace, f"Gone [fault:{fault}]", "Good")
    async with litellm.upstream() as simulator:
        ended = await workspace.run(batch, "--budget", "1")
        again = await workspace.run(batch, "--budget", "1")
        assert simulator.bill.pictures == 2
        assert_bill_is_the_ledgers(workspace, simulator, unknown=1)
    assert (ended.code, again.code) == (5, 5), ended.err
    assert money(ended.json) == ("0.035", "0.035")
    assert workspace.states() == {"unknown": 1, "stored": 1}


async def test_a_provider_that_dies_behind_it_midway_leaves_the_money_unknown(
    workspace: Workspace, litellm: Gateway, through: Point
) -> None:
    through(litellm)
    with anyio.fail_after(PATIENCE_S):
        async with workspace.started("run", manifest(workspace, "Gone [fault:hang]"), "--budget", "1") as running:
            async with litellm.upstream() as simulator:
                await until(lambda: simulator.bill.pictures == 1)
            ended = await running.end()
    assert ended.code == 5, ended.err
    assert workspace.states() == {"unknown": 1}
    assert_bill_is_the_ledgers(workspace, simulator, unknown=1)


async def test_a_proxy_that_gives_up_waiting_leaves_the_money_unknown(
    workspace: Workspace, litellm: Gateway, through: Point
) -> None:
    """Its time-out is its configuration's; it answers 408, and asks no more."""
    through(litellm)
    async with litellm.upstream() as simulator:
        ended = await workspace.run(manifest(workspace, "Gone [fault:hang]"), "--budget", "1")
        assert simulator.bill.requests == 1
        assert_bill_is_the_ledgers(workspace, simulator, unknown=1)
    assert (ended.code, money(ended.json)) == (5, ("0.000", "0.035")), ended.err


async def test_what_it_asks_for_again_by_itself_is_charged_and_nobody_can_know(
    workspace: Workspace, litellm: Gateway, through: Point
) -> None:
    """The SDK inside it asks three times where this pipeline asks once: docs/how-to/provider.md says so."""
    through(litellm)
    batch = manifest(workspace, "Gone [fault:lost]", model=MAX)
    async with litellm.upstream() as simulator:
        ended = await workspace.run(batch, "--budget", "1")
        bill = simulator.bill
    assert (ended.code, money(ended.json)) == (5, ("0.000", "0.070")), ended.err
    assert workspace.states() == {"unknown": 1}
    assert (bill.requests, bill.charged_microusd) == (3, 210_000)
