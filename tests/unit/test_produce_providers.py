"""Several providers for one manifest: the next serves where one lacks the model or is left out."""

import pytest

from pipeline.produce import Seller
from pipeline.provider import (
    Answer,
    AnswerLostError,
    BadKeyError,
    EmptyAccountError,
    ModelRefusedError,
    OverloadedError,
    RefusedError,
    StillPendingError,
    ThrottledError,
    Ticket,
    UnreachableError,
)
from tests.unit.produce_doubles import MAX, PRO, FakeClock, FakeShop, answer, orders
from tests.unit.produce_stall import Stall

TICKET = Ticket(task="t1", polling_url="https://api.test/v1/get_result?id=t1", submitted_at=5.0)


class FakeDesk:
    """Collects what its script says, in order; then pictures."""

    def __init__(self, log: list[str], *outcomes: Answer | Exception) -> None:
        self._log = log
        self._outcomes = list(outcomes)

    async def collect(self, ticket: Ticket) -> Answer:
        self._log.append(f"collect {ticket.task}")
        outcome = self._outcomes.pop(0) if self._outcomes else answer()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


class FakeTaskShop:
    async def buy(self, request: object, *, first_byte_s: float, images: object = ()) -> Ticket:
        return TICKET


def two(*, prices: dict[str, int] | None = None, concurrency: int = 1, resends: bool = False) -> tuple[Stall, FakeShop]:
    """A stall with a second provider, and that one's shop."""
    log: list[str] = []
    second = FakeShop(FakeClock(), log)
    seller = Seller(name="second", shop=second, prices_microusd=prices or {PRO: 40_000, MAX: 80_000})
    return Stall(concurrency=concurrency, resends=resends, others=[seller], log=log), second


async def test_the_first_serves_while_it_can() -> None:
    stall, second = two()
    await stall.sell(orders(3))
    assert (len(stall.shop.asked), second.asked) == (3, [])
    assert stall.book.asked == ["first"] * 3


async def test_the_next_serves_a_model_that_the_first_lacks_at_its_own_price() -> None:
    stall, second = two(prices={"flux-dev": 25_000})
    await stall.sell([*orders(1), *orders(1, model="flux-dev", first=2)])
    assert second.asked == ["picture 2"]
    assert stall.book.spent_microusd == 35_000 + 25_000


async def test_the_only_one_that_has_a_model_and_refuses_the_account_is_why_its_jobs_are_left() -> None:
    """The causes were those of jobs that came later: where all were in flight, the run ended with 0."""
    stall, second = two(prices={"flux-dev": 25_000})
    second.always = lambda _: BadKeyError("no such key")
    await stall.sell([*orders(1), *orders(1, model="flux-dev", first=2)])
    assert stall.ends(orders(2)) == ["bought", "released"]
    [cause] = stall.producer.causes
    assert (cause.code, "no such key" in cause.message) == (77, True)
    assert not stall.halt.called


async def test_a_model_that_the_first_turns_out_not_to_have_goes_to_the_next() -> None:
    stall, second = two()
    stall.shop.always = lambda request: ModelRefusedError("no channel") if request.model == MAX else None
    await stall.sell([*orders(2, model=MAX), *orders(1, first=3)])
    assert second.asked == ["picture 1", "picture 2"]
    assert stall.ends(orders(3)) == ["bought"] * 3
    assert stall.producer.notes == ("first does not serve flux-kontext-max (no channel); the next was asked",)


@pytest.mark.parametrize(
    "fault",
    [UnreachableError("no route"), BadKeyError("wrong key"), EmptyAccountError("no money")],
)
async def test_the_next_serves_once_the_firsts_breaker_is_open(fault: Exception) -> None:
    stall, second = two()
    stall.shop.always = lambda _: fault
    await stall.sell(orders(4))
    assert second.asked == [f"picture {number}" for number in range(1, 5)]
    assert stall.ends(orders(4)) == ["bought"] * 4
    assert not stall.halted()
    (note,) = stall.producer.notes
    assert note.startswith("first was left out for the rest of this run: ")
    assert stall.producer.causes == ()


async def test_overload_opens_the_breaker_as_it_stopped_the_run_before() -> None:
    stall, second = two()
    stall.shop.always = lambda _: OverloadedError("busy", status=503)
    await stall.sell(orders(9))
    assert len(stall.shop.asked) == 15
    assert second.asked == [f"picture {number}" for number in range(5, 10)]
    assert stall.producer.failed == 4


