"""The doctor, as people call it."""

from pipeline.simulator import Simulator
from tests.acceptance.stage import Workspace


async def test_all_is_well_is_told_line_by_line_with_what_to_do_next(
    workspace: Workspace, simulator: Simulator
) -> None:
    told = await workspace.fluxbatch("doctor")
    assert told.code == 0, told.out
    lines = told.out.splitlines()
    assert [line.split()[:2] for line in lines[:3]] == [["ok", "key"], ["ok", "clock"], ["ok", "disk"]]
    assert lines[-1] == "-> fluxbatch run MANIFEST"
    assert not workspace.output.exists()


async def test_what_is_wrong_comes_with_its_remedy_and_the_exit_code_of_a_run(workspace: Workspace) -> None:
    told = await workspace.fluxbatch("doctor", "--provider", "apiyi")
    assert told.code == 78
    assert "FLUXBATCH_API_KEY is not set" in told.out
    assert "  -> export FLUXBATCH_API_KEY=" in told.out
    assert told.out.splitlines()[-1] == "-> mend this, then: fluxbatch doctor --provider apiyi"


async def test_what_comes_next_is_said_for_the_same_manifest_and_places(workspace: Workspace) -> None:
    manifest = workspace.manifest("One", provider="simulator", file="my batch.yaml")
    told = await workspace.fluxbatch("doctor", manifest, "--output", "pictures")
    assert (told.code, told.out.splitlines()[-1]) == (0, "-> fluxbatch run 'my batch.yaml' --output pictures")
    workspace.write("file", "")
    told = await workspace.fluxbatch("doctor", manifest, "--output", "file")
    assert told.out.splitlines()[-1] == "-> mend this, then: fluxbatch doctor 'my batch.yaml' --output file"


async def test_a_manifest_says_which_provider_is_meant(workspace: Workspace) -> None:
    manifest = workspace.manifest("One", provider="simulator")
    told = (await workspace.fluxbatch("doctor", manifest, "--json")).json
    assert (told["provider"], told["exit_code"]) == ("simulator", 0)
    both = await workspace.fluxbatch("doctor", manifest, "--provider", "apiyi")
    assert both.code == 64
    assert (await workspace.fluxbatch("doctor", "--provider", "nobody")).code == 64


async def test_every_provider_of_a_manifest_is_looked_at(workspace: Workspace) -> None:
    manifest = workspace.manifest("One", provider=["apiyi", "bfl"])
    told = await workspace.fluxbatch("doctor", manifest)
    assert told.code == 78
    assert "apiyi: no API key: the environment variable FLUXBATCH_API_KEY is not set" in told.out
    assert "bfl: no API key: the environment variable BFL_API_KEY is not set" in told.out
    assert (await workspace.fluxbatch("doctor", manifest, "--json")).json["provider"] == "apiyi, bfl"
