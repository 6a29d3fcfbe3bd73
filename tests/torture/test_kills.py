"""kill -9 at any moment, again and again: over real sockets, nothing is lost, and nothing bought twice."""

from pathlib import Path

import pytest

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
                scene.workspace.use(scene.simulator)
                manifest = scene.manifest()
                for _ in range(scene.chance.randint(1, 3)):
                    await scene.killed("run", manifest, "--json")
                    scene.assert_accounted_for()
                await scene.settle(manifest)
                await until_stored(scene, manifest)
