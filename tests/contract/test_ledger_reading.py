"""What people and scripts ask of a ledger."""

import pytest

from pipeline.ledger import BatchName, BatchStatus, JobState, Known, Ledger
from tests.contract.ledger_scene import PRICE, Scene

POSTER = BatchName(manifest="poster", edition="", simulated=False)


async def test_a_reader_beside_the_writer_sees_what_is_committed(scene: Scene) -> None:
    run = await scene.begin()
    with Ledger(scene.address) as ledger:
        assert ledger.committed(POSTER) == 0
        await scene.reserve(run, scene.job())
        assert ledger.committed(POSTER) == PRICE


async def test_a_reader_in_the_middle_of_its_rows_does_not_block_the_writer(scene: Scene) -> None:
    run = await scene.begin()
    await scene.see(run, scene.job("one"), scene.job("two", index=2))
    with Ledger(scene.address) as ledger:
        rows = ledger.rows()
        next(rows)
        await scene.reserve(run, scene.job("three", index=3))
        assert len(list(rows)) == 1


async def test_status_tells_of_each_manifest_the_last_run_first(scene: Scene) -> None:
    run = await scene.begin()
    await scene.bring_to(JobState.STORED, run, scene.job())
    await scene.writer.end(run, exit_code=0)
    other = await scene.begin(manifest="other", edition="nightly", simulated=True)
    await scene.bring_to(JobState.UNKNOWN, other, scene.job("two"))
    with Ledger(scene.address) as ledger:
        status = ledger.status()
    assert status == [
        BatchStatus(
            manifest="other",
            edition="nightly",
            simulated=True,
            states={JobState.UNKNOWN: 1},
            spent_microusd=0,
            unknown_microusd=PRICE,
            reserved_microusd=0,
            last_run=other.run_id,
            last_started_at=scene.clock.wall(),
            last_exit_code=None,
        ),
        BatchStatus(
            manifest="poster",
            edition="",
            simulated=False,
            states={JobState.STORED: 1},
            spent_microusd=PRICE,
            unknown_microusd=0,
            reserved_microusd=0,
            last_run=run.run_id,
            last_started_at=scene.clock.wall(),
            last_exit_code=0,
        ),
    ]


async def test_status_of_a_manifest_that_has_seen_no_row(scene: Scene) -> None:
    await scene.begin()
    with Ledger(scene.address) as ledger:
        [status] = ledger.status()
    assert (status.states, status.spent_microusd) == ({}, 0)


async def test_what_is_known_of_keys_comes_in_their_order(scene: Scene) -> None:
    earlier = await scene.begin()
    await scene.bring_to(JobState.FAILED, earlier, scene.job("one"))
    run = await scene.begin()
    await scene.refuse(await scene.reserve(run, scene.job("two", index=2)), passing=True)
    keys = [scene.job(prompt).key for prompt in ("three", "two", "one")]
    with Ledger(scene.address) as ledger:
        assert ledger.known(POSTER, keys) == [
            Known(state=None, passing=False, in_last_run=False),
            Known(state=JobState.FAILED, passing=True, in_last_run=True),
            Known(state=JobState.FAILED, passing=False, in_last_run=False),
        ]


async def test_nothing_is_known_of_a_batch_that_never_ran(scene: Scene) -> None:
    with Ledger(scene.address) as ledger:
        assert ledger.known(POSTER, [scene.job().key]) == [Known(state=None, passing=False, in_last_run=False)]
        assert ledger.last_run_rows(POSTER) == 0
        assert ledger.committed(POSTER) == 0


async def test_the_last_run_counts_the_rows_it_saw(scene: Scene) -> None:
    await scene.see(await scene.begin(), scene.job("one"), scene.job("two", index=2))
    await scene.see(await scene.begin(), scene.job("one"))
    with Ledger(scene.address) as ledger:
        assert ledger.last_run_rows(POSTER) == 1


@pytest.mark.parametrize("state", JobState)
async def test_the_troubles_of_a_run_are_what_failed_or_was_paid_for_nothing(scene: Scene, state: JobState) -> None:
    run = await scene.begin()
    await scene.bring_to(state, run, scene.job())
    found = await scene.writer.troubles(run, limit=5)
    troubled = state in {JobState.FAILED, JobState.UNKNOWN, JobState.LOST, JobState.SPOILED}
    assert [(one.index, one.state, one.prompt) for one in found] == [(1, state, "a lighthouse")] * troubled


async def test_the_first_troubles_come_first_and_those_of_other_runs_do_not(scene: Scene) -> None:
    await scene.bring_to(JobState.FAILED, await scene.begin(), scene.job("another run's"))
    run = await scene.begin()
    for index in (3, 1, 2):
        await scene.bring_to(JobState.FAILED, run, scene.job(f"picture {index}", index=index))
    assert [one.index for one in await scene.writer.troubles(run, limit=2)] == [1, 2]
