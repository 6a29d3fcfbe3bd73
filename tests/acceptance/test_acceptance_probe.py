"""``fluxbatch probe``: one picture, written down like any other, and what it tells."""

from typing import Any

import pytest

from pipeline.simulator import Simulator
from tests.acceptance.conftest import Simulate
from tests.acceptance.secrecy import KEY
from tests.acceptance.stage import Workspace, assert_proven, assert_told


@pytest.mark.parametrize("wire", ["flat", "extra_body"])
async def test_the_wire_that_is_honoured_shows(workspace: Workspace, simulate: Simulate, wire: str) -> None:
    simulator = await simulate(wire=wire, requests_per_minute=60, rate_headers=True)
    ended = await workspace.fluxbatch("probe", "apiyi", "--yes", "--json")
    assert ended.code == 0, ended.err
    told = ended.json
    assert (told["provider"], told["model"], told["price_usd"], told["wire"]) == (
        "apiyi",
        "flux-2-klein-9b",
        "0.010",
        wire,
    )
    assert (told["state"], told["answer"], told["spend_usd"]) == ("stored", "url", "0.010")
    assert told["window_s"] == pytest.approx(600, abs=20)
    assert told["headers"]["x-request-id"].startswith("req_")
    assert told["headers"]["x-ratelimit-limit-requests"] == "60"
    assert told["latency_s"] >= 0
    assert told["shape"] == "size", "so it says nothing of aspect_ratio"
    assert simulator.bill.pictures == 1
    [row] = workspace.rows()
    assert (row.provider, row.spend_usd, row.verdict) == ("apiyi", "0.010", "ok" if wire == "flat" else "wrong_shape")


async def test_a_provider_that_drops_the_shape_is_found_out(workspace: Workspace, simulate: Simulate) -> None:
    await simulate(faults=(_always("wrong_shape"),), answer="b64_json")
    ended = await workspace.fluxbatch("probe", "apiyi", "--yes", "--model", "flux-kontext-pro")
    assert ended.code == 0, ended.err
    assert "neither: aspect_ratio is ignored" in ended.out
    assert "the picture inside the answer" in ended.out


async def test_the_vendor_is_probed_by_a_task(workspace: Workspace, simulate: Simulate) -> None:
    await simulate()
    workspace.environment["BFL_API_KEY"] = KEY
    ended = await workspace.fluxbatch("probe", "bfl", "--yes", "--json")
    told = ended.json
    assert (ended.code, told["answer"], told["wire"], told["state"]) == (0, "task", None, "stored")
    [row] = workspace.rows()
    assert_proven(workspace, row)


async def test_each_probe_buys_one_picture_and_a_refusal_is_told(workspace: Workspace, simulate: Simulate) -> None:
    simulator = await simulate(balance_microusd=10_000)
    for code in (0, 77):
        ended = await workspace.fluxbatch("probe", "apiyi", "--yes")
        assert ended.code == code, ended.err
        told = "flat: size at the top level is read" in ended.out and "--model flux-kontext-pro" in ended.out
        assert told is (code == 0), ended.out
    assert simulator.bill.pictures == 1


async def test_nothing_is_bought_unasked(workspace: Workspace, simulator: Simulator) -> None:
    ended = await workspace.fluxbatch("probe", "apiyi")
    assert_told(ended, 64, "nobody can be asked", "--yes")
    assert_told(await workspace.fluxbatch("probe", "apiyo", "--yes"), 64, "no provider profile named apiyo")
    assert_told(await workspace.fluxbatch("probe", "openai-compatible", "--yes"), 78, "names no price")
    assert_told(await workspace.fluxbatch("probe", "apiyi", "--yes", "--model", "x"), 64, "no price for x")
    assert simulator.bill.requests == 0


def _always(name: str) -> Any:
    from pipeline.simulator import Fault

    return Fault(name, rate=1.0)
