"""One purchase from the right to send a request to the handing over, and every way it comes to nothing."""

import pytest

from pipeline.provider import (
    AnswerLostError,
    OverloadedError,
    ProviderError,
    RefusedError,
    ThrottledError,
    UnreachableError,
)
from tests.unit.produce_doubles import MAX, PRO, START, answer, orders
from tests.unit.produce_stall import Stall

FIRST = "picture 1"


async def test_the_intent_is_durable_before_the_request_leaves_and_the_answer_before_it_is_handed_over() -> None:
    stall = Stall()

    await stall.sell(orders(1))

    assert stall.log == ["reserve 1", "ask picture 1", "answer 1", "take 1"]
    assert stall.book.spent_microusd == stall.producer.spent_microusd == 35_000


async def test_a_reservation_that_ran_out_is_given_back_unsent_and_asked_for_anew() -> None:
    """Whoever slept, or waited for the ledger, may have been taken for dead meanwhile."""
    stall = Stall()
    stall.book.late = {1, 2}

    await stall.sell(orders(1))

    assert stall.log == ["reserve 1", "release 1"] * 2 + ["reserve 1", "ask picture 1", "answer 1", "take 1"]
    assert stall.book.ends(1) == ["released", "released", "bought"]
    assert {(each["kind"], each["counted"], each["final"]) for each in stall.book.releases} == {("late", False, False)}
    assert stall.delivery.outstanding == 0
    assert stall.producer.in_flight == 0


async def test_where_others_ask_too_each_request_waits_for_its_turn() -> None:
    turns: list[str] = []

    async def turn(model: str) -> None:
        turns.append(model)
        stall.log.append("turn")

    stall = Stall(turn=turn)

    await stall.sell([*orders(1), *orders(1, model=MAX, first=2)], workers=1)

    assert turns == [PRO, MAX]
    assert stall.log[:3] == ["turn", "reserve 1", "ask picture 1"]


async def test_what_the_answer_says_is_what_is_recorded() -> None:
    stall = Stall()

    await stall.sell(orders(1))

    assert stall.book.answers == [
        {"url": "https://cdn.test/a.jpeg", "bought_at": START, "deadline": START + 600, "request_id": "req-1"}
    ]
    assert stall.delivery.taken == [(FIRST, "https://cdn.test/a.jpeg")]


async def test_a_picture_inside_its_answer_is_secured_before_it_is_recorded() -> None:
    stall = Stall()
    stall.shop.scripts[FIRST] = [answer(url=None, image=b"bytes")]

    await stall.sell(orders(1))

    assert stall.log == ["reserve 1", "ask picture 1", "secure 1", "answer 1", "take 1"]
    assert stall.delivery.secured == [b"bytes"]
    assert stall.delivery.taken == [(FIRST, "inline:")]


async def test_each_model_waits_as_long_for_its_first_byte_as_the_terms_say() -> None:
    stall = Stall()

    await stall.sell([*orders(1), *orders(1, model=MAX, first=2)], workers=1)

    assert stall.shop.waited_s == [180.0, 240.0]
    assert stall.book.spent_microusd == 105_000


@pytest.mark.parametrize(
    "kind",
    [
        "read_timeout",
        "reset",
        "redirected",
        "incomplete",
        "not_json",
        "no_picture",
        "unexplained_status",
        "answer_lost",
    ],
)
@pytest.mark.parametrize("retryable", [None, True])
async def test_a_lost_answer_is_unknown_and_never_sent_again(kind: str, retryable: bool | None) -> None:
    stall = Stall()
    stall.shop.scripts[FIRST] = [AnswerLostError("gone", kind=kind, retryable=retryable, request_id="r", body="<html>")]

    await stall.sell(orders(1))

    assert stall.shop.asked == [FIRST]
    assert stall.book.settled == {1: "unknown"}
    assert stall.book.losses == [{"kind": kind, "message": "gone", "request_id": "r", "body": "<html>"}]
    assert (stall.producer.unknown, stall.producer.failed, stall.producer.bought) == (1, 0, 0)


