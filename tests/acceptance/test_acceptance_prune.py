"""Keeping the output in bounds, as the command does it."""

import os

import pytest

from pipeline.cli.pruning import bytes_of
from pipeline.errors import UsageError
from pipeline.simulator import Simulator
from tests.acceptance.stage import Workspace, assert_told


async def test_pictures_go_only_when_told_twice_and_are_not_bought_again(
    workspace: Workspace, simulator: Simulator
) -> None:
    manifest = workspace.manifest("One", "Two")
    await workspace.run(manifest)
    assert (await workspace.fluxbatch("prune", "--older-than", "0")).out == (
        "nothing to prune\n-> fluxbatch prune --older-than 0 --pictures\n"
    )
    said = await workspace.fluxbatch("prune", "--older-than", "0", "--pictures")
    assert "2 files of pictures: would go" in said.out
    assert said.out.splitlines()[-1] == "-> fluxbatch prune --older-than 0 --pictures --apply"
    assert len(workspace.pictures()) == 2
    done = await workspace.fluxbatch("prune", "--older-than", "0", "--pictures", "--apply", "--json")
    assert (done.json["applied"], len(done.json["pictures"])) == (True, 2)
    assert workspace.pictures() == set()
    again = await workspace.fluxbatch("run", manifest, "--rebuy-lost")
    assert again.code == 0
    assert "2 kept from before were pruned" in again.out
    assert len(simulator.bill.charges) == 2
    assert (await workspace.fluxbatch("ledger", "verify")).code == 0
    story = await workspace.fluxbatch("explain", workspace.rows()[0].key)
    assert "the picture was pruned at" in story.out


async def test_what_is_too_young_to_go_is_not_told_as_nothing(workspace: Workspace, simulator: Simulator) -> None:
    await workspace.run(workspace.manifest("One"))
    told = await workspace.fluxbatch("prune", "--pictures", "--max-size", "1KB")
    assert told.out.splitlines()[0] == "nothing to prune that no run has wanted for 30 days"


async def test_a_size_needs_the_word_and_must_be_one(workspace: Workspace, simulator: Simulator) -> None:
    await workspace.run(workspace.manifest("One"))
    assert_told(await workspace.fluxbatch("prune", "--max-size", "1GB"), 64, "needs --pictures")
    assert_told(await workspace.fluxbatch("prune", "--max-size", "much", "--pictures"), 64, "is no size")
    assert_told(await workspace.fluxbatch("prune", "--max-inputs", "much"), 64, "--max-inputs 'much' is no size")
    assert_told(await workspace.fluxbatch("prune", "--output", "nowhere"), 66, "no such output folder")


async def test_what_was_fetched_for_nobody_goes_but_not_within_the_hour(
    workspace: Workspace, simulator: Simulator
) -> None:
    await workspace.run(workspace.manifest("One"))
    old, fresh = (workspace.output / ".inputs" / (letter * 2) / (letter * 64) for letter in "ab")
    for file in (old, fresh):
        file.parent.mkdir(parents=True)
        file.write_bytes(b"image")
    os.utime(old, (0, 0))
    said = await workspace.fluxbatch("prune", "--older-than", "0")
    assert said.out == (
        "1 file of input images that no job needs: would go\n-> fluxbatch prune --older-than 0 --apply\n"
    )
    assert old.exists()
    done = await workspace.fluxbatch("prune", "--older-than", "0", "--apply", "--json")
    assert (done.json["inputs"], done.json["input_bytes"]) == ([f".inputs/aa/{old.name}"], 5)
    assert (old.exists(), fresh.exists()) == (False, True)


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("20GB", 20_000_000_000), ("1.5 mb", 1_500_000), ("7", 7), ("2T", 2 * 10**12)]
)
def test_sizes_are_written_as_people_write_them(text: str, size: int) -> None:
    assert bytes_of(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "1e9", "inf", "1PB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        bytes_of(text)
