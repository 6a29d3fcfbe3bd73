"""The budget is a wall: exact in each scope, whatever arrives at once, whatever becomes of the money."""

import anyio
import pytest

from pipeline.ledger import CapReached, Caps, JobState, Reservation
from tests.contract.ledger_scene import PRICE, Scene


@pytest.mark.parametrize(
    ("caps", "scope"),
    [
        (Caps(batch=7 * PRICE + 1), "this manifest"),
        (Caps(daily=7 * PRICE), "day 2026-11-23"),
        (Caps(monthly=8 * PRICE - 1), "month 2026-11"),
        (Caps(total=7 * PRICE), "the whole ledger"),
    ],
)
async def test_200_at_once_reserve_exactly_what_the_cap_allows(scene: Scene, caps: Caps, scope: str) -> None:
    run = await scene.begin(caps=caps)
    jobs = [scene.job(f"picture {index}", index=index) for index in range(1, 201)]
    seen = await scene.see(run, *jobs)
    outcomes: list[object] = []

    async def buy(place: int) -> None:
        outcomes.append(
            await scene.writer.reserve(run, placement=seen[place].placement, key=jobs[place].key, price_microusd=PRICE)
        )

    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            for place in range(200):
                group.start_soon(buy, place)

    assert sum(isinstance(outcome, Reservation) for outcome in outcomes) == 7
    refused = [outcome for outcome in outcomes if isinstance(outcome, CapReached)]
    assert {(reached.scope, reached.committed_microusd) for reached in refused} == {(scope, 7 * PRICE)}
    assert scene.committed() == 7 * PRICE


async def test_a_refusal_says_the_numbers(scene: Scene) -> None:
    run = await scene.begin(caps=Caps(batch=PRICE))
    await scene.reserve(run, scene.job("one"))
    [seen] = await scene.see(run, scene.job("two", index=2))
    reached = await scene.writer.reserve(run, placement=seen.placement, key=scene.job("two").key, price_microusd=PRICE)
    assert reached == CapReached(
        scope="this manifest", cap_microusd=PRICE, committed_microusd=PRICE, price_microusd=PRICE
    )


async def _is_refused(scene: Scene, caps: Caps, **begin: str) -> bool:
    run = await scene.begin(caps=caps, **begin)  # type: ignore[arg-type] # only the texts are passed
    job = scene.job("the next", index=9)
    [seen] = await scene.see(run, job)
    reached = await scene.writer.reserve(run, placement=seen.placement, key=job.key, price_microusd=PRICE)
    return isinstance(reached, CapReached)


@pytest.mark.parametrize("state", [JobState.BOUGHT, JobState.STORED, JobState.LOST, JobState.SPOILED, JobState.UNKNOWN])
async def test_spent_and_unknown_money_counts(scene: Scene, state: JobState) -> None:
    await scene.bring_to(state, await scene.begin(), scene.job())
    assert await _is_refused(scene, Caps(batch=2 * PRICE - 1))


async def test_reserved_money_counts(scene: Scene) -> None:
    run = await scene.begin(caps=Caps(batch=2 * PRICE - 1))
    await scene.reserve(run, scene.job())
    [seen] = await scene.see(run, scene.job("two"))
    again = await scene.writer.reserve(run, placement=seen.placement, key=scene.job("two").key, price_microusd=PRICE)
    assert isinstance(again, CapReached)


async def test_released_money_does_not_count(scene: Scene) -> None:
    await scene.bring_to(JobState.FAILED, await scene.begin(), scene.job())
    assert not await _is_refused(scene, Caps(batch=PRICE))


async def test_a_price_of_nothing_passes_a_cap_of_nothing(scene: Scene) -> None:
    run = await scene.begin(caps=Caps(batch=0, daily=0, monthly=0, total=0))
    assert isinstance(await scene.reserve(run, scene.job(), price=0), Reservation)


async def test_another_manifest_has_a_budget_of_its_own(scene: Scene) -> None:
    await scene.bring_to(JobState.STORED, await scene.begin(), scene.job())
    assert not await _is_refused(scene, Caps(batch=PRICE), manifest="other")
    assert await _is_refused(scene, Caps(total=2 * PRICE - 1), manifest="third")


