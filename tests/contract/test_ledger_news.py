"""Whether a run is news: it asked for something, or ended otherwise than the one before."""

from pathlib import Path

from pipeline.ledger import JobState, Ledger, Run, RunNews
from tests.contract.ledger_scene import Opens, Scene


def news(scene: Scene, run: Run) -> RunNews:
    with Ledger(scene.address) as ledger:
        told = ledger.run_news(run.run_id)
    assert told is not None
    return told


async def ended(scene: Scene, code: int, *, edition: str = "", manifest: str = "poster") -> Run:
    run = await scene.begin(edition=edition, manifest=manifest)
    await scene.writer.end(run, exit_code=code)
    return run


async def test_a_run_that_asked_for_something_is_news(opens: Opens, tmp_path: Path) -> None:
    async with opens(tmp_path) as scene:
        run = await scene.begin()
        await scene.bring_to(JobState.FAILED, run, scene.job())
        await scene.writer.end(run, exit_code=3)
        assert news(scene, run).any


async def test_the_same_end_as_before_is_no_news_whatever_it_is(opens: Opens, tmp_path: Path) -> None:
    async with opens(tmp_path) as scene:
        assert not news(scene, await ended(scene, 0)).any
        assert news(scene, await ended(scene, 3)).any
        assert not news(scene, await ended(scene, 3, edition="tomorrow")).any
        assert not news(scene, await ended(scene, 0, manifest="another")).any
        assert news(scene, await ended(scene, 0)).any


async def test_a_run_after_one_that_died_is_news(opens: Opens, tmp_path: Path) -> None:
    async with opens(tmp_path) as scene:
        await scene.begin(edition="died")
        assert news(scene, await ended(scene, 0)).any


async def test_a_run_that_nobody_knows_is_none(opens: Opens, tmp_path: Path) -> None:
    async with opens(tmp_path) as scene:
        with Ledger(scene.address) as ledger:
            assert ledger.run_news("another") is None
