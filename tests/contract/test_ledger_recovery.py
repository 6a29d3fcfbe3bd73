"""What a dead run leaves behind, and what a rerun may buy again."""

import pytest

from pipeline.ledger import JobState, Policy, Reservation, Verdict, settle
from tests.contract.ledger_scene import PRICE, Scene

EVERYTHING = Policy(retry_failed=True, resend_unknown=True, rebuy_lost=True)


async def test_what_a_dead_run_had_reserved_is_unknown_once_another_begins(scene: Scene) -> None:
    dead = await scene.begin()
    await scene.reserve(dead, scene.job())
    await scene.begin()
    [row] = scene.rows()
    assert (row.state, row.error_kind, row.unknown_usd) == (JobState.UNKNOWN, "interrupted", "0.035")
    assert scene.money(dead) == (0, PRICE, 0)


async def test_another_manifests_run_also_holds_what_a_dead_run_had_reserved(scene: Scene) -> None:
    dead = await scene.begin()
    await scene.reserve(dead, scene.job())
    await scene.begin(manifest="other")
    assert scene.money(dead) == (0, PRICE, 0)


async def test_what_a_run_has_under_way_at_its_end_is_unknown(scene: Scene) -> None:
    run = await scene.begin()
    await scene.reserve(run, scene.job())
    await scene.writer.end(run, exit_code=5)
    assert scene.state(scene.job()) is JobState.UNKNOWN
    assert scene.money(run) == (0, PRICE, 0)


async def test_the_end_of_a_run_leaves_anothers_reservations(scene: Scene) -> None:
    first, second = await scene.begin(), await scene.begin(manifest="other")
    await scene.reserve(second, scene.job())
    await scene.writer.end(first, exit_code=0)
    assert scene.money(second) == (0, 0, PRICE)


async def test_abandoning_says_how_many_were_under_way(scene: Scene) -> None:
    run = await scene.begin()
    await scene.reserve(run, scene.job("one"))
    await scene.reserve(run, scene.job("two", index=2))
    assert await scene.writer.abandon(run) == 2
    assert scene.money(run) == (0, 2 * PRICE, 0)


async def test_what_is_answered_after_all_is_recorded(scene: Scene) -> None:
    """A run that was taken for dead, or has given up too early, may still tell what it paid for."""
    run = await scene.begin()
    reservation = await scene.reserve(run, scene.job())
    await scene.writer.abandon(run)
    await scene.answer(reservation)
    assert scene.state(scene.job()) is JobState.BOUGHT
    assert scene.money(run) == (PRICE, 0, 0)
    await scene.store(run, reservation)
    assert scene.verify().proven


async def test_what_is_refused_after_all_is_given_back(scene: Scene) -> None:
    run = await scene.begin()
    reservation = await scene.reserve(run, scene.job())
    await scene.writer.abandon(run)
    await scene.refuse(reservation, final=False)
    assert scene.state(scene.job()) is JobState.PLANNED
    assert scene.money(run) == (0, 0, 0)
    assert scene.verify().proven


async def test_an_answer_that_comes_after_a_second_request_is_money_only(scene: Scene) -> None:
    run = await scene.begin()
    late = await scene.reserve(run, scene.job())
    await scene.writer.abandon(run)
    again = await scene.begin()
    [seen] = await scene.see(again, scene.job(), policy=EVERYTHING)
    second = await scene.reserve(again, scene.job(), placement=seen.placement)
    await scene.answer(late)
    assert scene.state(scene.job()) is JobState.BUYING
    assert scene.money(run) == (PRICE, 0, PRICE)
    await scene.answer(second)
    await scene.store(again, second)
    assert scene.verify().proven


@pytest.mark.parametrize("billed", [True, False])
async def test_what_a_person_has_settled_is_not_settled_again(scene: Scene, billed: bool) -> None:
    run = await scene.begin()
    reservation = await scene.reserve(run, scene.job())
    await scene.writer.end(run, exit_code=5)
    scene.clock.at += 1
    settle(scene.address, [scene.job().key], billed=billed, clock=scene.clock)
    with pytest.raises(Exception, match="already"):
        await scene.answer(reservation)


async def test_what_a_dead_run_bought_is_there_to_be_fetched_and_stored(scene: Scene) -> None:
    dead = await scene.begin()
    bought = await scene.bring_to(JobState.BOUGHT, dead, scene.job())
    run = await scene.begin()
    [waiting] = await scene.unfetched(run)
    assert waiting.attempt == bought.attempt
    await scene.store(run, bought)
    assert scene.state(scene.job()) is JobState.STORED


@pytest.mark.parametrize(
    ("state", "policy"),
    [
        (JobState.PLANNED, Policy()),
        (JobState.FAILED, Policy(retry_failed=True)),
        (JobState.UNKNOWN, Policy(resend_unknown=True)),
        (JobState.LOST, Policy(rebuy_lost=True)),
        (JobState.SPOILED, Policy(rebuy_lost=True)),
    ],
)
async def test_a_rerun_buys_what_it_was_told_to(scene: Scene, state: JobState, policy: Policy) -> None:
    await scene.bring_to(state, await scene.begin(), scene.job())
    [seen] = await scene.see(await scene.begin(), scene.job(), policy=policy)
    assert (seen.verdict, seen.state) == (Verdict.BUY, state)


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.UNKNOWN, JobState.LOST, JobState.SPOILED])
async def test_a_rerun_leaves_alone_what_it_was_not_told_to_buy(scene: Scene, state: JobState) -> None:
    await scene.bring_to(state, await scene.begin(), scene.job())
    [seen] = await scene.see(await scene.begin(), scene.job())
    assert (seen.verdict, seen.state) == (Verdict.SETTLED, state)


