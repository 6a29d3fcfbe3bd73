"""What ends more than one purchase: a refused account or model, a ledger or a disk that fails, a bug."""

import pytest

from pipeline.errors import OutputError, StorageError
from pipeline.provider import (
    AccountRefusedError,
    AnswerLostError,
    BadKeyError,
    EmptyAccountError,
    ModelRefusedError,
    ProviderError,
    RefusedError,
)
from tests.unit.produce_doubles import MAX, answer, orders
from tests.unit.produce_stall import Stall

FIRST = "picture 1"


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
    assert list(stall.producer.notes) == [
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
