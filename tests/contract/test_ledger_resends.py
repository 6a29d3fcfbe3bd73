"""Asking again for a lost answer without a person's word: once for each job, and within the manifest's cap on it."""

import pytest

from pipeline.ledger import CapReached, Caps, HeldForPerson, JobState, Policy, Reservation, Run
from tests.contract.ledger_scene import PRICE, Scene

RESEND = Policy(resend_unknown=True)


async def unknown_jobs(scene: Scene, number: int) -> None:
    """Jobs whose answers an earlier run lost."""
    run = await scene.begin()
    for index in range(1, number + 1):
        await scene.bring_to(JobState.UNKNOWN, run, scene.job(f"picture {index}", index=index))


async def resend(scene: Scene, run: Run, index: int) -> object:
    job = scene.job(f"picture {index}", index=index)
    [seen] = await scene.see(run, job, policy=RESEND)
    return await scene.writer.reserve(run, placement=seen.placement, key=job.key, price_microusd=PRICE)


async def test_each_is_asked_for_once_over_all_runs(scene: Scene) -> None:
    await unknown_jobs(scene, 1)
    run = await scene.begin(caps=Caps(resend=10 * PRICE))
    sent = await resend(scene, run, 1)
    assert isinstance(sent, Reservation)
    await scene.lose_answer(sent)
    assert scene.money(run) == (0, 2 * PRICE, 0)
    assert isinstance(await resend(scene, run, 1), HeldForPerson)
    later = await scene.begin(caps=Caps(resend=10 * PRICE))
    assert isinstance(await resend(scene, later, 1), HeldForPerson)


async def test_one_that_was_refused_cost_nothing_and_may_be_asked_for_again(scene: Scene) -> None:
    await unknown_jobs(scene, 1)
    run = await scene.begin(caps=Caps(resend=PRICE))
    for _ in range(3):
        sent = await resend(scene, run, 1)
        assert isinstance(sent, Reservation)
        await scene.refuse(sent)
    assert scene.state(scene.job("picture 1")) is JobState.UNKNOWN


async def test_the_cap_is_over_all_runs_of_the_manifest(scene: Scene) -> None:
    await unknown_jobs(scene, 4)
    outcomes = []
    for index in range(1, 5):
        run = await scene.begin(caps=Caps(resend=2 * PRICE))
        outcomes.append(await resend(scene, run, index))
        if isinstance(outcomes[-1], Reservation):
            await scene.answer(outcomes[-1])
    assert [type(each) for each in outcomes] == [Reservation, Reservation, HeldForPerson, HeldForPerson]
    other = await scene.begin(manifest="other", caps=Caps(resend=PRICE))
    assert isinstance(await resend(scene, other, 3), Reservation)


async def test_a_persons_word_has_no_such_bounds(scene: Scene) -> None:
    await unknown_jobs(scene, 1)
    for _ in range(3):
        run = await scene.begin(caps=Caps(resend=None))
        sent = await resend(scene, run, 1)
        assert isinstance(sent, Reservation)
        await scene.lose_answer(sent)
    assert scene.money(run) == (0, 4 * PRICE, 0)


@pytest.mark.parametrize("state", [JobState.PLANNED, JobState.FAILED])
async def test_the_cap_is_about_lost_answers_alone(scene: Scene, state: JobState) -> None:
    await scene.bring_to(state, await scene.begin(), scene.job())
    run = await scene.begin(caps=Caps(resend=0))
    [seen] = await scene.see(run, scene.job(), policy=Policy(retry_failed=True))
    got = await scene.writer.reserve(run, placement=seen.placement, key=scene.job().key, price_microusd=PRICE)
    assert isinstance(got, Reservation)


async def test_the_other_caps_hold_for_it_too(scene: Scene) -> None:
    await unknown_jobs(scene, 1)
    run = await scene.begin(caps=Caps(resend=PRICE, batch=2 * PRICE - 1))
    assert isinstance(await resend(scene, run, 1), CapReached)