@pytest.mark.parametrize("state", [JobState.BUYING, JobState.BOUGHT, JobState.STORED])
async def test_no_policy_buys_what_is_under_way_or_stored(scene: Scene, state: JobState) -> None:
    run = await scene.begin()
    await scene.bring_to(state, run, scene.job())
    [seen] = await scene.see(run, scene.job(), policy=EVERYTHING)
    assert seen.verdict is not Verdict.BUY


async def test_what_failed_for_a_passing_reason_is_tried_again(scene: Scene) -> None:
    run = await scene.begin()
    await scene.refuse(await scene.reserve(run, scene.job()), final=True, passing=True)
    [seen] = await scene.see(await scene.begin(), scene.job())
    assert (seen.verdict, seen.state) == (Verdict.BUY, JobState.FAILED)


async def test_a_resend_that_is_refused_returns_to_unknown_and_keeps_the_money(scene: Scene) -> None:
    run = await scene.begin()
    await scene.bring_to(JobState.UNKNOWN, run, scene.job())
    resend = await scene.reserve(await scene.begin(), scene.job())
    assert scene.money(run) == (0, PRICE, PRICE)
    await scene.refuse(resend, final=True, passing=True)
    assert scene.state(scene.job()) is JobState.UNKNOWN
    assert scene.money(run) == (0, PRICE, 0)


async def test_a_resend_that_is_answered_spends_and_keeps_the_first_unknown(scene: Scene) -> None:
    run = await scene.begin()
    await scene.bring_to(JobState.UNKNOWN, run, scene.job())
    later = await scene.begin()
    await scene.bring_to(JobState.STORED, later, scene.job())
    assert scene.state(scene.job()) is JobState.STORED
    assert scene.money(run) == (PRICE, PRICE, 0)
    assert [finding.kind for finding in scene.verify().findings] == ["unknown"]


async def test_a_resend_that_is_lost_too_counts_twice(scene: Scene) -> None:
    run = await scene.begin()
    await scene.bring_to(JobState.UNKNOWN, run, scene.job())
    await scene.bring_to(JobState.UNKNOWN, await scene.begin(), scene.job())
    assert scene.money(run) == (0, 2 * PRICE, 0)


async def test_a_rebuy_of_a_lost_picture_pays_again_and_stores(scene: Scene) -> None:
    run = await scene.begin()
    await scene.bring_to(JobState.LOST, run, scene.job())
    await scene.bring_to(JobState.STORED, await scene.begin(), scene.job())
    assert scene.state(scene.job()) is JobState.STORED
    assert scene.money(run) == (2 * PRICE, 0, 0)
    assert scene.verify().proven


async def test_a_rebuy_that_is_refused_leaves_the_picture_lost(scene: Scene) -> None:
    run = await scene.begin()
    await scene.bring_to(JobState.LOST, run, scene.job())
    await scene.refuse(await scene.reserve(await scene.begin(), scene.job()))
    assert scene.state(scene.job()) is JobState.LOST
    assert scene.money(run) == (PRICE, 0, 0)


@pytest.mark.parametrize("state", [JobState.UNKNOWN, JobState.LOST, JobState.SPOILED])
async def test_what_another_run_paid_for_meanwhile_is_not_bought_on_an_old_admission(
    scene: Scene, state: JobState
) -> None:
    """Two manifests want one picture: the second was told to buy before the first had paid."""
    async with scene.beside() as other:
        first, second = await scene.begin(), await other.begin(manifest="other")
        [told] = await other.see(second, scene.job())
        assert told.verdict is Verdict.BUY
        scene.clock.at += 1
        await scene.bring_to(state, first, scene.job())
        again = await other.writer.reserve(second, placement=told.placement, key=scene.job().key, price_microusd=PRICE)
    assert again is None
    assert scene.committed() == PRICE


@pytest.mark.parametrize("passing", [True, False])
async def test_what_another_run_was_refused_meanwhile_is_bought_if_the_reason_passes(
    scene: Scene, passing: bool
) -> None:
    async with scene.beside() as other:
        first, second = await scene.begin(), await other.begin(manifest="other")
        [told] = await other.see(second, scene.job())
        await scene.refuse(await scene.reserve(first, scene.job()), passing=passing)
        bought = await other.writer.reserve(second, placement=told.placement, key=scene.job().key, price_microusd=PRICE)
    assert isinstance(bought, Reservation) is passing


async def test_a_run_is_known_by_its_start_and_a_tail_of_its_own(scene: Scene) -> None:
    first, second = await scene.begin(), await scene.begin()
    assert first.run_id.startswith("20261123T120000-")
    assert first.run_id != second.run_id
    assert first.batch == second.batch


async def test_an_edition_and_a_simulated_run_are_batches_of_their_own(scene: Scene) -> None:
    runs = [
        await scene.begin(),
        await scene.begin(edition="2026-11-23"),
        await scene.begin(simulated=True),
    ]
    assert len({run.batch for run in runs}) == 3
