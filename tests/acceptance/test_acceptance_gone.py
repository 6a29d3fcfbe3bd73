"""Pictures that were stored and are gone: told, bought again only when asked for, and taken back when they return."""

import os

from pipeline.simulator import Simulator
from tests.acceptance.stage import Workspace


async def test_a_stored_picture_that_is_gone_is_5_until_it_is_bought_again(
    workspace: Workspace, simulator: Simulator
) -> None:
    manifest = workspace.manifest("A cat", "A dog")
    await workspace.run(manifest)
    gone = workspace.file_of(workspace.row("A cat"))
    gone.unlink()
    plan = await workspace.fluxbatch("plan", manifest, "--json")
    assert (plan.json["kept"], plan.json["held"]) == (1, 1)
    told = await workspace.run(manifest)
    assert told.code == 5
    assert (told.json["reused"], told.json["lost"]) == (1, 1)
    assert gone.name in told.err
    assert simulator.bill.pictures == 2
    rebought = await workspace.run(manifest, "--rebuy-lost")
    assert (rebought.code, rebought.json["stored"], rebought.json["reused"]) == (0, 1, 1)
    assert gone.exists()
    assert simulator.bill.pictures == 3
    assert workspace.findings() == set()


async def test_a_stored_picture_that_is_back_is_kept(workspace: Workspace, simulator: Simulator) -> None:
    manifest = workspace.manifest("A cat")
    await workspace.run(manifest)
    picture = workspace.file_of(workspace.row("A cat"))
    picture.rename(picture.with_suffix(".away"))
    assert (await workspace.run(manifest)).code == 5
    picture.with_suffix(".away").rename(picture)
    back = await workspace.run(manifest, "--rebuy-lost")
    assert (back.code, back.json["reused"]) == (0, 1)
    assert simulator.bill.pictures == 1


async def test_a_picture_is_restored_from_an_equal_row(workspace: Workspace, simulator: Simulator) -> None:
    manifest = workspace.manifest("A cat", "A cat")
    await workspace.run(manifest)
    gone, other = map(workspace.file_of, workspace.rows())
    gone.unlink()
    again = await workspace.run(manifest, "--rebuy-lost")
    assert (again.code, again.json["reused"]) == (0, 2)
    assert gone.read_bytes() == other.read_bytes()
    assert simulator.bill.pictures == 1
    assert workspace.findings() == set()


async def test_an_emptied_ledger_is_74_and_nothing_is_bought_again(workspace: Workspace, simulator: Simulator) -> None:
    manifest = workspace.manifest("A cat")
    await workspace.run(manifest)
    os.truncate(workspace.output / "ledger.db", 0)
    ended = await workspace.fluxbatch("run", manifest)
    assert ended.code == 74
    assert "an empty file where the ledger should be" in ended.err
    assert simulator.bill.pictures == 1


async def test_a_ledger_that_is_gone_is_78_and_nothing_is_bought_again(
    workspace: Workspace, simulator: Simulator
) -> None:
    """A run in another folder's ledger, or after the ledger was removed, bought everything once more under ``-2``."""
    manifest = workspace.manifest("A cat", "A dog")
    await workspace.run(manifest)
    away = workspace.root / "away.db"
    for beside in sorted(workspace.output.glob("ledger.db*")):
        beside.rename(away.with_name(beside.name.replace("ledger.db", "away.db")))
    ended = await workspace.run(manifest)
    assert (ended.code, ended.json["skipped"]) == (78, 2)
    assert "knows nothing of batch/00001-a-cat" in ended.err
    assert simulator.bill.requests == 2
    workspace.ledger.unlink()
    away.rename(workspace.ledger)
    back = await workspace.run(manifest)
    assert (back.code, back.json["reused"]) == (0, 2)


async def test_pictures_that_were_moved_away_are_bought_once_more(workspace: Workspace, simulator: Simulator) -> None:
    manifest = workspace.manifest("A cat")
    await workspace.run(manifest)
    for beside in sorted(workspace.output.glob("ledger.db*")):
        beside.unlink()
    (workspace.output / "batch").rename(workspace.root / "away")
    ended = await workspace.run(manifest)
    assert (ended.code, ended.json["stored"], simulator.bill.pictures) == (0, 1, 2)


async def test_a_new_edition_in_the_same_folder_is_no_stranger(workspace: Workspace, simulator: Simulator) -> None:
    for edition in ("one", "two"):
        manifest = workspace.manifest("A cat", edition=edition, output={"folder": "same"})
        ended = await workspace.run(manifest)
        assert (ended.code, ended.json["stored"]) == (0, 1)
    assert simulator.bill.pictures == 2
