"""This pipeline with aimock for a server: it hands requests on to the simulator, and spoils some when told to."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from tests.acceptance.stage import Workspace, assert_proven, money
from tests.parts.conftest import Gateway, Point
from tests.parts.places import UPSTREAM_HOST

PROVIDER = {"allow_hosts": [UPSTREAM_HOST]}


@asynccontextmanager
async def chaos(aimock: Gateway, fault: str) -> AsyncIterator[None]:
    """Each request is spoilt so, as long as the block lasts."""
    address = f"{aimock.root}/__aimock/chaos"
    async with aiohttp.ClientSession() as session:
        async with session.post(address, json={f"{fault}Rate": 1}) as answer:
            assert answer.status == 200, await answer.text()
        try:
            yield
        finally:
            async with session.delete(address) as answer:
                assert answer.status == 200


def manifest(workspace: Workspace, *prompts: str) -> str:
    return workspace.manifest(*([prompt, "16:9", "flux-kontext-pro"] for prompt in prompts), provider=PROVIDER)


async def test_pictures_come_through_it(workspace: Workspace, aimock: Gateway, through: Point) -> None:
    through(aimock)
    async with aimock.upstream(keys=frozenset()) as simulator:
        ended = await workspace.run(manifest(workspace, "One", "Two"), "--budget", "1")
        assert simulator.bill.charged_microusd == 70_000
    assert (ended.code, money(ended.json)) == (0, ("0.070", "0.000")), ended.err
    for row in workspace.rows():
        assert_proven(workspace, row)


@pytest.mark.parametrize("fault", ["lost", "half_body"])
async def test_an_answer_that_broke_off_behind_it_is_unknown_and_not_bought_again(
    workspace: Workspace, aimock: Gateway, through: Point, fault: str
) -> None:
    """It says so with a 502, which of others means an overload."""
    through(aimock)
    batch = manifest(workspace, f"Gone [fault:{fault}]")
    async with aimock.upstream(keys=frozenset()) as simulator:
        ended = await workspace.run(batch, "--budget", "1")
        again = await workspace.run(batch, "--budget", "1")
        assert simulator.bill.charged_microusd == 35_000
    assert (ended.code, again.code) == (5, 5), ended.err
    assert money(ended.json) == ("0.000", "0.035")


@pytest.mark.parametrize("fault", ["malformed", "disconnect"])
async def test_what_it_spoils_itself_is_unknown(
    workspace: Workspace, aimock: Gateway, through: Point, fault: str
) -> None:
    through(aimock)
    async with aimock.upstream(keys=frozenset()), chaos(aimock, fault):
        ended = await workspace.run(manifest(workspace, "One"), "--budget", "1")
    assert (ended.code, money(ended.json)) == (5, ("0.000", "0.035")), ended.err
    assert workspace.states() == {"unknown": 1}


async def test_what_it_drops_is_tried_again_and_costs_nothing(
    workspace: Workspace, aimock: Gateway, through: Point
) -> None:
    through(aimock)
    batch = manifest(workspace, "One")
    async with aimock.upstream(keys=frozenset()) as simulator:
        async with chaos(aimock, "drop"):
            refused = await workspace.run(batch, "--budget", "1")
        assert simulator.bill.requests == 0
        ended = await workspace.run(batch, "--budget", "1")
        assert simulator.bill.charged_microusd == 35_000
    assert (refused.code, money(refused.json)) == (3, ("0.000", "0.000")), refused.err
    assert (ended.code, money(ended.json)) == (0, ("0.035", "0.000")), ended.err
