"""The wire facts' tables, row by row: the same answers through a fake transport and over a real socket.

Where each quirk of providers' answers is shown over real sockets:

| quirk | test |
|---|---|
| a URL that dies ten minutes after it was made | ``test_a_url_dies...``; acceptance ``faults`` |
| ``se=``, ``X-Amz-...``, ``X-Goog-...``, ``Expires=``; the earlier counts | ``test_a_signed_url...``, ``..._dies...`` |
| base64, with a prefix, a ``data:`` URL | ``test_each_inline_success...``, acceptance ``faults`` (``every_form``) |
| a relative URL | ``test_a_relative_url_is_the_providers_own``, acceptance ``faults`` (``every_form``) |
| empty or null absent fields, extra ones, no ``created`` | ``test_each_success...``, ``test_each_inline_success...`` |
| an error, HTML, no data, a task or half a document in a 200 | ``ROWS``; integration ``provider_sockets`` |
| the request's id in either header; the whole error kept | ``test_the_requests_id_and_the_whole_error_are_kept`` |
| an error under any of the known names, or a bare string | ``test_an_errors_words_are_found_under_each_name`` |
| an empty message with the real status in ``param`` | ``ROWS`` |
| ``Retry-After`` as seconds, a date, milliseconds | ``test_a_wait_in_the_headers_reaches_the_error`` |
| ``x-should-retry`` | ``test_a_provider_may_say_itself_whether_to_retry`` |
| ``x-ratelimit-...-requests``, ``6m0s`` among them | ``test_what_the_headers_say_is_allowed...``; unit ``waits`` |
| a dead URL's 404, 403 or 410, and the same before it died | integration ``deliver_courier``, ``simulator_downloads`` |
| a body whose end marker comes late | integration ``provider_sockets``, acceptance ``faults`` (``slow_end``) |
| LiteLLM's proxy in front: its fields, URL, key check, 500s | ``ROWS``; the proxy: ``parts/test_parts_litellm.py`` |
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Literal

import anyio
import pytest

from pipeline.job import InputImage, PictureRequest
from pipeline.provider import (
    AnswerLostError,
    BadKeyError,
    EmptyAccountError,
    ImagesClient,
    ModelRefusedError,
    OverloadedError,
    Poster,
    ProviderError,
    RefusedError,
    ThrottledError,
)
from pipeline.ratio import Ratio
from pipeline.transport import ApiResponse, ApiTimeouts, ApiTransport

NOW = 1_750_000_000.0
REQUEST = PictureRequest(model="flux-kontext-pro", prompt="A cat", ratio=Ratio(3, 2))


class FakeClock:
    def monotonic(self) -> float:
        return 0.0

    def wall(self) -> float:
        return NOW

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing here waits")


class FakeTransport:
    def __init__(self, response: ApiResponse) -> None:
        self.response = response

    async def post_json(self, path: str, payload: Mapping[str, Any], *, timeouts: ApiTimeouts) -> ApiResponse:
        return self.response

    async def post_document(self, path: str, document: bytes, *, timeouts: ApiTimeouts) -> ApiResponse:
        raise AssertionError("nothing here is edited")

    async def post_form(
        self, path: str, fields: Mapping[str, str], *, name: str, image: InputImage, timeouts: ApiTimeouts
    ) -> ApiResponse:
        raise AssertionError("nothing here is edited")


@asynccontextmanager
async def _real(response: ApiResponse) -> AsyncIterator[ApiTransport]:
    handlers: list[asyncio.Task[None]] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        lines = [f"HTTP/1.1 {response.status} X", f"Content-Length: {len(response.body)}"]
        lines += [f"{name}: {value}" for name, value in response.headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode() + response.body)
        await reader.read()  # until the client closes
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.append(asyncio.create_task(answer(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        async with server, ApiTransport(base_url=f"http://127.0.0.1:{port}/v1", api_key="sk-12345678") as transport:
            yield transport
    finally:
        await asyncio.gather(*handlers)


@asynccontextmanager
async def _over(way: str, response: ApiResponse) -> AsyncIterator[Poster]:
    if way == "fake":
        yield FakeTransport(response)
    else:
        async with _real(response) as transport:
            yield transport


async def _buy(way: str, response: ApiResponse) -> Any:
    with anyio.fail_after(5):
        async with _over(way, response) as transport:
            client = ImagesClient(
                transport, base_url="https://api.example/v1", wire="flat", window_s=600, clock=FakeClock()
            )
            return await client.buy(REQUEST, first_byte_s=2)


def _response(status: int, document: Any, headers: Mapping[str, str] | None = None) -> ApiResponse:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return ApiResponse(status=status, headers=headers or {}, body=body, complete=True)


def _error(message: str = "", code: str = "", type_: str = "", param: str = "") -> dict[str, Any]:
    return {"error": {"message": message, "type": type_, "param": param, "code": code}}


def _behind(message: str) -> dict[str, Any]:
    """What LiteLLM's proxy says of its upstream, whatever it is: the status is its own, the words tell."""
    words = f"litellm.{message}\n\nLiteLLM: model group 'x' failed with the error above. No fallback was attempted."
    return _error(words, type_="invalid_request_error")


