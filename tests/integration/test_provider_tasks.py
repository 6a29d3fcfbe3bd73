"""The vendor's own API over real sockets: submitted once, asked after until ready, and what breaks in between."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import anyio
import anyio.lowlevel
import pytest

from pipeline.clock import SystemClock
from pipeline.job import PictureRequest
from pipeline.provider import (
    AnswerLostError,
    BadKeyError,
    EmptyAccountError,
    ModelRefusedError,
    OverloadedError,
    ProviderError,
    RefusedError,
    StillPendingError,
    TaskClient,
    ThrottledError,
    Ticket,
    UnreachableError,
)
from pipeline.provider.tasks import PATIENCE_S, _cost
from pipeline.ratio import Ratio
from pipeline.simulator import Simulator, SimulatorSettings
from pipeline.transport import ApiTransport, TaskTransport

KEY = "bfl-key-12345678"


@dataclass
class FastClock(SystemClock):
    """Real time, but nobody sleeps long; patience passes a thousand times as fast."""

    hurry: float = 100
    slept: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        return super().monotonic() + sum(self.slept) * self.hurry

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await anyio.sleep(0.01)


def asked(prompt: str = "a cat", model: str = "flux-2-pro", **more: Any) -> PictureRequest:
    return PictureRequest(model=model, prompt=prompt, ratio=Ratio(16, 9), **more)


@asynccontextmanager
async def client_of(base_url: str, *, key: str = KEY, hurry: float = 100) -> AsyncIterator[TaskClient]:
    poster = ApiTransport(base_url=base_url, api_key=key, key_header="x-key")
    asker = TaskTransport(base_url=base_url, api_key=key, key_header="x-key", hosts=["bfl.ai"])
    async with poster, asker:
        yield TaskClient(poster, asker, base_url=base_url, window_s=600, clock=FastClock(hurry=hurry))


@asynccontextmanager
async def vendor(**settings: Any) -> AsyncIterator[tuple[TaskClient, Simulator]]:
    made = SimulatorSettings(keys=frozenset({KEY}), scale=16, **settings)
    with anyio.fail_after(20):
        async with Simulator(made) as simulator, client_of(simulator.base_url) as client:
            yield client, simulator


async def fault_of(client: TaskClient, request: PictureRequest) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await client.collect(await client.buy(request, first_byte_s=10))
    return caught.value


async def test_a_picture_is_submitted_asked_after_and_downloaded() -> None:
    async with vendor(latency_s=0.05) as (client, simulator):
        ticket = await client.buy(asked(seed=7), first_byte_s=10)
        assert ticket.polling_url == f"{simulator.base_url}/get_result?id={ticket.task}"
        answer = await client.collect(ticket)
        again = await client.collect(ticket)
        assert answer.url is not None
        assert again.url == answer.url, "asking again gives the same picture"
        assert answer.request_id == ticket.task
        assert answer.deadline is not None
        assert answer.deadline - answer.answered_at == pytest.approx(600, abs=2)
        async with aiohttp.ClientSession() as session, session.get(answer.url) as picture:
            assert picture.status == 200
        assert simulator.bill.pictures == 1


@pytest.mark.parametrize(
    ("fault", "expected", "kind", "charged"),
    [
        ("task_request_moderated", RefusedError, "moderated", 0),
        ("task_content_moderated", RefusedError, "moderated", 0),
        ("task_error", AnswerLostError, "task_failed", 0),
        ("task_not_found", AnswerLostError, "task_not_found", 1),
        ("moderated", RefusedError, "moderated", 0),
        ("invalid", RefusedError, "invalid", 0),
        ("no_balance", EmptyAccountError, "no_balance", 0),
        ("model_gone", ModelRefusedError, "unknown_model", 0),
        ("throttle", ThrottledError, "throttled", 0),
        ("overload_502", OverloadedError, "overloaded", 0),
        ("overload_503", OverloadedError, "overloaded", 0),
        ("lost", AnswerLostError, "disconnected", 1),
        ("lost_before_charge", AnswerLostError, "disconnected", 0),
        ("half_body", AnswerLostError, "incomplete", 1),
        ("gateway_504", AnswerLostError, "unexplained_status", 1),
        ("html_200", AnswerLostError, "no_picture", 1),
    ],
)
async def test_each_way_it_ends_says_what_became_of_the_money(
    fault: str, expected: type[ProviderError], kind: str, charged: int
) -> None:
    async with vendor() as (client, simulator):
        caught = await fault_of(client, asked(f"a cat [fault:{fault}]"))
        assert (type(caught), caught.kind, simulator.bill.pictures) == (expected, kind, charged)


@pytest.mark.parametrize("fault", ["poll_500*3", "poll_reset*3"])
async def test_trouble_while_asking_costs_nothing_but_time(fault: str) -> None:
    async with vendor() as (client, simulator):
        ticket = await client.buy(asked(f"a cat [fault:{fault}]"), first_byte_s=10)
        assert (await client.collect(ticket)).url is not None
        assert simulator.bill.pictures == 1


async def test_a_task_that_is_not_heard_of_yet_is_asked_after_for_half_a_minute() -> None:
    """After two seconds it was given up for ever, with its money unknown, and drawn all the same."""
    async with vendor() as (client, simulator), client_of(simulator.base_url, hurry=1) as patient:
        ticket = await client.buy(asked("a cat [fault:poll_unheard*9]"), first_byte_s=10)
        assert (await patient.collect(ticket)).url is not None
        never = await client.buy(asked("a dog [fault:poll_unheard]"), first_byte_s=10)
        with pytest.raises(AnswerLostError, match="no such task any more"):
            await patient.collect(never)
        with pytest.raises(AnswerLostError, match="no such task any more"):
            await patient.collect(Ticket(task="gone", polling_url="", submitted_at=ticket.submitted_at - 3_600))
        assert simulator.bill.pictures == 2


async def test_a_slow_task_is_waited_for_and_its_picture_is_as_old_as_it_is() -> None:
    async with vendor() as (client, simulator), client_of(simulator.base_url, hurry=0) as patient:
        ticket = await client.buy(asked("a cat [fault:task_slow]"), first_byte_s=10)
        answer = await patient.collect(ticket)
        assert answer.answered_at - ticket.submitted_at == pytest.approx(3, abs=1)
        assert simulator.bill.pictures == 1


async def test_a_task_that_cannot_be_asked_after_is_still_pending_in_the_end() -> None:
    async with vendor() as (client, _):
        caught = await fault_of(client, asked("a cat [fault:poll_500]"))
        assert isinstance(caught, StillPendingError)
        assert "in vain" in caught.message


async def test_more_than_the_active_tasks_of_a_model_are_throttled() -> None:
    async with vendor(latency_s=30, active_tasks=3, active_tasks_by_model={"flux-kontext-max": 1}) as (client, _):
        await client.buy(asked(model="flux-kontext-max"), first_byte_s=10)
        for _ in range(2):
            with pytest.raises(ThrottledError):
                await client.buy(asked(model="flux-kontext-max"), first_byte_s=10)
        await client.buy(asked(), first_byte_s=10)
        await client.buy(asked(), first_byte_s=10)
        with pytest.raises(ThrottledError):
            await client.buy(asked(), first_byte_s=10)


async def test_what_the_vendor_says_that_it_costs_is_known_at_once() -> None:
    async with vendor(prices_microusd={"flux-2-pro": 45_000}) as (client, _):
        assert (await client.buy(asked(), first_byte_s=10)).cost_microusd == 45_000


@pytest.mark.parametrize(
    ("said", "cost"),
    [(4.5, 45_000), (3, 30_000), (0, 0), (None, None), ("4", None), (True, None), (-1, None), (float("nan"), None)],
)
def test_a_cost_is_a_number_of_credits_or_not_known(said: object, cost: int | None) -> None:
    assert _cost(said) == cost


async def test_a_wrong_key_is_refused_and_a_task_stays_as_it_was() -> None:
    async with vendor() as (client, simulator):
        ticket = await client.buy(asked(), first_byte_s=10)
        async with client_of(simulator.base_url, key="another-key-1234") as stranger:
            with pytest.raises(BadKeyError):
                await stranger.buy(asked(), first_byte_s=10)
            with pytest.raises(StillPendingError):
                await stranger.collect(ticket)


async def test_nobody_there_was_paid_nothing() -> None:
    async with vendor() as (_, simulator):
        gone = simulator.base_url
    with anyio.fail_after(10):
        async with client_of(gone) as client:
            with pytest.raises(UnreachableError):
                await client.buy(asked(), first_byte_s=10)


async def test_a_ticket_of_another_address_is_asked_after_at_the_own_one() -> None:
    """A base URL may have changed since; the key follows no address that is not the provider's."""
    async with vendor() as (client, _):
        ticket = await client.buy(asked(), first_byte_s=10)
        for elsewhere in ("http://127.0.0.1:1/v1/get_result?id=x", "https://evil.test/?id=x", "file:///etc/passwd", ""):
            moved = Ticket(task=ticket.task, polling_url=elsewhere, submitted_at=ticket.submitted_at)
            assert (await client.collect(moved)).url is not None