async def test_one_failure_does_not_stop_the_others() -> None:
    stall = Stall()
    wanted = orders(9)
    stall.shop.scripts["picture 2"] = [RefusedError("no", kind="moderated")]
    stall.shop.scripts["picture 5"] = [AnswerLostError("gone")]

    await stall.sell(wanted)

    ends = stall.ends(wanted)
    assert (ends[1], ends[4], ends.count("bought")) == ("released for good", "unknown", 7)
    assert not stall.halted()


async def test_a_refused_job_fails_with_the_providers_words_and_is_not_asked_again() -> None:
    stall = Stall()
    words = RefusedError("Request Moderated", kind="moderated", status=403, request_id="r", body="{}")
    stall.shop.scripts[FIRST] = [words]

    await stall.sell(orders(1))

    assert stall.shop.asked == [FIRST]
    assert stall.book.releases == [
        {
            "kind": "moderated",
            "message": "HTTP 403: Request Moderated",
            "request_id": "r",
            "body": "{}",
            "final": True,
            "passing": False,
            "counted": True,
        }
    ]
    assert stall.producer.failed == 1


@pytest.mark.parametrize("fault", [OverloadedError("busy"), UnreachableError("no route")])
async def test_what_was_not_billed_is_tried_at_most_three_times(fault: ProviderError) -> None:
    stall = Stall()
    stall.shop.scripts[FIRST] = [fault] * 10

    await stall.sell(orders(1))

    assert stall.shop.asked == [FIRST] * 3
    assert stall.book.ends(1) == ["released", "released", "released for good"]
    assert stall.book.releases[-1]["passing"]
    assert stall.producer.failed == 1


@pytest.mark.parametrize("fault", [OverloadedError("busy"), UnreachableError("no route")])
async def test_a_passing_fault_does_not_fail_a_job_that_gets_through_in_the_end(fault: ProviderError) -> None:
    stall = Stall()
    stall.shop.scripts[FIRST] = [fault, fault]

    await stall.sell(orders(1))

    assert stall.book.ends(1) == ["released", "released", "bought"]
    assert stall.producer.failed == 0


async def test_attempts_are_spaced_with_full_jitter_that_doubles() -> None:
    stall = Stall(jitter=lambda: 0.25)
    stall.shop.scripts[FIRST] = [OverloadedError("busy")] * 3

    await stall.sell(orders(1))

    assert stall.clock.slept == [0.25 * 1.0, 0.25 * 2.0]


async def test_the_providers_own_word_on_when_to_come_back_replaces_the_jitter() -> None:
    stall = Stall()
    stall.shop.scripts[FIRST] = [OverloadedError("busy", retry_after_s=7.0), OverloadedError("busy", retry_after_s=0.5)]

    await stall.sell(orders(1))

    assert stall.clock.slept == [7.0, 0.5]


async def test_a_provider_cannot_make_a_job_wait_for_longer_than_the_throttle_limit() -> None:
    stall = Stall(max_throttle_s=60.0)
    stall.shop.scripts[FIRST] = [OverloadedError("busy", retry_after_s=86_400.0)]

    await stall.sell(orders(1))

    assert stall.clock.slept == [60.0]


@pytest.mark.parametrize("kind", [OverloadedError, UnreachableError, ThrottledError])
async def test_a_provider_that_says_not_to_retry_is_not_asked_again(kind: type[ProviderError]) -> None:
    stall = Stall()
    stall.shop.scripts[FIRST] = [kind("do not", retryable=False)]

    await stall.sell(orders(1))

    assert stall.shop.asked == [FIRST]
    assert stall.book.settled == {1: "released for good"}


async def test_a_refusal_that_says_to_retry_is_tried_three_times() -> None:
    stall = Stall()
    stall.shop.scripts[FIRST] = [RefusedError("perhaps", retryable=True)] * 5

    await stall.sell(orders(1))

    assert stall.shop.asked == [FIRST] * 3


async def test_a_job_without_a_reservation_is_left_as_it_is() -> None:
    stall = Stall()
    stall.book.leave = {1}

    await stall.sell(orders(2))

    assert stall.shop.asked == ["picture 2"]
    assert stall.delivery.taken == [("picture 2", "https://cdn.test/a.jpeg")]
