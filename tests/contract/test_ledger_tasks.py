"""A task that a provider has taken: whoever dies, it is asked after, and never paid for again."""

import pytest

from pipeline.clock import SystemClock
from pipeline.ledger import JobState, Ledger, Policy, Reservation, Run, Submitted, settle
from tests.contract.ledger_scene import PRICE, Scene

EVERYTHING = Policy(retry_failed=True, resend_unknown=True, rebuy_lost=True)
URL = "https://api.test/v1/get_result?id=t1"


async def submitted(scene: Scene, run: Run, *, provider: str | None = "bfl") -> Reservation:
    [admission] = await scene.see(run, scene.job())
    reserved = await scene.writer.reserve(
        run, placement=admission.placement, key=scene.job().key, price_microusd=PRICE, provider=provider
    )
    assert isinstance(reserved, Reservation)
    await scene.writer.submit(reserved, task="t1", polling_url=URL, submitted_at=scene.clock.wall())
    return reserved


async def adopted(scene: Scene, run: Run, *providers: str) -> list[Submitted]:
    return await scene.writer.adopt_tasks(run, providers or ("bfl",), lambda _: True)


async def test_what_a_provider_has_taken_stays_reserved_when_its_run_dies(scene: Scene) -> None:
    dead = await scene.begin()
    reserved = await submitted(scene, dead)
    run = await scene.begin()
    assert scene.money(dead) == (0, 0, PRICE)
    assert scene.state(scene.job()) is JobState.BUYING
    [task] = await adopted(scene, run)
    assert (task.reservation, task.provider, task.task, task.polling_url) == (reserved, "bfl", "t1", URL)
    assert (task.wanted, task.key, task.submitted_at) == ("pictures/001", scene.job().key, scene.clock.wall())


@pytest.mark.parametrize("policy", [Policy(), EVERYTHING])
async def test_it_is_never_bought_again(scene: Scene, policy: Policy) -> None:
    await submitted(scene, await scene.begin())
    run = await scene.begin()
    [admission] = await scene.see(run, scene.job(), policy=policy)
    again = await scene.writer.reserve(
        run, placement=admission.placement, key=scene.job().key, price_microusd=PRICE, provider="bfl"
    )
    assert again is None


async def test_only_one_run_asks_after_it(scene: Scene) -> None:
    await submitted(scene, await scene.begin())
    run = await scene.begin()
    assert len(await adopted(scene, run)) == 1
    assert await adopted(scene, run) == []


async def test_a_run_adopts_only_tasks_of_providers_it_can_ask_and_pictures_it_can_keep(scene: Scene) -> None:
    await submitted(scene, await scene.begin())
    run = await scene.begin()
    assert await adopted(scene, run, "apiyi") == []
    assert await scene.writer.adopt_tasks(run, ["bfl"], lambda _: False) == []


async def test_the_provider_of_the_run_has_a_task_that_names_none(scene: Scene) -> None:
    await submitted(scene, await scene.begin(), provider=None)
    assert [task.provider for task in await adopted(scene, await scene.begin(), "apiyi")] == ["apiyi"]


async def test_once_it_is_answered_it_is_bought_and_cannot_be_taken_again(scene: Scene) -> None:
    reserved = await submitted(scene, await scene.begin())
    run = await scene.begin()
    await adopted(scene, run)
    await scene.answer(reserved)
    assert scene.state(scene.job()) is JobState.BOUGHT
    with pytest.raises(Exception, match="settled already"):
        await scene.writer.submit(reserved, task="t2", polling_url=URL, submitted_at=0.0)


async def test_a_run_that_ends_tells_of_what_is_still_being_made(scene: Scene) -> None:
    run = await scene.begin()
    await submitted(scene, run)
    assert await scene.writer.abandon(run) == 0
    [trouble] = await scene.writer.troubles(run, limit=5)
    assert "the provider has taken it" in trouble.message
    tally = await scene.writer.tally(run)
    assert (tally.unknown, tally.unknown_microusd) == (1, PRICE)
    await scene.writer.end(run, exit_code=5)
    assert scene.money(run) == (0, 0, PRICE)
    assert [finding.kind for finding in scene.verify().findings] == ["submitted"]


async def test_a_person_may_settle_it_by_its_key_but_not_with_all_unknown_ones(scene: Scene) -> None:
    run = await scene.begin()
    await submitted(scene, run)
    await scene.writer.end(run, exit_code=5)
    assert settle(scene.address, [], billed=False, clock=SystemClock()) == []
    [settled] = settle(scene.address, [scene.job().key[:12]], billed=False, clock=SystemClock())
    assert (settled.before, settled.after) == (JobState.UNKNOWN, JobState.PLANNED)
    assert scene.money(run) == (0, 0, 0)


async def test_the_export_and_the_spend_say_who_was_asked(scene: Scene) -> None:
    reserved = await submitted(scene, await scene.begin())
    await scene.answer(reserved)
    [row] = scene.rows()
    assert (row.provider, row.spend_usd) == ("bfl", "0.035")
    with Ledger(scene.address) as ledger:
        assert [(line.group, line.spent_microusd) for line in ledger.spend("provider")] == [("bfl", PRICE)]
        assert ledger.providers() == [("apiyi", False), ("bfl", False)]
        day = ledger.first_day(provider="bfl", simulated=False)
        assert day is not None
        assert len(ledger.attempts(provider="bfl", simulated=False, since=day, until=day)) == 1
        assert ledger.attempts(provider="apiyi", simulated=False, since=day, until=day) == []
