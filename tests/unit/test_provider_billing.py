"""The provider's log, page by page, in each of the forms that gateways hand it out in."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from pipeline.catalog import ProviderLog
from pipeline.errors import ConfigurationError, FluxbatchError, KeyRefusedError, ProviderUnavailableError
from pipeline.provider import billing
from pipeline.provider.billing import Billed, BillingLog
from pipeline.transport import ApiResponse, NeverSentError

LOG = ProviderLog()
Entry = dict[str, Any]


class FakeClock:
    def __init__(self) -> None:
        self.waits: list[float] = []

    def monotonic(self) -> float:
        return 0.0

    def wall(self) -> float:
        return 1_000_000.0

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)


def respond(document: Any, status: int = 200, *, complete: bool = True, **headers: str) -> ApiResponse:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ApiResponse(status=status, headers=named, body=body, complete=complete)


class FakeGateway:
    """Ten entries a page whatever is asked, the newest first."""

    host = "gateway.test:443"

    def __init__(self, entries: list[Entry], *, form: str = "list", first: int = 0) -> None:
        self.entries = entries
        self.form = form
        self.first = first
        self.queries: list[Mapping[str, Any]] = []
        self.before: Callable[[int], ApiResponse | None] = lambda _: None

    async def get(self, path: str, query: Mapping[str, str | int]) -> ApiResponse:
        self.queries.append({"path": path, **query})
        odd = self.before(len(self.queries))
        if odd is not None:
            return odd
        start = (max(int(query["p"]), self.first) - self.first) * 10
        page = self.entries[::-1][start : start + 10]
        data: Any = page if self.form == "list" else {"items": page, "total": 3, "page": 1, "page_size": 10}
        return respond({"success": True, "message": "", "data": data})


def entry(number: int, *, at: int = 0, quota: int = 17_500, **more: Any) -> Entry:
    named = {"model_name": "flux-kontext-pro", "token_name": "main", "other": "{}"}
    return {"id": number, "created_at": at or 1000 + number, "type": 2, "quota": quota, **named, **more}


async def read(gateway: Any, *, token_name: str = "", clock: FakeClock | None = None) -> list[Billed]:
    log = BillingLog(gateway, log=LOG, clock=clock or FakeClock())
    return await log.read(since=0, until=100_000, token_name=token_name)


@pytest.mark.parametrize("form", ["list", "items"])
@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 20, 25, 30])
async def test_every_entry_is_read_once_whatever_the_first_pages_number(form: str, first: int, count: int) -> None:
    gateway = FakeGateway([entry(number) for number in range(1, count + 1)], form=form, first=first)
    assert [each.at for each in await read(gateway)] == [1000 + number for number in range(1, count + 1)]


@pytest.mark.parametrize(("count", "first"), [(1, 1), (9, 1), (10, 0), (20, 0), (40, 0)])
async def test_entries_without_ids_of_the_same_second_are_not_taken_for_one(count: int, first: int) -> None:
    """Old gateways leave ids out: all entries of a second are alike, and so are whole pages."""
    gateway = FakeGateway([entry(0, at=1000)] * count, first=first)
    assert len(await read(gateway)) == count


async def test_ids_that_repeat_are_not_taken_for_the_same_entry() -> None:
    """Newer gateways show an id's remainder by 1,024."""
    gateway = FakeGateway([entry(number % 7, at=1000 + number // 3) for number in range(64)])
    assert len(await read(gateway)) == 64


async def test_a_short_page_is_not_the_end() -> None:
    class Sparse(FakeGateway):
        async def get(self, path: str, query: Mapping[str, str | int]) -> ApiResponse:
            pages = [[entry(5)], [entry(4), entry(3)], [entry(2)], []]
            return respond({"success": True, "data": pages[int(query["p"])]})

    assert [each.at for each in await read(Sparse([]))] == [1002, 1003, 1004, 1005]


async def test_only_consumption_counts_even_if_the_gateway_sends_more() -> None:
    others: list[Entry] = [
        entry(2, type=1, quota=0, model_name=""),
        entry(3, type=4, quota=5_000_000, model_name=""),
        entry(4, type=3),
        entry(5, type="2"),
    ]
    assert len(await read(FakeGateway([entry(1), *others, entry(6)]))) == 2


async def test_what_is_outside_the_time_or_of_another_key_is_left_out_even_if_the_gateway_sends_it() -> None:
    gateway = FakeGateway([entry(1), entry(2, token_name="other"), entry(3, at=100_001)])
    assert len(await read(gateway)) == 2
    assert [each.token_name for each in await read(gateway, token_name="other")] == ["other"]
    assert gateway.queries[-1]["token_name"] == "other"


async def test_what_is_asked_is_the_documents() -> None:
    gateway = FakeGateway([])
    await read(gateway)
    asked = {"path": "/api/log/self", "type": 2, "page_size": 10, "start_timestamp": 0, "end_timestamp": 100_000}
    assert gateway.queries[0] == {"p": 0, **asked}


@pytest.mark.parametrize(
    ("more", "request_id"),
    [
        ({"request_id": "r1"}, "r1"),
        ({"request_id": "r1", "other": '{"request_id": "r2"}'}, "r1"),
        ({"other": '{"request_id": "r2"}'}, "r2"),
        ({"other": {"request_id": "r3"}}, "r3"),
        ({"other": "{broken"}, ""),
        ({"other": "[1]"}, ""),
        ({"other": None, "request_id": None}, ""),
        ({"request_id": 17}, ""),
    ],
)
async def test_the_name_of_the_request_is_found_where_it_is(more: Entry, request_id: str) -> None:
    (found,) = await read(FakeGateway([entry(1, **more)]))
    assert found == Billed(at=1001, model="flux-kontext-pro", microusd=35_000, request_id=request_id, token_name="main")


@pytest.mark.parametrize(("quota", "microusd"), [(0, 0), (1, 2), (17_500, 35_000), (14_000, 28_000), (-5, -10)])
async def test_units_become_dollars_exactly(quota: int, microusd: int) -> None:
    (found,) = await read(FakeGateway([entry(1, quota=quota)]))
    assert found.microusd == microusd


@pytest.mark.parametrize(
    "broken",
    [
        {"quota": None}, {"quota": 1.5}, {"quota": True}, {"quota": "17500"}, {"quota": 10**16},
        {"created_at": None}, {"created_at": -1}, {"created_at": "2026"}, {"created_at": 10**16},
    ],
)  # fmt: skip
async def test_an_entry_that_cannot_be_counted_is_not_passed_over(broken: Entry) -> None:
    with pytest.raises(ProviderUnavailableError, match="no created_at or no quota"):
        await read(FakeGateway([entry(1) | broken]))


@pytest.mark.parametrize("document", [{"success": True, "data": None}, {"success": True, "data": {"items": None}}])
async def test_null_is_an_empty_page(document: Any) -> None:
    gateway = FakeGateway([])
    gateway.before = lambda _: respond(document)
    assert await read(gateway) == []


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (respond({"success": False, "message": "no access"}, 401), KeyRefusedError, "no access"),
        (respond(b"", 403), KeyRefusedError, "refuses the log token"),
        (respond({"success": False, "message": "access token 无效"}), KeyRefusedError, "无效"),
        (respond({"success": False, "message": "无权进行此操作"}), KeyRefusedError, "无权"),
        (respond({"success": False, "message": "database is locked"}), ProviderUnavailableError, "database is locked"),
        (respond({"success": False}), ProviderUnavailableError, "does not say why"),
        (respond(b"404 page not found", 404), ConfigurationError, "keeps no log at /api/log/self"),
        (respond(b"", 302, location="https://elsewhere.test/"), ProviderUnavailableError, "leads elsewhere"),
        (respond(b"<!doctype html><title>console</title>"), ProviderUnavailableError, "not JSON"),
        (respond(b"[" * 100_000), ProviderUnavailableError, "not JSON"),
        (respond([]), ProviderUnavailableError, "not a JSON object"),
        (respond({"success": True, "data": "no"}), ProviderUnavailableError, "no list of entries"),
        (respond({"success": True, "data": {"items": {}}}), ProviderUnavailableError, "no list of entries"),
        (respond({"success": True, "data": [1]}), ProviderUnavailableError, "no list of entries"),
        (respond({"message": "bad"}, 400), ProviderUnavailableError, "HTTP 400: bad"),
        (respond(b"{}", complete=False), ProviderUnavailableError, "ends early, or is too long"),
        (respond(b"<h1>busy</h1>", 503), ProviderUnavailableError, "HTTP 503"),
    ],
)
async def test_what_is_no_log_is_refused_in_words(answer: ApiResponse, error: type[FluxbatchError], words: str) -> None:
    gateway = FakeGateway([])
    gateway.before = lambda _: answer
    with pytest.raises(error, match=words) as caught:
        await read(gateway)
    assert type(caught.value) is error
    assert caught.value.remedy


async def test_a_passing_failure_is_asked_again_after_a_wait() -> None:
    failures = {1: respond(b"", 503), 2: respond(b"", 429, retry_after="7"), 4: respond(b"{", complete=False)}
    gateway = FakeGateway([entry(number) for number in range(12)])
    gateway.before = failures.get
    clock = FakeClock()
    assert len(await read(gateway, clock=clock)) == 12
    assert clock.waits == [1.0, 7.0, 1.0]


async def test_it_is_given_up_after_three_tries_and_no_wait_is_longer_than_a_minute() -> None:
    gateway = FakeGateway([])
    gateway.before = lambda _: respond(b"", 429, retry_after="86400")
    clock = FakeClock()
    with pytest.raises(ProviderUnavailableError, match="429"):
        await read(gateway, clock=clock)
    assert (len(gateway.queries), clock.waits) == (3, [60.0, 60.0])


async def test_a_provider_that_cannot_be_reached_is_told_by_its_host() -> None:
    class Away(FakeGateway):
        async def get(self, path: str, query: Mapping[str, str | int]) -> ApiResponse:
            raise NeverSentError("gateway.test:443: cannot connect", kind="connect")

    with pytest.raises(ProviderUnavailableError, match="cannot connect"):
        await read(Away([]))


async def test_a_log_that_grew_while_it_was_read_is_read_again() -> None:
    """One entry more moves the last of each page to the next, where it would count twice."""
    gateway = FakeGateway([entry(number) for number in range(1, 26)])

    def grow(asked: int) -> None:
        if asked == 2:
            gateway.entries.append(entry(26))

    gateway.before = grow
    assert [each.at for each in await read(gateway)] == [1000 + number for number in range(1, 27)]


async def test_a_log_that_never_stands_still_is_given_up() -> None:
    gateway = FakeGateway([])
    gateway.before = lambda asked: gateway.entries.append(entry(asked))
    with pytest.raises(ProviderUnavailableError, match="grows as fast as it is read") as caught:
        await read(gateway)
    assert "--until" in caught.value.remedy


async def test_a_gateway_that_answers_every_page_alike_is_found_out() -> None:
    gateway = FakeGateway([])
    gateway.before = lambda _: respond({"success": True, "data": [entry(1), entry(2)]})
    with pytest.raises(ProviderUnavailableError, match="every page of it is the same"):
        await read(gateway)
    assert len(gateway.queries) == 3


async def test_a_log_without_end_is_refused() -> None:
    gateway = FakeGateway([])
    gateway.before = lambda asked: respond({"success": True, "data": [entry(asked * 1000 + n) for n in range(1000)]})
    with pytest.raises(ProviderUnavailableError, match="more than 101,000 entries") as caught:
        await read(gateway)
    assert "--since" in caught.value.remedy
    assert len(gateway.queries) * 1000 <= billing.MAX_ENTRIES + 1000
