"""A manifest's rows held against the ledger: equal rows, changed rows, rows that do not fit, places."""

from dataclasses import replace

import pytest

from pipeline.ledger import JobState, Policy, Unplaced, Verdict
from tests.contract.ledger_scene import PRICE, Scene


async def test_equal_rows_are_bought_once(scene: Scene) -> None:
    run = await scene.begin()
    first, second, third = await scene.see(run, *(scene.job(index=index) for index in (1, 2, 3)))
    assert [first.verdict, second.verdict, third.verdict] == [Verdict.BUY, Verdict.SETTLED, Verdict.SETTLED]
    assert len({first.placement, second.placement, third.placement}) == 3


async def test_equal_rows_are_told_apart_across_calls(scene: Scene) -> None:
    run = await scene.begin()
    await scene.see(run, scene.job(index=1))
    [second] = await scene.see(run, scene.job(index=2))
    assert second.verdict is Verdict.SETTLED


async def test_a_duplicate_wants_its_place_once_the_picture_is_stored(scene: Scene) -> None:
    run = await scene.begin()
    first, second = await scene.see(run, scene.job(index=1), scene.job(index=2))
    assert await scene.writer.unplaced(run) == []
    await scene.bring_to(JobState.STORED, run, scene.job(), placement=first.placement)
    assert await scene.writer.unplaced(run) == [
        Unplaced(
            placement=second.placement,
            stored="pictures/001.jpeg",
            wanted="pictures/002",
            sha256=scene.picture().sha256,
            index=2,
        )
    ]


async def test_a_placed_duplicate_wants_no_more(scene: Scene) -> None:
    run = await scene.begin()
    first, second = await scene.see(run, scene.job(index=1), scene.job(index=2))
    await scene.bring_to(JobState.STORED, run, scene.job(), placement=first.placement)
    await scene.writer.place(placement=second.placement, path="pictures/002.jpeg")
    assert await scene.writer.unplaced(run) == []
    assert [row.path for row in scene.rows()] == ["pictures/001.jpeg", "pictures/002.jpeg"]


async def test_a_stored_picture_is_placed_where_another_manifest_wants_it(scene: Scene) -> None:
    await scene.bring_to(JobState.STORED, await scene.begin(), scene.job())
    [seen] = await scene.see(await scene.begin(manifest="other"), scene.job(), folder="other")
    assert (seen.verdict, seen.state, seen.stored_path) == (Verdict.PLACE, JobState.STORED, "pictures/001.jpeg")


async def test_an_unchanged_row_is_settled_and_keeps_its_placement(scene: Scene) -> None:
    run = await scene.begin()
    [first] = await scene.see(run, scene.job())
    await scene.bring_to(JobState.STORED, run, scene.job(), placement=first.placement)
    [again] = await scene.see(await scene.begin(), scene.job())
    assert (again.verdict, again.state, again.placement) == (Verdict.SETTLED, JobState.STORED, first.placement)
    assert again.stored_path is None


async def test_an_inserted_row_leaves_the_others_their_placements_and_paths(scene: Scene) -> None:
    run = await scene.begin()
    first, second = await scene.see(run, scene.job("one", index=1), scene.job("two", index=2))
    await scene.bring_to(JobState.STORED, run, scene.job("one", index=1), placement=first.placement)
    await scene.bring_to(JobState.STORED, run, scene.job("two", index=2), placement=second.placement)
    later = await scene.begin()
    kept, new, moved = await scene.see(
        later, scene.job("one", index=1), scene.job("inserted", index=2), scene.job("two", index=3)
    )
    assert [kept.verdict, new.verdict, moved.verdict] == [Verdict.SETTLED, Verdict.BUY, Verdict.SETTLED]
    assert (kept.placement, moved.placement) == (first.placement, second.placement)
    paths = {row.prompt: (row.index, row.path) for row in scene.rows()}
    assert paths["two"] == (3, "pictures/002.jpeg")


async def test_a_changed_row_is_a_new_job_and_leaves_the_old_picture_recorded(scene: Scene) -> None:
    run = await scene.begin()
    await scene.bring_to(JobState.STORED, run, scene.job("before"))
    [changed] = await scene.see(await scene.begin(), scene.job("after"))
    assert changed.verdict is Verdict.BUY
    assert {row.prompt: row.path for row in scene.rows()} == {"before": "pictures/001.jpeg", "after": None}


