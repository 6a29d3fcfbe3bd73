"""What verify tells besides pictures and sums, and what repair puts right: nothing that needs a person's word."""

import os
from pathlib import Path
from random import Random

import pytest

from pipeline.errors import LedgerCorruptError
from pipeline.ledger import Finding, JobState, Ledger, repair
from tests.contract.ledger_scene import PRICE, Scene, opened

DAY_S = 86_400.0


async def stored(scene: Scene, number: int = 2) -> None:
    run = await scene.begin()
    for index in range(1, number + 1):
        await scene.bring_to(JobState.STORED, run, scene.job(f"picture {index}", index=index))
    await scene.writer.end(run, exit_code=0)


def kinds(scene: Scene) -> dict[str, int]:
    found: dict[str, int] = {}
    for finding in scene.verify().findings:
        found[finding.kind] = found.get(finding.kind, 0) + 1
    return found


def mended(scene: Scene) -> list[str]:
    """Repair, twice: the second time there is nothing left to do."""
    done = repair(scene.address, clock=scene.clock)
    assert repair(scene.address, clock=scene.clock) == []
    return done


# --- strangers ---------------------------------------------------------------------------------------------------


async def test_what_no_row_knows_is_told_and_needs_nobody(scene: Scene) -> None:
    await stored(scene)
    (scene.folder / "pictures/notes.txt").write_text("mine")
    (scene.folder / "pictures/sub").mkdir()
    (scene.folder / "pictures/sub/deep.txt").write_text("not looked at")
    (scene.folder / "beside.txt").write_text("no picture is here")
    verification = scene.verify()
    assert [(finding.kind, finding.subject) for finding in verification.findings] == [("foreign", "pictures/notes.txt")]
    assert verification.proven
    assert mended(scene) == []
    assert (scene.folder / "pictures/notes.txt").read_text() == "mine"


async def test_many_strangers_are_counted(scene: Scene) -> None:
    await stored(scene)
    for number in range(25):
        (scene.folder / f"pictures/{number}.txt").touch()
    findings = [finding for finding in scene.verify().findings if finding.kind == "foreign"]
    assert (len(findings), findings[-1].subject) == (11, "15 more")


async def test_a_part_of_a_settled_picture_is_a_leftover_and_repair_removes_it(scene: Scene) -> None:
    await stored(scene, 1)
    run = await scene.begin()
    waiting = scene.job("waiting", index=9)
    await scene.bring_to(JobState.BOUGHT, run, waiting)
    settled = scene.folder / f"pictures/.{scene.job('picture 1').key[:32]}.part"
    evidence = scene.folder / f"pictures/.{waiting.key[:32]}.part"
    for part in (settled, evidence):
        part.write_bytes(b"bytes")
    assert kinds(scene) == {"leftover": 1, "bought": 1}
    assert mended(scene) == [f"pictures/{settled.name}: a leftover, removed"]
    assert (settled.exists(), evidence.exists()) == (False, True)


async def test_links_and_pipes_are_told_and_never_followed(scene: Scene) -> None:
    await stored(scene, 1)
    os.mkfifo(scene.folder / "pictures/pipe")
    (scene.folder / "pictures/loop").symlink_to(scene.folder / "pictures", target_is_directory=True)
    assert kinds(scene) == {"foreign": 2}


async def test_pictures_beside_the_ledger_do_not_make_its_files_strangers(scene: Scene) -> None:
    run = await scene.begin()
    reservation = await scene.bring_to(JobState.BOUGHT, run, scene.job())
    await scene.store(run, reservation, "001.jpeg")
    await scene.writer.end(run, exit_code=0)
    assert kinds(scene) == {}


async def test_a_missed_picture_under_another_name_is_told_and_repair_takes_it_back(scene: Scene) -> None:
    await stored(scene, 1)
    key = scene.job("picture 1").key[:12]
    moved = scene.folder / "pictures/renamed by hand.jpeg"
    (scene.folder / "pictures/001.jpeg").rename(moved)
    mended_once = repair(scene.address, clock=scene.clock)
    assert mended_once == [
        f"{key}: its picture is gone: lost",
        f"{key}: its picture is pictures/renamed by hand.jpeg: stored",
    ]
    assert scene.verify().findings == ()
    assert [row.path for row in scene.rows()] == ["pictures/renamed by hand.jpeg"]
    assert repair(scene.address, clock=scene.clock) == []


async def test_a_missed_picture_s_other_name_is_told_before_repair(scene: Scene) -> None:
    run = await scene.begin()
    await scene.bring_to(JobState.STORED, run, scene.job("one", index=1))
    await scene.writer.end(run, exit_code=0)
    (scene.folder / "pictures/001.jpeg").rename(scene.folder / "pictures/other.jpeg")
    scene.tamper("UPDATE jobs SET state = 'lost'")
    [foreign] = [finding for finding in scene.verify().findings if finding.kind == "foreign"]
    assert foreign.subject == "pictures/other.jpeg"
    assert f"the picture that job {scene.job('one').key[:12]} misses" in foreign.message
    assert "`fluxbatch ledger verify --repair` takes it back" in foreign.message


async def test_a_copy_of_a_stored_picture_is_told_as_that(scene: Scene) -> None:
    await stored(scene, 1)
    (scene.folder / "pictures/copy.jpeg").write_bytes(b"picture")
    [finding] = scene.verify().findings
    assert finding.message == f"a copy of the picture of job {scene.job('picture 1').key[:12]}"
    assert mended(scene) == []


