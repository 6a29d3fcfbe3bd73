"""What runs have found of a provider's limits stays with that provider."""

from dataclasses import replace

import anyio
import pytest

from pipeline.clock import SystemClock
from pipeline.ledger import Found, LedgerWriter, Venue
from tests.contract.ledger_scene import Scene

HERE = Venue(provider="apiyi", origin="https://api.example:443", simulated=False)
PRO, MAX = "flux-kontext-pro", "flux-kontext-max"
FOUND = Found(level=24, wall=25, rate=1.5, learned_at=1_000_000.5)


async def test_what_is_learned_is_known_to_the_next_run(scene: Scene) -> None:
    with anyio.fail_after(30):
        async with LedgerWriter(scene.address, clock=SystemClock()) as ledger:
            await ledger.learn(HERE, {PRO: FOUND, MAX: Found(level=6, wall=None, rate=None, learned_at=2.0)})
        async with LedgerWriter(scene.address, clock=SystemClock()) as ledger:
            assert await ledger.lessons(HERE) == {
                PRO: FOUND,
                MAX: Found(level=6, wall=None, rate=None, learned_at=2.0),
            }


async def test_what_is_learned_anew_replaces_it_for_that_model_only(scene: Scene) -> None:
    with anyio.fail_after(30):
        async with LedgerWriter(scene.address, clock=SystemClock()) as ledger:
            await ledger.learn(HERE, {PRO: FOUND, MAX: FOUND})
            await ledger.learn(HERE, {PRO: replace(FOUND, level=12)})
            assert await ledger.lessons(HERE) == {PRO: replace(FOUND, level=12), MAX: FOUND}


@pytest.mark.parametrize(
    "elsewhere",
    [
        replace(HERE, provider="simulator"),
        replace(HERE, origin="http://127.0.0.1:8765"),
        replace(HERE, simulated=True),
    ],
)
async def test_another_provider_address_or_a_make_believe_one_learns_for_itself(scene: Scene, elsewhere: Venue) -> None:
    with anyio.fail_after(30):
        async with LedgerWriter(scene.address, clock=SystemClock()) as ledger:
            await ledger.learn(elsewhere, {PRO: FOUND})
            assert await ledger.lessons(HERE) == {}
