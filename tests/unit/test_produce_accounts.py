"""Whatever the provider answers and whenever buying stops, the accounts of places, reservations and orders close."""

import random
from collections import Counter
from collections.abc import Callable
from functools import partial

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import ExitCode
from pipeline.provider import (
    AnswerLostError,
    EmptyAccountError,
    ModelRefusedError,
    OverloadedError,
    RefusedError,
    ThrottledError,
    UnreachableError,
)
from tests.unit.produce_doubles import MAX, PRICES, PRO, Outcome, answer, job, orders
from tests.unit.produce_stall import Stall

FAULTS: dict[str, Callable[[], Outcome]] = {
    "url": answer,
    "bytes": partial(answer, url=None, image=b"bytes"),
    "lost": partial(AnswerLostError, "gone"),
    "moderated": partial(RefusedError, "no", kind="moderated"),
    "throttled": partial(ThrottledError, "slow"),
    "paused": partial(ThrottledError, "slow", retry_after_s=3.0),
    "overloaded": partial(OverloadedError, "busy"),
    "told off": partial(OverloadedError, "busy", retryable=False),
    "unreachable": partial(UnreachableError, "no route"),
}
STOPS: dict[str, Callable[[], Outcome]] = {
    "model": partial(ModelRefusedError, "no channel"),
    "account": partial(EmptyAccountError, "no money"),
}

scripts = st.lists(st.lists(st.sampled_from([*FAULTS, *FAULTS, *STOPS]), max_size=5), min_size=1, max_size=20)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    scripts=scripts,
    concurrency=st.integers(1, 12),
    room=st.integers(1, 12),
    budget=st.none() | st.integers(0, 10),
    stop_after=st.none() | st.integers(0, 30),
    seed=st.integers(0, 1_000),
)
def test_every_account_closes(
    scripts: list[list[str]], concurrency: int, room: int, budget: int | None, stop_after: int | None, seed: int
) -> None:
    anyio.run(partial(_trade, scripts, concurrency, room, budget, stop_after, seed))


async def _trade(
    scripts: list[list[str]], concurrency: int, room: int, budget: int | None, stop_after: int | None, seed: int
) -> None:
    chance = random.Random(seed)
    stall = Stall(concurrency=concurrency, max_throttle_s=30.0, jitter=chance.random)
    wanted = [
        order
        for index in range(1, len(scripts) + 1)
        for order in orders(1, model=chance.choice([PRO, MAX]), first=index)
    ]
    stall.shop.scripts = {
        f"picture {number}": [(FAULTS | STOPS)[name]() for name in script] for number, script in enumerate(scripts, 1)
    }
    stall.shop.takes_s = lambda: chance.choice([0.0, 1.0, 2.5])
    stall.delivery.room = room
    stall.book.budget_microusd = None if budget is None else budget * 35_000
    stall.shop.before = lambda _: (
        stall.halt.call(ExitCode.TEMPORARY, "stopped") if len(stall.shop.asked) == stop_after else None
    )

    await stall.sell(wanted)  # which checks the places

    book, producer = stall.book, stall.producer
    assert not book.held, "every reservation is settled"
    assert len(book.settled) == len(stall.shop.asked), "every request had its reservation, and every one its request"
    ends = Counter(book.settled.values())
    assert ends["bought"] == producer.bought == len(stall.delivery.taken)
    assert ends["unknown"] == producer.unknown
    assert ends["released for good"] == producer.failed
    assert book.spent_microusd == producer.spent_microusd
    if book.budget_microusd is not None:
        assert book.committed_microusd <= book.budget_microusd
    assert stall.shop.peak.get("", 0) <= concurrency
    for order in wanted:
        attempts = book.ends(order.placement)
        final = [end for end in attempts if end != "released"]
        assert len(final) <= 1, "one outcome an order"
        assert attempts[: len(attempts) - len(final)] == ["released"] * (len(attempts) - len(final))
    if not stall.halt.called and not producer.notes:
        assert all(book.ends(order.placement) for order in wanted), "no order is lost"
        assert set(stall.ends(wanted)) <= {"bought", "unknown", "released for good"}


@pytest.mark.parametrize("concurrency", [1, 3, 16])
async def test_no_more_is_in_flight_than_the_terms_say(concurrency: int) -> None:
    stall = Stall(concurrency=concurrency)
    stall.shop.takes_s = lambda: 1.0

    await stall.sell([*orders(100), *orders(100, model=MAX, first=101)])

    assert stall.shop.peak[""] == concurrency
    assert stall.producer.bought == 200


async def test_no_more_is_in_flight_than_the_lane_allows_however_many_work() -> None:
    stall = Stall(concurrency=32)
    stall.shop.takes_s = lambda: 1.0
    peaks: list[int] = []

    def look(_: object) -> None:
        peaks.append(stall.shop.in_flight[PRO])
        assert stall.shop.in_flight[PRO] <= stall.producer.counters.all[0].lane(PRO).limit

    stall.shop.before = look

    await stall.sell(orders(120))

    assert max(peaks[:4]) == 4
    assert max(peaks) == 32


async def test_no_more_is_bought_than_can_be_fetched() -> None:
    stall = Stall(concurrency=16)
    stall.delivery.room = 3
    stall.shop.takes_s = lambda: 1.0

    await stall.sell(orders(30))

    assert stall.shop.peak[""] == 3
    assert stall.producer.bought == 30


def test_the_doubles_know_the_price_of_every_model() -> None:
    assert PRICES == {PRO: 35_000, MAX: 70_000}
    assert job(1).key != job(1, model=MAX).key