@pytest.mark.parametrize("name", ["009.jpeg", "009-2.jpeg"])
@pytest.mark.parametrize(
    ("state", "advice"), [(JobState.BOUGHT, "run the manifest again now"), (JobState.LOST, "nothing proves that")]
)
async def test_a_file_in_a_paid_jobs_place_is_told_with_the_job_and_never_taken_for_its_picture(
    scene: Scene, name: str, state: JobState, advice: str
) -> None:
    await stored(scene, 1)
    run = await scene.begin()
    job = scene.job("waiting", index=9)
    await scene.bring_to(state, run, job)
    (scene.folder / f"pictures/{name}").write_bytes(b"whose?")
    [foreign] = [finding for finding in scene.verify().findings if finding.kind == "foreign"]
    assert job.key[:12] in foreign.message
    assert advice in foreign.message
    assert mended(scene) == []
    assert scene.state(job) is state


# --- dead runs and old unknowns ----------------------------------------------------------------------------------


async def test_reservations_of_a_dead_run_are_told_and_held_as_unknown(tmp_path: Path) -> None:
    async with opened(tmp_path) as scene:
        await scene.bring_to(JobState.BUYING, await scene.begin(), scene.job())
        assert kinds(scene) == {"buying": 1}
    assert kinds(scene) == {"dead": 1}
    assert mended(scene) == ["1 reserved by runs that died, $0.035: held as unknown"]
    assert kinds(scene) == {"unknown": 1}
    assert scene.committed() == PRICE
    assert not (tmp_path / "ledger.db.runs").exists() or not list((tmp_path / "ledger.db.runs").iterdir())


async def test_unknowns_are_told_by_age(scene: Scene) -> None:
    run = await scene.begin()
    now = scene.clock.at
    for index, days in enumerate((40, 10, 3, 0.5, 0.1), start=1):
        scene.clock.at = now - days * DAY_S
        await scene.bring_to(JobState.UNKNOWN, run, scene.job(f"{days}", index=index))
    scene.clock.at = now
    [finding] = _verified(scene)
    assert "2 of the last day, 1 of the last week, 1 of the last month, 1 older" in finding.message
    assert f"the oldest is {scene.job('40', index=1).key[:12]}, 40 days" in finding.message


def _verified(scene: Scene) -> tuple[Finding, ...]:
    with Ledger(scene.address) as ledger:
        return ledger.verify(clock=scene.clock).findings


# --- pictures, sums, counters ------------------------------------------------------------------------------------


async def test_a_picture_that_is_gone_is_lost_and_stored_again_when_it_is_back(scene: Scene) -> None:
    await stored(scene)
    file = scene.folder / "pictures/001.jpeg"
    file.rename(scene.folder / "hidden")
    key = scene.job("picture 1").key[:12]
    assert mended(scene) == [f"{key}: its picture is gone: lost"]
    assert kinds(scene) == {"lost": 1}
    (scene.folder / "hidden").rename(file)
    assert mended(scene) == [f"{key}: its picture is back: stored"]
    assert kinds(scene) == {}


async def test_an_altered_picture_is_left_to_a_person(scene: Scene) -> None:
    await stored(scene)
    (scene.folder / "pictures/001.jpeg").write_bytes(b"Picture")
    assert mended(scene) == []
    assert kinds(scene) == {"altered": 1}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE sums SET spent = spent + 1 WHERE scope = 'total'",
        "DELETE FROM sums WHERE scope LIKE 'day:%'",
        "INSERT INTO sums VALUES ('batch:99', 5, 0, 0)",
        "UPDATE jobs SET attempts = attempts + 3",
        "UPDATE jobs SET spend_microusd = 0",
        "UPDATE jobs SET unknown_microusd = 7 WHERE id = 1",
    ],
)
async def test_sums_and_counters_follow_the_attempts_again(scene: Scene, statement: str) -> None:
    await stored(scene)
    scene.tamper(statement)
    assert not scene.verify().proven
    assert mended(scene)
    assert scene.verify().proven
    assert scene.committed() == 2 * PRICE


async def test_what_contradicts_itself_is_left_to_a_person(scene: Scene) -> None:
    await stored(scene)
    scene.tamper("UPDATE jobs SET state = 'planned' WHERE id = 1")
    mended(scene)
    assert "job" in kinds(scene)


async def test_a_damaged_database_is_not_touched(tmp_path: Path) -> None:
    async with opened(tmp_path) as scene:
        await stored(scene, 30)
    data = bytearray(scene.path.read_bytes())
    data[4096:] = Random(1).randbytes(len(data) - 4096)
    scene.path.write_bytes(data)
    with pytest.raises(LedgerCorruptError):
        repair(scene.path, clock=scene.clock)
    assert scene.path.read_bytes() == data


async def test_a_file_of_the_missed_picture_s_size_is_not_taken_for_it(scene: Scene) -> None:
    await stored(scene, 1)
    (scene.folder / "pictures/001.jpeg").unlink()
    (scene.folder / "pictures/stranger.jpeg").write_bytes(b"PICTURE")
    assert mended(scene) == [f"{scene.job('picture 1').key[:12]}: its picture is gone: lost"]
    assert kinds(scene) == {"foreign": 1, "lost": 1}