async def test_a_row_not_yet_stored_takes_the_place_it_wants_now(scene: Scene) -> None:
    run = await scene.begin()
    await scene.bring_to(JobState.BOUGHT, run, scene.job(index=1))
    run = await scene.begin()
    await scene.see(run, scene.job(index=5))
    [waiting] = await scene.unfetched(run)
    assert waiting.wanted == "pictures/005"


async def test_a_duplicate_that_is_no_more_leaves_the_first_its_place(scene: Scene) -> None:
    run = await scene.begin()
    first, _ = await scene.see(run, scene.job(index=1), scene.job(index=2))
    [seen] = await scene.see(await scene.begin(), scene.job(index=1))
    assert (seen.placement, seen.verdict) == (first.placement, Verdict.BUY)


async def test_a_row_that_does_not_fit_is_a_failed_job_with_its_place_and_reason(scene: Scene) -> None:
    run = await scene.begin()
    [seen] = await scene.see(run, scene.unfit(index=4))
    assert (seen.verdict, seen.state) == (Verdict.SETTLED, JobState.FAILED)
    [row] = scene.rows()
    assert (row.index, row.state, row.attempts, row.spend_usd) == (4, JobState.FAILED, 0, "0.000")
    assert (row.error_kind, row.error_message) == ("unfit_row", "rows.csv:7: the prompt is empty")


async def test_a_row_that_does_not_fit_is_not_bought_by_retry_failed(scene: Scene) -> None:
    await scene.see(await scene.begin(), scene.unfit())
    [seen] = await scene.see(await scene.begin(), scene.unfit(), policy=Policy(retry_failed=True))
    assert seen.verdict is Verdict.SETTLED


async def test_a_row_that_does_not_fit_says_the_line_it_stands_on_now(scene: Scene) -> None:
    await scene.see(await scene.begin(), scene.unfit(line=7))
    await scene.see(await scene.begin(), scene.unfit(line=9))
    [row] = scene.rows()
    assert row.error_message == "rows.csv:9: the prompt is empty"


async def test_a_job_without_a_ratio_is_recorded_without_one(scene: Scene) -> None:
    job = scene.job()
    await scene.see(await scene.begin(), replace(job, request=replace(job.request, ratio=None)))
    [row] = scene.rows()
    assert row.ratio is None


@pytest.mark.parametrize("state", JobState)
async def test_the_tally_counts_every_row_once_whatever_its_state(scene: Scene, state: JobState) -> None:
    run = await scene.begin()
    first, *_ = await scene.see(run, scene.job(index=1), scene.job(index=2), scene.unfit(index=3))
    await scene.bring_to(state, run, scene.job(), placement=first.placement)
    tally = await scene.tally(run)
    counts = (
        tally.stored, tally.reused, tally.failed, tally.unknown, tally.lost, tally.spoiled, tally.planned,
    )  # fmt: skip
    assert sum(counts) == 3
    assert tally.failed >= 1


@pytest.mark.parametrize(
    ("state", "counted"),
    [
        (JobState.PLANNED, "planned"),
        (JobState.BUYING, "unknown"),
        (JobState.BOUGHT, "lost"),
        (JobState.STORED, "stored"),
        (JobState.FAILED, "failed"),
        (JobState.UNKNOWN, "unknown"),
        (JobState.LOST, "lost"),
        (JobState.SPOILED, "spoiled"),
    ],
)
async def test_the_tally_counts_a_state_under_its_name(scene: Scene, state: JobState, counted: str) -> None:
    run = await scene.begin()
    await scene.bring_to(state, run, scene.job())
    assert getattr(await scene.tally(run), counted) == 1


async def test_the_tally_counts_a_duplicate_and_an_earlier_runs_picture_as_reused(scene: Scene) -> None:
    run = await scene.begin()
    first, _ = await scene.see(run, scene.job(index=1), scene.job(index=2))
    await scene.bring_to(JobState.STORED, run, scene.job(), placement=first.placement)
    tally = await scene.tally(run)
    assert (tally.stored, tally.reused) == (1, 1)
    later = await scene.begin()
    await scene.see(later, scene.job(index=1), scene.job(index=2))
    tally = await scene.tally(later)
    assert (tally.stored, tally.reused) == (0, 2)


