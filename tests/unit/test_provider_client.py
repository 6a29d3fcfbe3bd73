"""One purchase, with a fake transport or a mocked exchange."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from aiohttp import ClientResponse
from aioresponses import CallbackResult, aioresponses

from pipeline.job import PictureRequest
from pipeline.provider import AnswerLostError, ImagesClient, ProviderError, UnreachableError
from pipeline.ratio import Ratio
from pipeline.transport import ApiResponse, ApiTimeouts, ApiTransport, LostError, NeverSentError

BASE = "https://api.example/v1"
NOW = 1_750_000_000.0
REQUEST = PictureRequest(model="flux-kontext-pro", prompt="A cat", ratio=Ratio(3, 2), seed=42)
GOOD = json.dumps({"created": NOW - 5, "data": [{"url": "/x.png"}]}).encode()


class FakeClock:
    def monotonic(self) -> float:
        return 0.0

    def wall(self) -> float:
        return NOW

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing here waits")


class FakePoster:
    """Answers with what it was given, and remembers what it was asked."""

    def __init__(self, outcome: ApiResponse | Exception) -> None:
        self.outcome = outcome
        self.asked: list[tuple[str, Mapping[str, Any], ApiTimeouts]] = []

    async def post_json(self, path: str, payload: Mapping[str, Any], *, timeouts: ApiTimeouts) -> ApiResponse:
        self.asked.append((path, payload, timeouts))
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


class FakeStreamWriter:
    output_size = 0


class FakeResponse(ClientResponse):
    """A response as aioresponses makes it, which does not know yet that aiohttp 3.14 wants a stream writer."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, stream_writer=FakeStreamWriter(), **more)  # type: ignore[arg-type]


def _client(poster: Any, **more: Any) -> ImagesClient:
    return ImagesClient(poster, base_url=BASE, wire="flat", window_s=600, clock=FakeClock(), **more)


def _response(body: bytes = GOOD, **more: Any) -> ApiResponse:
    return ApiResponse(**{"status": 200, "headers": {}, "body": body, "complete": True, **more})


async def test_an_answer_is_a_url_with_its_deadline() -> None:
    answer = await _client(FakePoster(_response(headers={"x-request-id": "r1"}))).buy(REQUEST, first_byte_s=1)
    assert (answer.url, answer.image, answer.request_id) == ("https://api.example/x.png", None, "r1")
    assert (answer.answered_at, answer.deadline) == (NOW, NOW + 595)


async def test_an_inline_picture_has_no_deadline() -> None:
    answer = await _client(FakePoster(_response(b'{"data":[{"b64_json":"AAAA"}]}'))).buy(REQUEST, first_byte_s=1)
    assert (answer.url, answer.image, answer.deadline) == (None, b"\0\0\0", None)


async def test_the_window_counts_from_the_headers_not_from_a_late_end_of_the_body() -> None:
    poster = FakePoster(_response(b'{"data":[{"url":"/x"}]}', reading_s=30.0))
    answer = await _client(poster).buy(REQUEST, first_byte_s=1)
    assert (answer.answered_at, answer.deadline) == (NOW - 30, NOW + 570)


async def test_a_whole_document_without_its_end_marker_is_an_answer() -> None:
    assert (await _client(FakePoster(_response(complete=False))).buy(REQUEST, first_byte_s=1)).url


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        (_response(GOOD[:-3], complete=False), "incomplete"),
        (_response(GOOD[:-3]), "unreadable"),
        (_response(b"", status=204), "unreadable"),
        (_response(b'{"data":[]}', status=201), "no_picture"),
        (_response(b'{"data":[{"b64_json":"!"}]}'), "undecodable"),
        (_response(b'{"error":{"message":"who knows"}}'), "no_picture"),
        (_response(GOOD, status=302), "unexplained_status"),
    ],
)
async def test_a_success_without_a_picture_is_a_lost_answer_and_says_why(response: ApiResponse, kind: str) -> None:
    with pytest.raises(AnswerLostError) as caught:
        await _client(FakePoster(response)).buy(REQUEST, first_byte_s=1)
    assert caught.value.kind == kind


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (NeverSentError("h: no", kind="dns"), UnreachableError),
        (LostError("h: no", kind="disconnected"), AnswerLostError),
    ],
)
async def test_the_transports_errors_become_the_providers(
    fault: NeverSentError | LostError, expected: type[ProviderError]
) -> None:
    with pytest.raises(expected) as caught:
        await _client(FakePoster(fault)).buy(REQUEST, first_byte_s=1)
    assert (caught.value.kind, caught.value.message, caught.value.status) == (fault.kind, "h: no", None)


async def test_only_the_first_byte_is_the_models_own_time_out() -> None:
    poster = FakePoster(_response())
    await _client(poster, timeouts=ApiTimeouts(connect_s=1, chunk_s=2)).buy(REQUEST, first_byte_s=60)
    assert poster.asked[0][2] == ApiTimeouts(connect_s=1, first_byte_s=60, chunk_s=2)


async def test_the_exchange_is_one_post_with_the_key_and_the_body() -> None:
    seen: list[dict[str, Any]] = []

    def answer(url: object, **kwargs: Any) -> CallbackResult:
        seen.append(json.loads(kwargs["data"]))
        return CallbackResult(body=GOOD.decode(), response_class=FakeResponse)

    with aioresponses() as exchange:
        exchange.post(f"{BASE}/images/generations", callback=answer)
        async with ApiTransport(base_url=f"{BASE}/", api_key=" sk-12345678\n") as transport:
            await _client(transport).buy(REQUEST, first_byte_s=1)
    assert seen == [
        {
            "model": "flux-kontext-pro",
            "prompt": "A cat",
            "n": 1,
            "aspect_ratio": "3:2",
            "seed": 42,
            "output_format": "jpeg",
        }
    ]
