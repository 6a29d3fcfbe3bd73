"""Congestion: slower, not failed, and not for ever."""

from dataclasses import replace
from itertools import pairwise

from pipeline.produce import Lesson
from pipeline.provider import Allowance, OverloadedError, ThrottledError
from tests.unit.produce_doubles import MAX, PRO, answer, orders
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

    assert stall.shop.asked_at[3] < 1.0
    assert stall.shop.asked_at[4] == 31.0 + stall.shop.asked_at[3]
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


async def test_retries_are_few_while_hardly_anything_succeeds() -> None:
    stall = Stall(concurrency=1)
    wanted = orders(300)
    failing = {f"picture {number}" for number in range(1, 301) if number % 4}
    stall.shop.always = lambda asked: OverloadedError("busy") if asked.prompt in failing else None

    await stall.sell(wanted)

    retries = len(stall.shop.asked) - 300
    assert not stall.halt.called
    assert 30 <= retries <= 45, "without a quota it were two for each of 225"
    assert all(facts["passing"] for facts in stall.book.releases), "a rerun tries them again"


async def test_a_lane_that_is_refused_for_ever_is_asked_once_in_the_longest_back_off() -> None:
    stall = Stall(concurrency=1, max_throttle_s=100_000.0)
    stall.shop.scripts[FIRST] = [ThrottledError("slow", retry_after_s=1.0)] * 150

    await stall.sell(orders(1))

    gaps = [later - earlier for earlier, later in pairwise(stall.shop.asked_at)]
    assert max(gaps[:99]) < 20.0
    assert min(gaps[100:150]) >= 20.0
    assert stall.book.ends(1)[-1] == "bought"


async def test_a_stated_rate_is_kept() -> None:
    stall = Stall(concurrency=8, rate_per_minute=30)

    await stall.sell(orders(5))

    assert stall.shop.asked_at == [0.0, 2.0, 4.0, 6.0, 8.0]


async def test_a_lesson_is_begun_with_and_a_new_one_is_learned() -> None:
    stall = Stall(concurrency=32, lessons={PRO: Lesson(level=20, wall=21, rate=None, learned_at=0.0)})
    stall.shop.takes_s = lambda: 8.0

    await stall.sell(orders(60))

    assert max(at for at in stall.shop.asked_at[:20]) < 8.0, "twenty at once, without a slow start"
    assert stall.producer.lessons["first"][PRO].level == 21, "the wall of old gave way"


async def test_what_answers_say_is_allowed_is_kept_to() -> None:
    stall = Stall(concurrency=8)
    none_left = Allowance(limit=30, remaining=0, reset_s=60.0)
    stall.shop.always = lambda _: replace(answer(), allowance=none_left)

    await stall.sell(orders(6))

    gaps = [later - earlier for earlier, later in pairwise(stall.shop.asked_at)]
    assert min(gaps[-4:]) >= 2.0


async def test_what_refusals_say_is_allowed_is_kept_to() -> None:
    stall = Stall(concurrency=8)
    none_left = Allowance(limit=30, remaining=0, reset_s=60.0)
    stall.shop.scripts[FIRST] = [ThrottledError("slow", allowance=none_left)]

    await stall.sell(orders(6))

    gaps = [later - earlier for earlier, later in pairwise(stall.shop.asked_at)]
    assert min(gaps[-4:]) >= 2.0