#: What the proxy said of pictures that its upstream had made and charged, but for the first.
_BEHIND_LITELLM = (
    (500, "InternalServerError: InternalServerError: OpenAIException - The server had an error"),
    (500, "InternalServerError: InternalServerError: AimlException - [Errno 104] Connection reset by peer"),
    (500, "InternalServerError: InternalServerError: AimlException - peer closed connection without sending"),
    (500, "APIConnectionError: APIConnectionError: OpenAIException - Connection error."),
    (500, "APIConnectionError: APIConnectionError: OpenAIException - 'str' object has no attribute 'model_dump'"),
    (200, "APIError: APIError: AimlException - Error transforming image generation response: Expecting value"),
)
_LOST_BEHIND = (AnswerLostError, "lost_behind_gateway")
_LATER = (ThrottledError, "throttled")
_INVALID_MODEL = _error("400: {'error': '/image/generations: Invalid model name passed in model=x.'}", "400")

ROWS: list[tuple[int, Any, type[ProviderError], str]] = [
    # bad parameters
    (400, _error("aspect_ratio is out of range", "invalid_value", "invalid_request_error"), RefusedError, "invalid"),
    (413, b"<html>Request Entity Too Large</html>", RefusedError, "invalid"),
    (422, {"detail": [{"loc": ["body", "seed"], "msg": "not a number", "type": "int"}]}, RefusedError, "invalid"),
    # bad key
    (401, _error("Incorrect API key provided", "invalid_api_key", "invalid_request_error"), BadKeyError, "key_refused"),
    (401, {"message": "无效的令牌"}, BadKeyError, "key_refused"),
    (400, _error("No connected db.", "400", "no_db_connection"), BadKeyError, "key_refused"),
    # moderation
    (403, _error("Request Moderated"), RefusedError, "moderated"),
    (400, _error("Content Moderated", type_="bfl_error"), RefusedError, "moderated"),
    (500, _error("rejected", "content_policy_violation", "invalid_request_error"), RefusedError, "moderated"),
    (400, _error("", "sensitive_words_detected", "new_api_error"), RefusedError, "moderated"),
    (500, {"msg": "sensitive_words_detected: x"}, RefusedError, "moderated"),
    (500, "Request Moderated", RefusedError, "moderated"),
    (200, {"id": "t", "status": "Request Moderated"}, RefusedError, "moderated"),
    (200, _error("Content Moderated"), RefusedError, "moderated"),
    # no balance
    (402, {"detail": "Insufficient credits"}, EmptyAccountError, "no_balance"),
    (403, _error("用户额度不足", "insufficient_user_quota", "new_api_error"), EmptyAccountError, "no_balance"),
    (
        429,
        _error("You exceeded your quota", "insufficient_quota", "insufficient_quota"),
        EmptyAccountError,
        "no_balance",
    ),
    (429, _error("", "credit_balance_exhausted"), EmptyAccountError, "no_balance"),
    (429, _error("", "user_spend_limit_exceeded"), EmptyAccountError, "no_balance"),
    (403, _error("", "project_spend_limit_exceeded"), EmptyAccountError, "no_balance"),
    (403, _error("", "organization_usage_limit_exceeded"), EmptyAccountError, "no_balance"),
    (200, _error("", "insufficient_user_quota"), EmptyAccountError, "no_balance"),
    # unknown model, no channel
    (
        404,
        _error("The model does not exist", "model_not_found", "invalid_request_error"),
        ModelRefusedError,
        "unknown_model",
    ),
    (404, b"404 page not found", ModelRefusedError, "unknown_model"),
    (503, _error("无可用渠道", "model_not_found", "new_api_error"), ModelRefusedError, "unknown_model"),
    (503, {"error": "no available channel for model x"}, ModelRefusedError, "unknown_model"),
    (400, _INVALID_MODEL, ModelRefusedError, "unknown_model"),
    # rate limit
    (429, _error("Too many requests", "rate_limit_exceeded"), ThrottledError, "throttled"),
    (429, _error(), ThrottledError, "throttled"),
    (429, b"", ThrottledError, "throttled"),
    (429, _error("No deployments available, Try again in 5 seconds", "429", "all_deployments_in_cooldown"), *_LATER),
    (500, _error("", "", "upstream_error", "429"), ThrottledError, "throttled"),
    (200, _error("slow down", "rate_limit_exceeded"), ThrottledError, "throttled"),
    # overload
    (500, _error("server error", "write_response_body_failed"), OverloadedError, "overloaded"),
    (502, b"<html>Bad Gateway</html>", OverloadedError, "overloaded"),
    (503, {"header": {"message": "busy"}}, OverloadedError, "overloaded"),
    (503, _behind("ServiceUnavailableError: OpenAIException - overloaded"), OverloadedError, "overloaded"),
    # answer lost
    (408, _error("timeout"), AnswerLostError, "unexplained_status"),
    (502, _error("Proxy to upstream failed: read ECONNRESET", type_="proxy_error"), *_LOST_BEHIND),
    (502, _error("Proxy to upstream failed: aborted", type_="proxy_error"), *_LOST_BEHIND),
    *((status, _behind(words), *_LOST_BEHIND) for status, words in _BEHIND_LITELLM),
    (504, b"<html>Gateway Time-out</html>", AnswerLostError, "unexplained_status"),
    (520, b"", AnswerLostError, "unexplained_status"),
    (522, b"", AnswerLostError, "unexplained_status"),
    (524, b"", AnswerLostError, "unexplained_status"),
    (500, _error("", "bad_response_status_code", "upstream_error", "504"), AnswerLostError, "unexplained_status"),
    (307, b"", AnswerLostError, "unexplained_status"),
    (301, b"moved", AnswerLostError, "unexplained_status"),
    (418, b"", AnswerLostError, "unexplained_status"),
    (200, b"<html>welcome</html>", AnswerLostError, "unreadable"),
    (200, b'{"data": [{"url": "https://h/', AnswerLostError, "unreadable"),
    (200, b"", AnswerLostError, "unreadable"),
    (200, {"data": []}, AnswerLostError, "no_picture"),
    (200, {"id": "task-1", "status": "Pending"}, AnswerLostError, "no_picture"),
    (200, _error("something happened"), AnswerLostError, "no_picture"),
    (200, _error("", "", "upstream_error", "400"), AnswerLostError, "no_picture"),
]


