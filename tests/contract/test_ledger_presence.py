"""Stored pictures whose files are gone, altered, or back: what a run, a plan and a proof make of them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import ExitCode, StorageError
from pipeline.ledger import BatchName, JobState, Ledger, Policy, Unplaced, Verdict
from tests.contract.ledger_scene import PRICE, Scene

FIRST, SECOND = "pictures/001.jpeg", "pictures/002.jpeg"
REBUY = Policy(rebuy_lost=True)
POSTER = BatchName(manifest="poster", edition="", simulated=False)


def _removed(file: Path) -> None:
    file.unlink()


def _emptied(file: Path) -> None:
    file.write_bytes(b"")


def _cut(file: Path) -> None:
    file.write_bytes(b"pictur")


def _a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _a_loop(file: Path) -> None:
    file.unlink()
    file.symlink_to(file)


def _folder_moved(file: Path) -> None:
    file.parent.rename(file.parent.with_name("moved"))


def _folder_replaced(file: Path) -> None:
    _folder_moved(file)
    file.parent.touch()


GONE = (_removed, _emptied, _cut, _a_folder, _a_loop, _folder_moved, _folder_replaced)


async def stored(scene: Scene, *, twice: bool = False) -> None:
    """A stored picture, at two places of their own when asked."""
    run = await scene.begin()
    rows = [scene.job(index=1), scene.job(index=2)] if twice else [scene.job()]
    first, *others = await scene.see(run, *rows)
    await scene.bring_to(JobState.STORED, run, scene.job(), placement=first.placement)
    for other in others:
        (scene.folder / SECOND).write_bytes(b"picture")
        await scene.writer.place(placement=other.placement, path=SECOND)


@pytest.mark.parametrize("harm", GONE)
async def test_i_a_stored_picture_whose_file_is_gone_is_lost(scene: Scene, harm: Callable[[Path], None]) -> None:
    await stored(scene)
    harm(scene.folder / FIRST)
    run = await scene.begin()
    [seen] = await scene.see(run, scene.job())
    assert (seen.verdict, seen.state, seen.stored_path) == (Verdict.SETTLED, JobState.LOST, None)
    [row] = scene.rows()
    assert (row.state, row.error_kind, row.path) == (JobState.LOST, "missing", FIRST)
    assert row.error_message is not None
    assert FIRST in row.error_message
    assert (await scene.tally(run)).lost == 1
    assert scene.money(run) == (PRICE, 0, 0)


async def test_a_stored_picture_that_is_there_is_kept(scene: Scene) -> None:
    await stored(scene)
    [seen] = await scene.see(await scene.begin(), scene.job(), policy=REBUY)
    assert (seen.verdict, seen.state) == (Verdict.SETTLED, JobState.STORED)


async def test_admission_reads_no_byte_of_what_is_there(scene: Scene) -> None:
    """Only ``ledger verify`` does: a million rows must stay cheap."""
    await stored(scene)
    (scene.folder / FIRST).write_bytes(b"PICTURE")
    [seen] = await scene.see(await scene.begin(), scene.job())
    assert seen.state is JobState.STORED
    assert [finding.kind for finding in scene.verify().findings] == ["altered"]


async def test_a_link_to_the_picture_is_the_picture(scene: Scene) -> None:
    await stored(scene)
    (scene.folder / FIRST).rename(scene.folder / "archive.jpeg")
    (scene.folder / FIRST).symlink_to(scene.folder / "archive.jpeg")
    [seen] = await scene.see(await scene.begin(), scene.job())
    assert seen.state is JobState.STORED
    assert scene.verify().proven


async def test_a_picture_that_cannot_be_seen_is_not_taken_for_gone(scene: Scene) -> None:
    await stored(scene)
    scene.tamper(f"UPDATE placements SET path = '{'n' * 300}'")  # no file system has such a name
    with pytest.raises(StorageError, match="cannot be seen") as caught:
        await scene.see(await scene.begin(), scene.job(), policy=REBUY)
    assert caught.value.exit_code is ExitCode.STORAGE
    assert caught.value.remedy
    [row] = scene.rows()
    assert row.state == JobState.STORED


async def test_a_missed_picture_is_a_trouble_that_names_its_file(scene: Scene) -> None:
    await stored(scene)
    (scene.folder / FIRST).unlink()
    run = await scene.begin()
    await scene.see(run, scene.job())
    [trouble] = await scene.writer.troubles(run, limit=5)
    assert trouble.state is JobState.LOST
    assert FIRST in trouble.message


async def test_a_missed_picture_is_one_finding_that_says_what_to_do(scene: Scene) -> None:
    await stored(scene, twice=True)
    for path in (FIRST, SECOND):
        (scene.folder / path).unlink()
    await scene.see(await scene.begin(), scene.job(index=1), scene.job(index=2))
    [finding] = scene.verify().findings
    assert (finding.kind, finding.subject) == ("lost", "1 job")
    assert "put it back" in finding.message
    assert "--rebuy-lost" in finding.message


async def test_a_missed_picture_is_bought_again_when_told_to_and_then_placed_for_its_equals(scene: Scene) -> None:
    await stored(scene, twice=True)
    for path in (FIRST, SECOND):
        (scene.folder / path).unlink()
    scene.clock.at += 1
    run = await scene.begin()
    first, second = await scene.see(run, scene.job(index=1), scene.job(index=2), policy=REBUY)
    assert [first.verdict, second.verdict] == [Verdict.BUY, Verdict.SETTLED]
    reservation = await scene.reserve(run, scene.job(), placement=first.placement)
    await scene.answer(reservation)
    assert [row.path for row in scene.rows()] == [None, None]
    await scene.store(run, reservation, "pictures/001-2.jpeg")
    [unplaced] = await scene.writer.unplaced(run)
    assert (unplaced.placement, unplaced.stored) == (second.placement, "pictures/001-2.jpeg")
    tally = await scene.tally(run)
    assert (tally.stored, tally.reused) == (1, 1)
    assert scene.money(run) == (2 * PRICE, 0, 0)
    assert scene.verify().proven


@pytest.mark.parametrize("state", [JobState.LOST, JobState.SPOILED])
async def test_a_missed_picture_bought_again_in_vain_is_paid_twice_and_forgotten(scene: Scene, state: JobState) -> None:
    await stored(scene)
    (scene.folder / FIRST).unlink()
    scene.clock.at += 1
    run = await scene.begin()
    [seen] = await scene.see(run, scene.job(), policy=REBUY)
    await scene.bring_to(state, run, scene.job(), placement=seen.placement)
    [row] = scene.rows()
    assert (row.state, row.sha256, row.path) == (state, None, None)
    assert [finding.kind for finding in scene.verify().findings] == [state]


@pytest.mark.parametrize("end", [JobState.FAILED, JobState.PLANNED, JobState.UNKNOWN])
async def test_j_a_missed_picture_that_was_not_replaced_can_still_come_back(scene: Scene, end: JobState) -> None:
    await stored(scene)
    (scene.folder / FIRST).unlink()
    scene.clock.at += 1
    run = await scene.begin()
    [seen] = await scene.see(run, scene.job(), policy=REBUY)
    await scene.bring_to(end, run, scene.job(), placement=seen.placement)
    assert "job" not in {finding.kind for finding in scene.verify().findings}
    (scene.folder / FIRST).write_bytes(b"picture")
    [again] = await scene.see(await scene.begin(), scene.job(), policy=Policy(rebuy_lost=True, resend_unknown=True))
    assert (again.verdict, again.state) == (Verdict.SETTLED, JobState.STORED)


async def test_j_a_missed_picture_that_is_back_is_stored_again(scene: Scene) -> None:
    await stored(scene)
    (scene.folder / FIRST).unlink()
    await scene.see(await scene.begin(), scene.job())
    (scene.folder / FIRST).write_bytes(b"picture")
    run = await scene.begin()
    [seen] = await scene.see(run, scene.job(), policy=REBUY)
    assert (seen.verdict, seen.state) == (Verdict.SETTLED, JobState.STORED)
    [row] = scene.rows()
    assert (row.error_kind, row.error_message) == (None, None)
    assert (await scene.tally(run)).reused == 1
    assert scene.verify().proven


async def test_another_file_of_the_same_size_is_not_the_picture_that_is_back(scene: Scene) -> None:
    await stored(scene)
    (scene.folder / FIRST).unlink()
    await scene.see(await scene.begin(), scene.job())
    (scene.folder / FIRST).write_bytes(b"PICTURE")
    [seen] = await scene.see(await scene.begin(), scene.job())
    assert seen.state is JobState.LOST


async def test_what_is_back_and_cannot_be_read_is_not_bought_again(scene: Scene) -> None:
    await stored(scene)
    (scene.folder / FIRST).unlink()
    await scene.see(await scene.begin(), scene.job())
    (scene.folder / FIRST).symlink_to("/proc/self/mem")  # a regular file of no bytes that fails to be read
    scene.tamper("UPDATE jobs SET bytes = 0")
    with pytest.raises(StorageError, match="cannot be seen"):
        await scene.see(await scene.begin(), scene.job(), policy=REBUY)


async def test_a_row_whose_file_is_gone_is_restored_from_an_equal_rows(scene: Scene) -> None:
    await stored(scene, twice=True)
    (scene.folder / FIRST).unlink()
    run = await scene.begin()
    first, second = await scene.see(run, scene.job(index=1), scene.job(index=2), policy=REBUY)
    assert (first.verdict, first.state, first.stored_path) == (Verdict.PLACE, JobState.STORED, SECOND)
    assert second.verdict is Verdict.SETTLED
    assert await scene.writer.unplaced(run) == [
        Unplaced(
            placement=first.placement, stored=SECOND, wanted="pictures/001", sha256=scene.picture().sha256, index=1
        )
    ]


async def test_a_row_is_placed_from_the_place_that_has_the_picture(scene: Scene) -> None:
    await stored(scene, twice=True)
    (scene.folder / FIRST).unlink()
    run = await scene.begin(manifest="other")
    [seen] = await scene.see(run, scene.job(index=7), folder="other")
    assert (seen.verdict, seen.stored_path) == (Verdict.PLACE, SECOND)
    [unplaced] = await scene.writer.unplaced(run)
    assert (unplaced.stored, unplaced.wanted, unplaced.index) == (SECOND, "other/007", 7)


async def test_a_new_row_finds_a_stored_picture_lost_when_no_place_has_it(scene: Scene) -> None:
    await stored(scene, twice=True)
    for path in (FIRST, SECOND):
        (scene.folder / path).unlink()
    [seen] = await scene.see(await scene.begin(manifest="other"), scene.job(), folder="other", policy=REBUY)
    assert (seen.verdict, seen.state) == (Verdict.BUY, JobState.LOST)


async def test_a_place_that_vanishes_after_admission_is_still_named(scene: Scene) -> None:
    await stored(scene)
    run = await scene.begin(manifest="other")
    await scene.see(run, scene.job(), folder="other")
    (scene.folder / FIRST).unlink()
    [unplaced] = await scene.writer.unplaced(run)
    assert unplaced.stored == FIRST


async def test_a_restored_row_wants_the_place_it_has_now(scene: Scene) -> None:
    await stored(scene, twice=True)
    (scene.folder / FIRST).unlink()
    run = await scene.begin()
    await scene.see(run, scene.job(index=5), scene.job(index=6))
    [unplaced] = await scene.writer.unplaced(run)
    assert unplaced.wanted == "pictures/005"


async def test_a_missed_picture_bought_again_is_fetched_to_where_its_row_wants_it_now(scene: Scene) -> None:
    await stored(scene)
    (scene.folder / FIRST).unlink()
    scene.clock.at += 1
    run = await scene.begin()
    [seen] = await scene.see(run, scene.job(index=5), policy=REBUY)
    await scene.bring_to(JobState.BOUGHT, run, scene.job(), placement=seen.placement)
    [waiting] = await scene.unfetched(run)
    assert waiting.wanted == "pictures/005"


@pytest.mark.parametrize(
    ("files", "known"),
    [({FIRST, SECOND}, JobState.STORED), ({SECOND}, JobState.STORED), (set(), JobState.LOST)],
)
async def test_a_plan_knows_what_a_run_would_find_and_writes_nothing(
    scene: Scene, files: set[str], known: JobState
) -> None:
    await stored(scene, twice=True)
    for path in {FIRST, SECOND} - files:
        (scene.folder / path).unlink()
    assert scene.state(scene.job()) is known
    assert [row.state for row in scene.rows()] == [JobState.STORED] * 2
    first, _ = await scene.see(await scene.begin(), scene.job(index=1), scene.job(index=2))
    assert first.state is known


async def test_a_plan_knows_what_is_back(scene: Scene) -> None:
    await stored(scene)
    (scene.folder / FIRST).unlink()
    await scene.see(await scene.begin(), scene.job())
    assert scene.state(scene.job()) is JobState.LOST
    (scene.folder / FIRST).write_bytes(b"picture")
    assert scene.state(scene.job()) is JobState.STORED
    [row] = scene.rows()
    assert row.state == JobState.LOST


async def test_a_stored_job_without_any_recorded_place_is_lost(scene: Scene) -> None:
    await stored(scene)
    scene.tamper("UPDATE placements SET path = NULL")
    [seen] = await scene.see(await scene.begin(), scene.job())
    assert seen.state is JobState.LOST


async def test_a_ledger_moved_with_its_pictures_still_finds_them(file_scene: Scene, tmp_path: Path) -> None:
    scene = file_scene
    await stored(scene)
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("pictures", "ledger.db", "ledger.db-wal", "ledger.db-shm"):
        (scene.folder / name).rename(moved / name)
    with Ledger(moved / "ledger.db") as ledger:
        [known] = ledger.known(POSTER, [scene.job().key])
    assert known.state is JobState.STORED


async def test_a_stored_job_that_is_recorded_nowhere_is_not_placed(scene: Scene) -> None:
    await stored(scene)
    run = await scene.begin(manifest="other")
    await scene.see(run, scene.job(), folder="other")
    scene.tamper("UPDATE placements SET path = NULL")
    assert await scene.writer.unplaced(run) == []
