"""Where the last run of each manifest stands, for whoever asks again and again."""

from pipeline.ledger import Caps, JobState, Ledger
from tests.contract.ledger_scene import PRICE, Scene


async def test_a_run_that_is_on_and_one_that_has_ended_are_told_apart(scene: Scene) -> None:
    ended = await scene.begin(manifest="ended")
    await scene.bring_to(JobState.STORED, ended, scene.job("stored"))
    await scene.writer.end(ended, exit_code=3)
    on = await scene.begin(caps=Caps(batch=9 * PRICE))
    await scene.bring_to(JobState.BUYING, on, scene.job("asked for", index=2))
    await scene.bring_to(JobState.BOUGHT, on, scene.job("paid", index=3))
    with Ledger(scene.address) as ledger:
        newest, before = ledger.standings()
    assert (newest.manifest, newest.on, newest.buying, newest.fetching) == ("poster", True, 1, 1)
    assert (newest.budget_microusd, newest.exit_code) == (9 * PRICE, None)
    assert newest.tally.providers == {"apiyi": (1, PRICE)}
    assert (before.manifest, before.on, before.exit_code, before.tally.stored) == ("ended", False, 3, 1)
    assert before.knows_duration