@pytest.mark.parametrize(
    ("url", "trusted"),
    [
        ("https://api.bfl.ai/v1/get_result?id=1", True),
        ("https://api.eu1.bfl.ai/v1/get_result?id=1", True),
        ("https://API.US1.BFL.AI:443/v1/get_result?id=1", True),
        ("http://api.eu1.bfl.ai/v1/get_result?id=1", False),
        ("https://api.eu1.bfl.ai:8443/v1/get_result?id=1", False),
        ("https://bfl.ai.evil.test/v1/get_result?id=1", False),
        ("https://evilbfl.ai/v1/get_result?id=1", False),
        ("https://key@api.bfl.ai/v1/get_result?id=1", False),
        ("https://169.254.169.254/latest", False),
        ("nonsense", False),
    ],
)
def test_the_key_follows_a_task_only_to_the_provider(url: str, trusted: bool) -> None:
    asker = TaskTransport(base_url="https://api.bfl.ai/v1", api_key=KEY, key_header="x-key", hosts=["bfl.ai"])
    assert asker.trusted(url) is trusted
    assert KEY not in repr(asker)


async def test_what_is_not_trusted_is_not_asked() -> None:
    async with TaskTransport(base_url="https://api.bfl.ai/v1", api_key=KEY, key_header="x-key") as asker:
        with pytest.raises(Exception, match="not the provider's"):
            await asker.ask("https://evil.test/")


def test_patience_is_longer_than_any_picture_takes() -> None:
    assert PATIENCE_S >= 600