async def test_when_no_breaker_is_closed_buying_stops_with_every_cause() -> None:
    stall, second = two()
    stall.shop.always = lambda _: BadKeyError("wrong key")
    second.always = lambda _: UnreachableError("no route")
    await stall.sell(orders(5))
    assert (len(stall.shop.asked), len(second.asked)) == (1, 3)
    assert sorted(stall.halted()) == [69, 77]


async def test_jobs_that_only_a_left_out_provider_could_serve_are_left_with_its_cause() -> None:
    stall, second = two(prices={MAX: 80_000})
    stall.shop.always = lambda _: EmptyAccountError("no money")
    await stall.sell([*orders(2), *orders(1, model=MAX, first=3)])
    assert second.asked == ["picture 3"]
    assert not stall.halted()
    assert [int(cause.code) for cause in stall.producer.causes] == [77]
    assert stall.ends(orders(3)) == ["released", "left", "bought"]


async def test_a_lost_answer_is_not_bought_again_elsewhere() -> None:
    stall, second = two()
    stall.shop.always = lambda _: AnswerLostError("reset")
    await stall.sell(orders(1))
    assert (len(stall.shop.asked), second.asked) == (1, [])
    assert stall.ends(orders(1)) == ["unknown"]


async def test_a_lost_answer_is_asked_for_again_elsewhere_only_where_that_is_allowed() -> None:
    stall, second = two(resends=True)
    stall.shop.scripts["picture 1"] = [AnswerLostError("reset")]
    stall.shop.always = lambda _: BadKeyError("wrong key")
    await stall.sell(orders(1))
    assert (len(stall.shop.asked), len(second.asked)) == (2, 1)
    assert stall.ends(orders(1)) == ["bought"]
    assert (stall.book.spent_microusd, stall.book.unknown_microusd) == (40_000, 35_000)


@pytest.mark.parametrize("fault", [RefusedError("moderated", kind="moderated"), ThrottledError("slow down")])
async def test_moderation_and_congestion_do_not_move_a_job(fault: Exception) -> None:
    stall, second = two()
    stall.shop.scripts["picture 1"] = [fault]
    await stall.sell(orders(1))
    assert second.asked == []


async def test_one_budget_holds_all_of_them() -> None:
    stall, second = two(prices={"flux-dev": 25_000})
    stall.book.budget_microusd = 35_000 + 24_999
    await stall.sell([*orders(1), *orders(1, model="flux-dev", first=2)])
    assert second.asked == []
    assert stall.halted() == [4]


async def test_attempts_at_one_provider_do_not_count_at_the_next() -> None:
    stall, second = two()
    stall.shop.always = lambda _: UnreachableError("no route")
    second.scripts["picture 1"] = [OverloadedError("busy")] * 2
    await stall.sell(orders(1))
    assert (len(stall.shop.asked), len(second.asked)) == (3, 3)
    assert stall.ends(orders(1)) == ["bought"]


def tasks(*outcomes: Answer | Exception) -> Stall:
    """A stall whose first provider lacks everything that is wanted, and whose second makes pictures later."""
    log: list[str] = []
    desk = FakeDesk(log, *outcomes)
    seller = Seller(name="bfl", shop=FakeTaskShop(), desk=desk, prices_microusd={"flux-dev": 25_000})
    return Stall(concurrency=1, others=[seller], log=log)


async def test_a_ticket_is_durable_before_it_is_collected() -> None:
    stall = tasks()
    await stall.sell(orders(1, model="flux-dev"))
    assert stall.log == ["reserve 1", "submit 1", "collect t1", "answer 1", "take 1"]
    assert stall.book.submitted == [
        {"attempt": 1, "task": "t1", "polling_url": TICKET.polling_url, "submitted_at": 5.0},
    ]


async def test_a_picture_that_is_moderated_after_all_is_given_back() -> None:
    stall = tasks(RefusedError("Content Moderated", kind="moderated"))
    await stall.sell(orders(1, model="flux-dev"))
    assert stall.ends(orders(1)) == ["released for good"]


async def test_a_task_that_cannot_be_asked_after_keeps_its_reservation() -> None:
    stall = tasks(StillPendingError("in vain"))
    await stall.sell(orders(1, model="flux-dev"))
    assert list(stall.book.held.values()) == [25_000]
    assert stall.producer.unknown == 1