@pytest.mark.parametrize("way", ["fake", "real"])
@pytest.mark.parametrize(("status", "document", "expected", "kind"), ROWS)
async def test_each_refusal_of_the_wire_facts_has_its_class(
    way: Literal["fake", "real"], status: int, document: Any, expected: type[ProviderError], kind: str
) -> None:
    with pytest.raises(ProviderError) as caught:
        await _buy(way, _response(status, document))
    assert (type(caught.value), caught.value.kind, caught.value.status) == (expected, kind, status)


@pytest.mark.parametrize("way", ["fake", "real"])
@pytest.mark.parametrize(
    "document",
    [
        {"created": int(NOW), "data": [{"url": "https://delivery.example/x.jpeg?signature=s"}]},
        {"data": [{"url": "https://delivery.example/x.jpeg?signature=s", "b64_json": None}], "usage": {}},
        {"data": [{"url": "https://delivery.example/x.jpeg?signature=s", "b64_json": ""}], "error": None},
        {  # as LiteLLM's proxy hands it on
            "created": int(NOW),
            "data": [
                {
                    "url": "https://delivery.example/x.jpeg?signature=s",
                    "b64_json": None,
                    "revised_prompt": "",
                    "provider_specific_fields": {"cost": 0.04},
                }
            ],
            "usage": {"total_tokens": 0},
        },
    ],
)
async def test_each_success_of_the_wire_facts_gives_its_url(way: Literal["fake", "real"], document: Any) -> None:
    answer = await _buy(way, _response(200, document, {"request-id": "r1"}))
    assert (answer.url, answer.request_id) == ("https://delivery.example/x.jpeg?signature=s", "r1")


@pytest.mark.parametrize("way", ["fake", "real"])
@pytest.mark.parametrize(
    "item",
    [
        {"b64_json": "AAAA"},
        {"b64_json": "AAAA", "url": ""},
        {"b64_json": "AAAA", "url": None, "revised_prompt": "x"},
        {"b64_json": "data:image/png;base64,AAAA"},
        {"url": "data:image/png;base64,AAAA"},
        {"url": "data:image/png;base64,AAAA", "b64_json": ""},
    ],
)
async def test_each_inline_success_gives_its_bytes(way: Literal["fake", "real"], item: dict[str, str]) -> None:
    assert (await _buy(way, _response(200, {"data": [item]}))).image == b"\0\0\0"


@pytest.mark.parametrize("way", ["fake", "real"])
@pytest.mark.parametrize(("url", "whole"), [("/d/x.png?s=1", "/d/x.png?s=1"), ("x.png", "/v1/x.png")])
async def test_a_relative_url_is_the_providers_own(way: Literal["fake", "real"], url: str, whole: str) -> None:
    answer = await _buy(way, _response(200, {"data": [{"url": url, "b64_json": ""}]}))
    assert answer.url == f"https://api.example{whole}"


