"""One job's whole story: what it tells, and how a picture is named."""

from pathlib import Path

import pytest

from pipeline.errors import NotFoundError, UsageError
from pipeline.ledger import AttemptMoney, JobState, Ledger, Story, settle
from tests.contract.ledger_scene import PRICE, Scene, opened


def story(scene: Scene, named: str) -> Story:
    with Ledger(scene.address) as ledger:
        (told,) = ledger.stories(named)
    return told


async def test_a_stored_pictures_story_has_its_rows_requests_and_file(tmp_path: Path) -> None:
    async with opened(tmp_path) as scene:
        run, job = await scene.begin(), scene.job()
        placement = (await scene.see(run, job))[0].placement
        await scene.refuse(await scene.reserve(run, job, placement=placement), final=False)
        scene.clock.at += 60
        await scene.bring_to(JobState.STORED, run, job, placement=placement)
        told = story(scene, job.key[:6])
    assert (told.key, told.state, told.prompt, told.ratio) == (job.key, JobState.STORED, "a lighthouse", "16:9")
    assert (told.spend_microusd, told.unknown_microusd, told.size_bytes) == (PRICE, 0, len(b"picture"))
    assert told.parameters["output_format"] == "jpeg"
    (row,) = told.rows
    assert (row.manifest, row.index, row.path, row.file) == ("poster", 1, "pictures/001.jpeg", "ok")
    first, second = told.attempts
    assert (first.money, first.error_kind, first.judged) == (AttemptMoney.RELEASED, "overloaded", False)
    assert (second.money, second.request_id, second.started_at) == (AttemptMoney.SPENT, "req-1", scene.clock.at)


async def test_a_picture_is_found_by_its_bytes_wherever_it_is(tmp_path: Path) -> None:
    async with opened(tmp_path) as scene:
        await scene.bring_to(JobState.STORED, await scene.begin(), scene.job())
        elsewhere = tmp_path / "on the desk.jpg"
        elsewhere.write_bytes(b"picture")
        assert story(scene, str(elsewhere)).key == scene.job().key


async def test_a_picture_that_was_changed_is_found_by_its_place_and_told_as_changed(tmp_path: Path) -> None:
    async with opened(tmp_path) as scene:
        await scene.bring_to(JobState.STORED, await scene.begin(), scene.job())
        file = tmp_path / "pictures" / "001.jpeg"
        file.write_bytes(b"retouched")
        told = story(scene, str(file))
        assert [row.file for row in told.rows] == ["altered"]
        file.unlink()
        assert [row.file for row in story(scene, told.key).rows] == ["missing"]


async def test_equal_bytes_of_two_jobs_are_told_as_both(tmp_path: Path) -> None:
    async with opened(tmp_path) as scene:
        run = await scene.begin()
        for index, prompt in enumerate(("one", "two"), start=1):
            await scene.bring_to(JobState.STORED, run, scene.job(prompt, index=index))
        with Ledger(scene.address) as ledger:
            told = ledger.stories(str(tmp_path / "pictures" / "002.jpeg"))
    assert [each.prompt for each in told] == ["one", "two"]


async def test_a_persons_word_is_part_of_the_story(tmp_path: Path) -> None:
    async with opened(tmp_path) as scene:
        await scene.bring_to(JobState.UNKNOWN, await scene.begin(), scene.job())
    scene.clock.at += 3_600
    settle(scene.address, [scene.job().key], billed=True, clock=scene.clock)
    told = story(scene, scene.job().key)
    assert told.settled
    (attempt,) = told.attempts
    assert attempt.judged
    assert attempt.settled_at == scene.clock.at


async def test_what_names_no_picture_is_refused_with_a_reason(tmp_path: Path) -> None:
    async with opened(tmp_path) as scene:
        await scene.see(await scene.begin(), scene.job())
        stranger = tmp_path / "holiday.jpg"
        stranger.write_bytes(b"sand")
        with Ledger(scene.address) as ledger:
            with pytest.raises(NotFoundError, match="these bytes"):
                ledger.stories(str(stranger))
            with pytest.raises(NotFoundError, match="begins with"):
                ledger.stories("0123456789")
            with pytest.raises(NotFoundError, match="cannot be read"):
                ledger.stories("nothing.jpg")


async def test_digits_that_fit_several_jobs_are_refused(tmp_path: Path) -> None:
    async with opened(tmp_path) as scene:
        run = await scene.begin()
        await scene.see(run, scene.job("one"), scene.job("two", index=2))
        scene.tamper("UPDATE jobs SET key = CAST(x'abcdef' || substr(key, 4) AS BLOB)")
        with Ledger(scene.address) as ledger, pytest.raises(UsageError, match="several"):
            ledger.stories("abcdef")
