"""kill -9 at any moment, again and again: over real sockets, nothing is lost, and nothing bought twice."""

from pathlib import Path

import pytest

from pipeline.ledger import Ledger
from tests.acceptance.warm import Warm
from tests.torture.crashing import Scene, until_stored, within


@pytest.mark.dose(20, 2_000)
async def test_after_kills_every_cent_and_every_picture_is_accounted_for(
    seeds: range, tmp_path: Path, crew: list[Warm]
) -> None:
    for seed in seeds:
        folder = tmp_path / str(seed)
        folder.mkdir()
        scene = Scene(seed, folder, crew[0])
        with within():
            async with scene.simulator:
                scene.open()
                manifest = scene.manifest()
                for _ in range(scene.chance.randint(1, 3)):
                    await scene.killed("run", manifest, "--json")
                    scene.assert_accounted_for()
                await scene.settle(manifest)
                await until_stored(scene, manifest)


@pytest.mark.dose(3, 1_000)
async def test_after_kills_what_the_vendor_has_taken_is_asked_after_and_never_paid_twice(
    seeds: range, tmp_path: Path, crew: list[Warm]
) -> None:
    for seed in seeds:
        folder = tmp_path / str(seed)
        folder.mkdir()
        scene = Scene(seed, folder, crew[0], vendor=True)
        with within():
            async with scene.simulator:
                scene.open()
                manifest = scene.manifest()
                for _ in range(scene.chance.randint(1, 3)):
                    await scene.killed("run", manifest, "--json")
                    scene.assert_accounted_for()
                await scene.settle(manifest)
                with Ledger(scene.workspace.ledger) as ledger:
                    assert "submitted" not in {finding.kind for finding in ledger.verify().findings}
                await until_stored(scene, manifest)