@pytest.mark.parametrize("way", ["fake", "real"])
@pytest.mark.parametrize(
    "headers",
    [
        {"retry-after": "7"},
        {"retry-after": "Sun, 15 Jun 2025 15:06:47 GMT"},
        {"retry-after-ms": "7000"},
    ],
)
async def test_a_wait_in_the_headers_reaches_the_error(way: Literal["fake", "real"], headers: dict[str, str]) -> None:
    with pytest.raises(ThrottledError) as caught:
        await _buy(way, _response(429, {}, headers))
    assert caught.value.retry_after_s == 7


@pytest.mark.parametrize("way", ["fake", "real"])
@pytest.mark.parametrize(("status", "word", "retryable"), [(400, "true", True), (503, "false", False)])
async def test_a_provider_may_say_itself_whether_to_retry(
    way: Literal["fake", "real"], status: int, word: str, retryable: bool
) -> None:
    with pytest.raises(ProviderError) as caught:
        await _buy(way, _response(status, _error("no"), {"x-should-retry": word}))
    assert caught.value.retryable is retryable


@pytest.mark.parametrize("way", ["fake", "real"])
@pytest.mark.parametrize(
    "query",
    [
        "se=2025-06-15T15%3A10%3A00Z&sig=s",
        "X-Amz-Date=20250615T150640Z&X-Amz-Expires=200",
        "X-Goog-Date=20250615T150640Z&X-Goog-Expires=200",
        "Expires=1750000200&Signature=s",
    ],
)
async def test_a_signed_url_says_itself_when_it_dies(way: Literal["fake", "real"], query: str) -> None:
    """Here after 200 s, long before the window of 600 has passed."""
    document = {"created": int(NOW), "data": [{"url": f"https://delivery.example/x.jpeg?{query}"}]}
    assert (await _buy(way, _response(200, document))).deadline == NOW + 200


@pytest.mark.parametrize("way", ["fake", "real"])
@pytest.mark.parametrize(
    ("created", "query", "dies"),
    [
        (int(NOW), "", NOW + 600),
        (int(NOW) - 100, "", NOW + 500),
        (None, "", NOW + 600),
        (int(NOW), f"?Expires={int(NOW) + 3_600}", NOW + 600),
        (int(NOW) - 100, f"?Expires={int(NOW) + 550}", NOW + 500),
    ],
)
async def test_a_url_dies_with_its_window_or_before(
    way: Literal["fake", "real"], created: int | None, query: str, dies: float
) -> None:
    """The earliest of the window from the answer, the window from ``created``, and what the URL itself says."""
    document = {"created": created, "data": [{"url": f"https://delivery.example/x.jpeg{query}"}]}
    answer = await _buy(way, _response(200, document))
    assert answer.deadline == pytest.approx(dies, abs=5), "but for the moment that a real one takes to be read"


@pytest.mark.parametrize("way", ["fake", "real"])
async def test_what_the_headers_say_is_allowed_reaches_the_answer(way: Literal["fake", "real"]) -> None:
    headers = {
        "x-ratelimit-limit-requests": "30",
        "x-ratelimit-remaining-requests": "3",
        "x-ratelimit-reset-requests": "6m0s",
    }
    answer = await _buy(way, _response(200, {"data": [{"url": "https://delivery.example/x.jpeg"}]}, headers))
    assert (answer.allowance.limit, answer.allowance.remaining, answer.allowance.reset_s) == (30, 3, 360)
    with pytest.raises(ThrottledError) as caught:
        await _buy(way, _response(429, {}, headers))
    assert caught.value.allowance == answer.allowance


@pytest.mark.parametrize("way", ["fake", "real"])
@pytest.mark.parametrize("header", ["x-request-id", "request-id"])
async def test_the_requests_id_and_the_whole_error_are_kept(way: Literal["fake", "real"], header: str) -> None:
    with pytest.raises(RefusedError) as caught:
        await _buy(way, _response(400, _error("x" * 5_000, "invalid_value"), {header: "req-7"}))
    assert caught.value.request_id == "req-7"
    assert len(caught.value.body) == 2_000
    assert caught.value.body.startswith('{"error": {"message": "xxx')


@pytest.mark.parametrize("way", ["fake", "real"])
@pytest.mark.parametrize(
    "document",
    [
        *({name: "The seed is odd"} for name in ("message", "msg", "err", "error_msg", "detail")),
        {"header": {"message": "The seed is odd"}},
        {"response": {"error": {"message": "The seed is odd"}}},
        {"error": "The seed is odd"},
        b"The seed is odd",
    ],
)
async def test_an_errors_words_are_found_under_each_name(way: Literal["fake", "real"], document: Any) -> None:
    with pytest.raises(RefusedError) as caught:
        await _buy(way, _response(422, document))
    assert caught.value.message == "The seed is odd"
