"""A first manifest, written and run."""

from pipeline import load_manifest
from tests.acceptance.stage import Workspace, assert_told


async def test_the_first_manifest_runs_as_it_is_and_costs_nothing(workspace: Workspace) -> None:
    begun = await workspace.fluxbatch("init", "spring.yaml")
    assert (begun.code, begun.err) == (0, "")
    assert begun.out.splitlines()[-1] == "-> fluxbatch run spring.yaml"
    assert "fluxbatch plan spring.yaml" in (workspace.root / "spring.yaml").read_text(encoding="utf-8")
    ran = await workspace.run("spring.yaml")
    assert (ran.code, ran.json["stored"], ran.json["manifest"]) == (0, 7, "spring")


async def test_init_names_the_file_by_itself_and_writes_over_nothing(workspace: Workspace) -> None:
    assert (await workspace.fluxbatch("init")).code == 0
    assert load_manifest(workspace.root / "manifest.yaml").profile.simulated
    mine = workspace.write("manifest.yaml", "mine")
    assert_told(await workspace.fluxbatch("init"), 73, "is there already")
    assert mine.read_text(encoding="utf-8") == "mine"
    mine.unlink()
    mine.symlink_to(workspace.root / "elsewhere")
    assert_told(await workspace.fluxbatch("init"), 73, "is there already")
    assert "elsewhere" not in {file.name for file in workspace.root.iterdir()}


async def test_init_says_where_it_cannot_write(workspace: Workspace) -> None:
    assert_told(await workspace.fluxbatch("init", "nowhere/first.yaml"), 73, "cannot be written")