async def test_the_tally_tells_this_runs_money_from_the_manifests(scene: Scene) -> None:
    earlier = await scene.begin()
    await scene.bring_to(JobState.STORED, earlier, scene.job("one", index=1))
    await scene.bring_to(JobState.UNKNOWN, earlier, scene.job("two", index=2))
    run = await scene.begin()
    await scene.bring_to(JobState.BOUGHT, run, scene.job("three", index=3))
    await scene.bring_to(JobState.BUYING, run, scene.job("four", index=4))
    tally = await scene.tally(run)
    assert (tally.spend_microusd, tally.unknown_microusd) == (PRICE, PRICE)
    assert (tally.batch_spend_microusd, tally.batch_unknown_microusd) == (2 * PRICE, 2 * PRICE)


async def test_the_tally_of_a_run_that_bought_nothing_is_zero(scene: Scene) -> None:
    tally = await scene.tally(await scene.begin())
    assert (tally.spend_microusd, tally.batch_spend_microusd, tally.url_age_max_s) == (0, 0, None)


async def test_the_tally_knows_the_oldest_url_and_the_wrong_shapes_of_this_run(scene: Scene) -> None:
    run = await scene.begin()
    await scene.bring_to(JobState.STORED, run, scene.job("one", index=1))
    wrong = await scene.bring_to(JobState.BOUGHT, run, scene.job("two", index=2))
    await scene.store(run, wrong, "pictures/002.jpeg", verdict="wrong_shape")
    tally = await scene.tally(run)
    assert (tally.stored, tally.wrong_shape, tally.url_age_max_s) == (2, 1, 1.25)


async def test_a_throttled_attempt_is_not_one_of_the_jobs_attempts(scene: Scene) -> None:
    run = await scene.begin()
    [seen] = await scene.see(run, scene.job())
    for counted in (False, False, True):
        reservation = await scene.reserve(run, scene.job(), placement=seen.placement)
        await scene.refuse(reservation, kind="busy", final=False, counted=counted)
    [row] = scene.rows()
    assert row.attempts == 1
    assert scene.verify().proven


async def test_the_tally_tells_failures_that_a_rerun_tries_again(scene: Scene) -> None:
    run = await scene.begin()
    for index, passing in ((1, True), (2, False), (3, True)):
        reservation = await scene.reserve(run, scene.job(f"picture {index}", index=index))
        await scene.refuse(reservation, final=True, passing=passing)
    tally = await scene.tally(run)
    assert (tally.failed, tally.passing) == (3, 2)


async def test_the_tally_counts_every_row_of_a_passing_failure(scene: Scene) -> None:
    run = await scene.begin()
    first, _ = await scene.see(run, scene.job(index=1), scene.job(index=2))
    await scene.refuse(await scene.reserve(run, scene.job(), placement=first.placement), final=True, passing=True)
    tally = await scene.tally(run)
    assert (tally.failed, tally.passing) == (2, 2)


async def test_a_job_left_planned_for_a_passing_reason_is_no_failure(scene: Scene) -> None:
    run = await scene.begin()
    await scene.refuse(await scene.reserve(run, scene.job()), final=False, passing=True)
    tally = await scene.tally(run)
    assert (tally.planned, tally.failed, tally.passing) == (1, 0, 0)


async def test_the_tally_tells_what_a_rerun_may_still_fetch_and_counts_equal_rows_once(scene: Scene) -> None:
    run = await scene.begin()
    first, *_ = await scene.see(run, *(scene.job(index=index) for index in (1, 2, 3)))
    await scene.bring_to(JobState.BOUGHT, run, scene.job(), placement=first.placement)
    await scene.bring_to(JobState.BOUGHT, run, scene.job("another", index=4))
    await scene.bring_to(JobState.LOST, run, scene.job("a third", index=5))
    tally = await scene.tally(run)
    assert (tally.lost, tally.bought) == (5, 2)
