"""Congestion: slower, not failed, and not for ever."""

from pipeline.provider import (
    OverloadedError,
    ThrottledError,
)
from tests.unit.produce_doubles import MAX, orders
from tests.unit.produce_stall import Stall

FIRST = "picture 1"


async def test_congestion_is_not_an_attempt() -> None:
    stall = Stall()
    stall.shop.scripts[FIRST] = [
        *[ThrottledError("slow", retry_after_s=1.0)] * 6,
        OverloadedError("busy"),
        OverloadedError("busy"),
    ]

    await stall.sell(orders(1))

    assert stall.book.ends(1) == ["released"] * 8 + ["bought"]
    assert [facts["counted"] for facts in stall.book.releases] == [False] * 6 + [True] * 2


async def test_congestion_is_bounded_by_time() -> None:
    stall = Stall(max_throttle_s=10.0)
    stall.shop.scripts[FIRST] = [ThrottledError("slow", retry_after_s=4.0)] * 50

    await stall.sell(orders(1))

    assert stall.shop.asked_at == [0.0, 4.0, 8.0, 12.0]
    assert stall.book.ends(1)[-1] == "released for good"
    assert stall.book.releases[-1]["passing"]


async def test_one_refusal_for_load_pauses_the_whole_lane_once() -> None:
    stall = Stall(concurrency=4)
    wanted = orders(12)
    stall.shop.takes_s = lambda: 1.0
    for number in (1, 2, 3, 4):
        stall.shop.scripts[f"picture {number}"] = [ThrottledError("slow", retry_after_s=30.0)]

    await stall.sell(wanted)

    assert stall.shop.asked_at[:4] == [0.0] * 4
    assert min(stall.shop.asked_at[4:]) == 31.0
    assert set(stall.ends(wanted)) == {"bought"}


async def test_a_pause_of_one_model_leaves_the_others_lane_open() -> None:
    stall = Stall(concurrency=2)
    stall.shop.takes_s = lambda: 1.0
    stall.shop.scripts[FIRST] = [ThrottledError("slow", retry_after_s=30.0)]

    await stall.sell([*orders(1), *orders(3, model=MAX, first=2)])

    assert stall.shop.asked_at == [0.0, 0.0, 1.0, 2.0, 31.0]


async def test_the_progress_line_says_that_the_provider_asked_to_slow_down() -> None:
    stall = Stall(concurrency=1)
    stall.shop.scripts[FIRST] = [ThrottledError("slow", retry_after_s=30.0)]
    told: list[str | None] = [stall.producer.waiting]

    async def look() -> None:
        await stall.clock.sleep(10.0)
        told.append(stall.producer.waiting)

    await stall.sell(orders(1), meanwhile=look)

    told.append(stall.producer.waiting)
    assert told == [None, "the provider asked to slow down: 20 s", None]
