"""An outage of the provider, told from a job that was unlucky."""

import pytest

from pipeline.provider import AnswerLostError, OverloadedError, RefusedError, ThrottledError, UnreachableError
from tests.unit.produce_doubles import MAX, orders
from tests.unit.produce_stall import Stall

FIRST = "picture 1"


async def test_one_unreachable_job_is_an_outage_when_nobody_got_through() -> None:
    stall = Stall(concurrency=1)
    stall.shop.always = lambda _: UnreachableError("no route to host")

    await stall.sell(orders(9))

    assert stall.shop.asked == [FIRST] * 3
    assert stall.halted() == [69]
    assert stall.halt.causes[0].message == "the provider cannot be reached: no route to host"


async def test_one_unreachable_job_is_bad_luck_while_others_get_through() -> None:
    stall = Stall(concurrency=2)
    stall.shop.scripts[FIRST] = [UnreachableError("no route")] * 3

    await stall.sell(orders(9))

    assert not stall.halted()
    assert stall.ends(orders(9)) == ["released for good"] + ["bought"] * 8


async def test_five_overloaded_jobs_in_a_row_are_an_outage() -> None:
    stall = Stall(concurrency=1)
    stall.shop.always = lambda _: OverloadedError("busy", status=503)

    await stall.sell(orders(20))

    assert len(stall.shop.asked) == 15
    assert stall.halted() == [69]
    assert stall.halt.causes[0].message == (
        "the provider serves nobody: 5 jobs in a row were turned away, the last with: HTTP 503: busy"
    )


@pytest.mark.parametrize("model", ["flux-kontext-pro", MAX])
async def test_any_answer_between_overloads_starts_the_count_again(model: str) -> None:
    stall = Stall(concurrency=1)
    wanted = [*orders(4), *orders(1, model=model, first=5), *orders(4, first=6)]
    for number in (1, 2, 3, 4, 6, 7, 8, 9):
        stall.shop.scripts[f"picture {number}"] = [OverloadedError("busy")] * 3

    await stall.sell(wanted)

    assert not stall.halted()
    assert stall.producer.failed == 8


async def test_a_refusal_shows_that_the_provider_is_there() -> None:
    stall = Stall(concurrency=1)
    stall.shop.always = lambda request: RefusedError("no") if request.prompt.endswith("5") else OverloadedError("busy")

    await stall.sell(orders(9))

    assert not stall.halted()
    assert stall.producer.failed == 9


async def test_a_provider_that_forbids_retries_and_serves_nobody_is_an_outage_too() -> None:
    stall = Stall(concurrency=1)
    stall.shop.always = lambda _: OverloadedError("busy", retryable=False)

    await stall.sell(orders(50))

    assert len(stall.shop.asked) == 5
    assert stall.halted() == [69]


async def test_congestion_that_outlasts_five_jobs_is_an_outage() -> None:
    stall = Stall(concurrency=5, max_throttle_s=10.0)
    stall.shop.always = lambda _: ThrottledError("slow", retry_after_s=6.0)

    await stall.sell(orders(50))

    assert stall.halted() == [69]
    assert stall.producer.failed == 5


async def test_ten_lost_answers_in_a_row_stop_the_buying_because_each_may_have_cost_its_price() -> None:
    stall = Stall(concurrency=1)
    stall.shop.always = lambda _: AnswerLostError("no answer in 180 s")

    await stall.sell(orders(30))

    assert len(stall.shop.asked) == 10
    assert stall.halted() == [69]
    assert stall.halt.causes[0].message == (
        "10 answers in a row were lost, each perhaps billed, the last with: no answer in 180 s"
    )


async def test_a_good_answer_between_lost_ones_starts_the_count_again() -> None:
    stall = Stall(concurrency=1)
    for number in (*range(1, 10), *range(11, 20)):
        stall.shop.scripts[f"picture {number}"] = [AnswerLostError("cut")]

    await stall.sell(orders(19))

    assert not stall.halted()
    assert stall.producer.unknown == 18
