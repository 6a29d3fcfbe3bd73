"""One purchase from the right to send a request to the handing over, and every way it comes to nothing."""

import pytest

from pipeline.errors import OutputError, StorageError
from pipeline.provider import (
    AccountRefusedError,
    AnswerLostError,
    BadKeyError,
    EmptyAccountError,
    ModelRefusedError,
    OverloadedError,
    ProviderError,
    RefusedError,
    ThrottledError,
    UnreachableError,
)
from tests.unit.produce_doubles import MAX, START, Stall, answer, orders

FIRST = "picture 1"


async def test_the_intent_is_durable_before_the_request_leaves_and_the_answer_before_it_is_handed_over() -> None:
    stall = Stall()

    await stall.sell(orders(1))

    assert stall.log == ["reserve 1", "ask picture 1", "answer 1", "take 1"]
    assert stall.book.spent_microusd == stall.producer.spent_microusd == 35_000


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
    stall.shop.scripts[FIRST] = [OverloadedError("busy", retry_after_s=7.0), OverloadedError("busy", retry_after_s=0.0)]

    await stall.sell(orders(1))

    assert stall.clock.slept == [7.0, 0.0]


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


@pytest.mark.parametrize("kind", [AccountRefusedError, BadKeyError, EmptyAccountError])
async def test_a_refused_account_stops_all_and_leaves_the_job_as_it_was(kind: type[AccountRefusedError]) -> None:
    stall = Stall(concurrency=1)
    wanted = orders(5)
    stall.shop.scripts["picture 2"] = [kind("no", status=401)]

    await stall.sell(wanted)

    assert stall.halted() == [77]
    assert stall.ends(wanted) == ["bought", "released", "left", "left", "left"]
    assert not stall.book.releases[0]["final"]
    assert stall.producer.failed == 0
    assert stall.halt.causes[0].message == "the provider refuses the account: HTTP 401: no"


async def test_a_refused_model_fails_the_job_leaves_its_others_and_goes_on_with_other_models() -> None:
    stall = Stall(concurrency=1)
    wanted = [*orders(2), *orders(3, model=MAX, first=3), *orders(2, first=6)]
    stall.shop.scripts["picture 3"] = [ModelRefusedError("no channel")]

    await stall.sell(wanted)

    assert stall.ends(wanted) == ["bought", "bought", "released for good", "left", "left", "bought", "bought"]
    assert not stall.halted()
    assert stall.producer.notes == [
        f"the provider does not serve {MAX} (no channel); its other jobs were left as they were"
    ]


async def test_jobs_that_wait_for_the_lane_of_a_refused_model_are_left_too() -> None:
    stall = Stall(concurrency=20)
    stall.shop.takes_s = lambda: 1.0
    stall.shop.always = lambda _: ModelRefusedError("no channel")

    await stall.sell(orders(20))

    assert len(stall.shop.asked) == 4, "no more than were in flight when the model was refused"
    assert len(stall.producer.notes) == 1


@pytest.mark.parametrize(
    ("step", "log"),
    [
        ("reserve", ["reserve 1"]),
        ("answer", ["reserve 1", "ask picture 1", "answer 1"]),
    ],
)
async def test_a_ledger_that_fails_stops_buying_with_its_own_code(step: str, log: list[str]) -> None:
    stall = Stall(concurrency=1)
    stall.book.errors[step] = StorageError("the disk is full")

    await stall.sell(orders(4))

    assert stall.halted() == [74]
    assert stall.log == log
    assert stall.delivery.taken == []


@pytest.mark.parametrize(
    ("step", "fault"), [("release", RefusedError("no")), ("lose", AnswerLostError("gone"))], ids=["release", "lose"]
)
async def test_an_outcome_that_cannot_be_written_down_stops_buying(step: str, fault: ProviderError) -> None:
    stall = Stall(concurrency=1)
    stall.book.errors[step] = StorageError("the disk is full")
    stall.shop.scripts[FIRST] = [fault]

    await stall.sell(orders(4))

    assert stall.halted() == [74]
    assert stall.shop.asked == [FIRST]


async def test_bytes_that_cannot_be_secured_stop_buying_and_are_never_called_bought() -> None:
    stall = Stall(concurrency=1)
    stall.shop.scripts[FIRST] = [answer(url=None, image=b"bytes")]
    stall.delivery.error = OutputError("cannot be made")

    await stall.sell(orders(4))

    assert stall.halted() == [73]
    assert stall.log == ["reserve 1", "ask picture 1", "secure 1"]
    assert stall.producer.bought == 0
    assert stall.book.held, "the reservation stays, to be held as unknown"


async def test_a_bug_is_not_mistaken_for_an_outcome() -> None:
    stall = Stall(concurrency=1)
    stall.shop.scripts[FIRST] = [ZeroDivisionError("a bug")]

    with pytest.RaisesGroup(ZeroDivisionError):
        await stall.sell(orders(1))

    assert stall.delivery.outstanding == 0