async def test_another_edition_has_a_budget_of_its_own(scene: Scene) -> None:
    await scene.bring_to(JobState.STORED, await scene.begin(), scene.job())
    assert not await _is_refused(scene, Caps(batch=PRICE), edition="tomorrow")


async def test_the_next_day_has_a_daily_budget_of_its_own_but_not_a_monthly_one(scene: Scene) -> None:
    await scene.bring_to(JobState.STORED, await scene.begin(), scene.job())
    scene.clock.set(2026, 11, 24)
    assert not await _is_refused(scene, Caps(daily=PRICE))
    assert await _is_refused(scene, Caps(monthly=2 * PRICE))


async def test_the_next_month_has_a_monthly_budget_of_its_own(scene: Scene) -> None:
    await scene.bring_to(JobState.STORED, await scene.begin(), scene.job())
    scene.clock.set(2026, 12, 1)
    assert not await _is_refused(scene, Caps(monthly=PRICE))


async def test_a_fallen_cap_buys_nothing_more(scene: Scene) -> None:
    await scene.bring_to(JobState.STORED, await scene.begin(caps=Caps(batch=9 * PRICE)), scene.job())
    assert await _is_refused(scene, Caps(batch=PRICE))


@pytest.mark.parametrize("state", [JobState.BOUGHT, JobState.UNKNOWN, JobState.FAILED])
async def test_money_stays_in_the_day_and_month_it_was_reserved_in(scene: Scene, state: JobState) -> None:
    scene.clock.set(2026, 11, 30, hour=23)
    run = await scene.begin()
    reservation = await scene.reserve(run, scene.job())
    scene.clock.set(2026, 12, 1, hour=1)
    if state is JobState.BOUGHT:
        await scene.answer(reservation)
    elif state is JobState.UNKNOWN:
        await scene.lose_answer(reservation)
    else:
        await scene.refuse(reservation)
    kept = 0 if state is JobState.FAILED else PRICE
    assert [scene.committed(scope) for scope in scene.scopes(run, "2026-11-30")] == [kept] * 4
    assert [scene.committed(scope) for scope in scene.scopes(run, "2026-12-01")[1:3]] == [0, 0]


async def test_simulated_money_is_summed_apart(scene: Scene) -> None:
    simulated = await scene.begin(simulated=True)
    await scene.bring_to(JobState.STORED, simulated, scene.job())
    assert [scene.committed(scope) for scope in scene.scopes(simulated)] == [PRICE] * 4
    real = await scene.begin()
    assert [scene.committed(scope) for scope in scene.scopes(real)] == [0] * 4


async def test_a_simulated_run_does_not_use_up_a_real_budget(scene: Scene) -> None:
    await scene.bring_to(JobState.STORED, await scene.begin(simulated=True), scene.job())
    assert not await _is_refused(scene, Caps(batch=PRICE, daily=PRICE, monthly=PRICE, total=PRICE))


async def test_a_simulated_runs_caps_hold_for_simulated_money(scene: Scene) -> None:
    run = await scene.begin(simulated=True, caps=Caps(daily=PRICE))
    await scene.reserve(run, scene.job())
    [seen] = await scene.see(run, scene.job("two"))
    reached = await scene.writer.reserve(run, placement=seen.placement, key=scene.job("two").key, price_microusd=PRICE)
    assert isinstance(reached, CapReached)
    assert reached.scope == "day 2026-11-23"


async def test_what_one_budget_refuses_counts_in_none(scene: Scene) -> None:
    run = await scene.begin(caps=Caps(batch=9 * PRICE, daily=9 * PRICE, monthly=9 * PRICE, total=PRICE))
    await scene.reserve(run, scene.job())
    [seen] = await scene.see(run, scene.job("another", index=2))
    refused = await scene.writer.reserve(
        run, placement=seen.placement, key=scene.job("another", index=2).key, price_microusd=PRICE
    )
    assert isinstance(refused, CapReached)
    assert [scene.committed(scope) for scope in scene.scopes(run)] == [PRICE] * 4
    assert "sums" not in {finding.kind for finding in scene.verify().findings}
