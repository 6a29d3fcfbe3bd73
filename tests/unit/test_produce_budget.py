"""The budget: a wall that is never passed, and that money may come back to."""

from pipeline.errors import ExitCode
from pipeline.provider import AnswerLostError, RefusedError
from tests.unit.produce_doubles import orders
from tests.unit.produce_stall import Stall

FIRST = "picture 1"


async def test_the_budget_is_never_passed_and_its_end_stops_buying() -> None:
    stall = Stall(concurrency=4)
    stall.book.budget_microusd = 5 * 35_000
    stall.shop.takes_s = lambda: 1.0

    await stall.sell(orders(50))

    assert stall.producer.bought == 5
    assert stall.halted() == [4]
    assert stall.halt.causes[0].message == (
        "the budget of this manifest is $0.175, $0.175 of it is spent, unknown or reserved,"
        " and one more picture costs $0.035"
    )


async def test_a_reservation_that_comes_back_is_spent_on_another_picture() -> None:
    stall = Stall(concurrency=4)
    stall.book.budget_microusd = 2 * 35_000
    stall.shop.takes_s = lambda: 1.0
    stall.shop.scripts[FIRST] = [RefusedError("no")]
    stall.shop.scripts["picture 2"] = [RefusedError("no")]

    await stall.sell(orders(4))

    assert stall.ends(orders(4)) == ["released for good", "released for good", "bought", "bought"]
    assert not stall.halted()


async def test_the_budgets_end_is_declared_only_when_nothing_is_in_flight() -> None:
    stall = Stall(concurrency=4)
    stall.book.budget_microusd = 35_000
    stall.shop.takes_s = lambda: 10.0
    stall.shop.scripts[FIRST] = [RefusedError("no")]
    seen: list[bool] = []

    async def look() -> None:
        await stall.clock.sleep(9.0)
        seen.append(stall.halt.called)

    await stall.sell(orders(3), meanwhile=look)

    assert seen == [False]
    assert sorted(stall.ends(orders(3))) == ["bought", "left", "released for good"]
    assert stall.halted() == [4]


async def test_unknown_money_counts_against_the_budget() -> None:
    stall = Stall(concurrency=1)
    stall.book.budget_microusd = 2 * 35_000
    stall.shop.scripts[FIRST] = [AnswerLostError("gone")]

    await stall.sell(orders(5))

    assert stall.ends(orders(5)) == ["unknown", "bought", "left", "left", "left"]
    assert stall.halted() == [4]


async def test_whoever_waits_for_money_is_woken_when_buying_stops() -> None:
    stall = Stall(concurrency=3)
    stall.book.budget_microusd = 35_000
    stall.shop.takes_s = lambda: 50.0

    async def stop() -> None:
        await stall.clock.sleep(10.0)
        stall.halt.call(ExitCode.TEMPORARY, "stopped by SIGTERM")

    await stall.sell(orders(3), meanwhile=stop)

    assert stall.halted() == [75]
    assert stall.ends(orders(3)) == ["bought", "left", "left"]
