"""The ledger's single requests, as a bill is held against them."""

from pathlib import Path

from pipeline.ledger import AttemptMoney, AttemptRecord, Ledger, settle
from tests.contract.ledger_scene import PRICE, Opens, Scene

DAY = "2026-11-23"


def attempts(scene: Scene, *, since: str = DAY, until: str = DAY, simulated: bool = False) -> list[AttemptRecord]:
    provider = "simulator" if simulated else "apiyi"
    with Ledger(scene.address) as ledger:
        return ledger.attempts(provider=provider, simulated=simulated, since=since, until=until)


async def test_each_request_is_told_with_its_money_name_and_times(opens: Opens, tmp_path: Path) -> None:
    async with opens(tmp_path) as scene:
        run = await scene.begin()
        paid = await scene.reserve(run, scene.job("paid"))
        scene.clock.at += 8
        await scene.answer(paid)
        refused = await scene.reserve(run, scene.job("refused", index=2))
        await scene.refuse(refused)
        lost = await scene.reserve(run, scene.job("lost", index=3))
        await scene.lose_answer(lost)
        await scene.reserve(run, scene.job("asked", index=4))
        first, second, third, fourth = attempts(scene)
    assert first == AttemptRecord(
        id=paid.attempt,
        key=scene.job("paid").key,
        model="flux-kontext-pro",
        day=DAY,
        money=AttemptMoney.SPENT,
        price_microusd=PRICE,
        started_at=scene.clock.at - 8,
        ended_at=scene.clock.at,
        request_id="req-1",
    )
    assert (second.money, second.troubled, second.judged) == (AttemptMoney.RELEASED, True, False)
    assert (third.money, third.troubled, third.request_id, third.open_of_job) == (AttemptMoney.UNKNOWN, True, "", 1)
    assert (fourth.money, fourth.ended_at, fourth.under_way) == (AttemptMoney.RESERVED, None, True)


async def test_what_a_run_that_died_had_under_way_is_not_under_way(opens: Opens, tmp_path: Path) -> None:
    async with opens(tmp_path) as scene:
        await scene.reserve(await scene.begin(), scene.job())
        assert attempts(scene)[0].under_way
    (left,) = attempts(scene)
    assert (left.money, left.under_way, left.open_of_job) == (AttemptMoney.RESERVED, False, 1)


async def test_a_persons_word_is_told_apart_from_an_answer(opens: Opens, tmp_path: Path) -> None:
    async with opens(tmp_path) as scene:
        run = await scene.begin()
        for index, prompt in enumerate(("billed", "not billed"), start=1):
            await scene.lose_answer(await scene.reserve(run, scene.job(prompt, index=index)))
    scene.clock.at += 3_600
    settle(scene.address, [scene.job("billed").key], billed=True, clock=scene.clock)
    settle(scene.address, [scene.job("not billed").key], billed=False, clock=scene.clock)
    told = {each.money: (each.troubled, each.judged, each.open_of_job) for each in attempts(scene)}
    assert told == {AttemptMoney.SPENT: (True, True, 0), AttemptMoney.RELEASED: (True, True, 0)}


async def test_only_the_days_provider_and_money_that_were_asked_for(opens: Opens, tmp_path: Path) -> None:
    async with opens(tmp_path) as scene:
        run = await scene.begin()
        await scene.answer(await scene.reserve(run, scene.job("first")))
        scene.clock.set(2026, 11, 25)
        await scene.answer(await scene.reserve(run, scene.job("second", index=2)))
        play = await scene.begin(manifest="play", simulated=True)
        await scene.reserve(play, scene.job("third", index=3))
        days = [
            [each.day for each in attempts(scene, since=since, until=until)]
            for since, until in ((DAY, DAY), ("2026-11-24", "2026-11-30"), ("2026-11-01", "2026-11-25"))
        ]
        assert days == [[DAY], ["2026-11-25"], [DAY, "2026-11-25"]]
        assert len(attempts(scene, until="2026-11-30", simulated=True)) == 1
        with Ledger(scene.address) as ledger:
            assert ledger.first_day(provider="apiyi", simulated=False) == DAY
            assert ledger.first_day(provider="simulator", simulated=True) == "2026-11-25"
            assert ledger.first_day(provider="nobody", simulated=False) is None
            assert ledger.providers() == [("apiyi", False), ("simulator", True)]
