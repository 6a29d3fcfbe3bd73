"""Every fault of an answer, as a client on a real socket meets it."""

import asyncio
import io
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import anyio
import pytest
from PIL import Image

from pipeline.simulator import Simulator, SimulatorSettings

PATIENCE_S = 10.0


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(SimulatorSettings(scale=8, slow_end_s=0.2)) as running:
        yield running


async def ask(client: aiohttp.ClientSession, simulator: Simulator, fault: str, **asked: Any) -> tuple[int, Any, Any]:
    """One generation with a fault: status, JSON (or text), headers."""
    body = {"model": "flux-kontext-pro", "prompt": f"a cat [fault:{fault}]", **asked}
    url = f"{simulator.base_url}/images/generations"
    with anyio.fail_after(PATIENCE_S):
        async with client.post(url, json=body, allow_redirects=False) as answer:
            is_json = answer.content_type == "application/json"
            return answer.status, await answer.json() if is_json else await answer.text(), answer.headers


async def until(condition: Callable[[], object]) -> None:
    with anyio.fail_after(PATIENCE_S):
        while True:
            if condition():
                return
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("throttle", 429, ""),
        ("throttle_retry_after", 429, "rate_limit_exceeded"),
        ("overload_500", 500, "server_error"),
        ("overload_503", 503, "overloaded"),
        ("moderated", 403, None),
        ("invalid", 400, "invalid_value"),
        ("bad_key", 401, "invalid_api_key"),
        ("no_balance", 403, "insufficient_user_quota"),
        ("no_balance_429", 429, "insufficient_quota"),
        ("model_gone", 503, "model_not_found"),
        ("error_in_200", 200, "overloaded"),
        ("moderated_in_200", 200, "content_policy_violation"),
    ],
)
async def test_a_refusal_is_not_charged(
    client: aiohttp.ClientSession, simulator: Simulator, fault: str, status: int, code: str | None
) -> None:
    got, answer, headers = await ask(client, simulator, fault)
    assert (got, answer["error"]["code"]) == (status, code)
    assert headers.get("Retry-After") == ("1" if fault == "throttle_retry_after" else None)
    assert "x-request-id" in headers
    assert simulator.bill.pictures == 0


async def test_moderation_is_told_by_its_words(client: aiohttp.ClientSession, simulator: Simulator) -> None:
    _, answer, _ = await ask(client, simulator, "moderated")
    assert answer["error"]["message"] == "Request Moderated"


async def test_a_bad_gateway_is_a_page_and_not_charged(client: aiohttp.ClientSession, simulator: Simulator) -> None:
    status, page, _ = await ask(client, simulator, "overload_502")
    assert (status, "502 Bad Gateway" in page, simulator.bill.pictures) == (502, True, 0)


async def test_a_connection_reset_before_the_charge_costs_nothing(
    client: aiohttp.ClientSession, simulator: Simulator
) -> None:
    with pytest.raises(aiohttp.ClientOSError, match="reset"):
        await ask(client, simulator, "lost_before_charge")
    assert (simulator.bill.requests, simulator.bill.pictures) == (1, 0)


async def test_a_connection_reset_after_the_charge_is_paid(client: aiohttp.ClientSession, simulator: Simulator) -> None:
    with pytest.raises(aiohttp.ClientOSError, match="reset"):
        await ask(client, simulator, "lost")
    assert [charge.delivered for charge in simulator.bill.charges] == [False]


@pytest.mark.parametrize(
    ("fault", "status", "part"),
    [("gateway_504", 504, "504 Gateway"), ("gateway_524", 524, "524: A timeout"), ("html_200", 200, "One moment")],
)
async def test_a_page_after_the_charge_is_paid(
    client: aiohttp.ClientSession, simulator: Simulator, fault: str, status: int, part: str
) -> None:
    got, page, headers = await ask(client, simulator, fault)
    assert (got, part in page, headers["Content-Type"]) == (status, True, "text/html; charset=utf-8")
    assert [charge.delivered for charge in simulator.bill.charges] == [False]


async def test_a_timeout_after_the_charge_is_paid(client: aiohttp.ClientSession, simulator: Simulator) -> None:
    status, answer, _ = await ask(client, simulator, "timeout_408")
    assert (status, answer["error"]["code"], simulator.bill.pictures) == (408, "timeout", 1)


async def test_an_answer_without_data_is_paid(client: aiohttp.ClientSession, simulator: Simulator) -> None:
    status, answer, _ = await ask(client, simulator, "empty_data")
    assert (status, answer["data"], simulator.bill.pictures) == (200, [], 1)


async def test_a_task_id_instead_of_a_picture_is_paid(client: aiohttp.ClientSession, simulator: Simulator) -> None:
    status, answer, _ = await ask(client, simulator, "task_id_200")
    assert (status, set(answer), simulator.bill.pictures) == (200, {"id", "status"}, 1)


async def test_a_redirect_leads_to_itself_and_is_paid_each_time(
    client: aiohttp.ClientSession, simulator: Simulator
) -> None:
    url = f"{simulator.base_url}/images/generations"
    body = {"model": "flux-kontext-pro", "prompt": "[fault:redirect_307*2]"}
    async with client.post(url, json=body) as answer:
        assert (answer.status, [past.status for past in answer.history]) == (200, [307, 307])
    assert [charge.delivered for charge in simulator.bill.charges] == [False, False, True]


async def test_half_a_body_is_noticed_by_its_length(client: aiohttp.ClientSession, simulator: Simulator) -> None:
    with pytest.raises(aiohttp.ClientPayloadError):
        await ask(client, simulator, "half_body")
    assert [charge.delivered for charge in simulator.bill.charges] == [False]


async def test_half_a_chunked_body_ends_as_if_whole(client: aiohttp.ClientSession, simulator: Simulator) -> None:
    url = f"{simulator.base_url}/images/generations"
    body = {"model": "flux-kontext-pro", "prompt": "[fault:half_chunked]"}
    async with client.post(url, json=body) as answer:
        text = await answer.text()
        assert (answer.status, "Content-Length" in answer.headers) == (200, False)
        assert answer.headers["x-request-id"] == simulator.bill.charges[0].request_id
    assert text.startswith('{"created": ')
    assert not text.endswith("}")


async def test_a_slow_end_comes_late_and_is_whole(client: aiohttp.ClientSession, simulator: Simulator) -> None:
    started = time.monotonic()
    status, answer, _ = await ask(client, simulator, "slow_end")
    assert time.monotonic() - started >= 0.2
    assert (status, len(answer["data"])) == (200, 1)
    assert [charge.delivered for charge in simulator.bill.charges] == [True]


async def test_a_slow_end_nobody_waits_for_is_not_delivered(client: aiohttp.ClientSession) -> None:
    async with Simulator(SimulatorSettings(scale=8, slow_end_s=60)) as simulator:
        with pytest.raises(TimeoutError), anyio.fail_after(0.3):
            await ask(client, simulator, "slow_end")
        assert [charge.delivered for charge in simulator.bill.charges] == [False]


async def test_a_hang_says_nothing_and_is_paid(client: aiohttp.ClientSession, simulator: Simulator) -> None:
    with pytest.raises(TimeoutError), anyio.fail_after(0.3):
        await ask(client, simulator, "hang")
    assert [charge.delivered for charge in simulator.bill.charges] == [False]


async def test_a_hang_ends_when_the_client_leaves(client: aiohttp.ClientSession) -> None:
    async with Simulator(SimulatorSettings(scale=8, max_in_flight=1)) as simulator:
        with pytest.raises(TimeoutError), anyio.fail_after(0.2):
            await ask(client, simulator, "hang")
        await asyncio.sleep(0.15)
        status, _, _ = await ask(client, simulator, "throttle")
        assert simulator.bill.throttled == 0
        assert status == 429


async def test_a_hang_ends_when_the_server_stops(client: aiohttp.ClientSession) -> None:
    async with Simulator(SimulatorSettings(scale=8)) as simulator:
        waiting = asyncio.create_task(ask(client, simulator, "hang"))
        await until(lambda: simulator.bill.charges)
    with pytest.raises(aiohttp.ClientOSError):
        await waiting


async def test_a_marker_with_times_ends(client: aiohttp.ClientSession, simulator: Simulator) -> None:
    assert [(await ask(client, simulator, "throttle*2"))[0] for _ in range(3)] == [429, 429, 200]


async def test_a_marker_that_is_off_is_refused_with_the_nearest(
    client: aiohttp.ClientSession, simulator: Simulator
) -> None:
    status, answer, _ = await ask(client, simulator, "trottle")
    assert (status, "'throttle'" in answer["error"]["message"]) == (400, True)


@pytest.mark.parametrize(
    ("fault", "image_format", "size", "content_type"),
    [
        ("wrong_shape", "JPEG", (128, 128), "image/jpeg"),
        ("wrong_format", "PNG", (174, 94), "image/png"),
        ("wrong_content_type", "JPEG", (174, 94), "text/plain"),
        ("wrong_shape] [fault:wrong_format", "PNG", (128, 128), "image/png"),
    ],
)
async def test_a_picture_may_be_wrong(
    client: aiohttp.ClientSession,
    simulator: Simulator,
    fault: str,
    image_format: str,
    size: tuple[int, int],
    content_type: str,
) -> None:
    _, answer, _ = await ask(client, simulator, fault, aspect_ratio="16:9")
    async with client.get(answer["data"][0]["url"]) as download:
        image = Image.open(io.BytesIO(await download.read()))
        assert (image.format, image.size, download.content_type) == (image_format, size, content_type)


async def test_a_png_may_come_as_a_jpeg(client: aiohttp.ClientSession, simulator: Simulator) -> None:
    _, answer, _ = await ask(client, simulator, "wrong_format", output_format="png")
    async with client.get(answer["data"][0]["url"]) as download:
        assert (await download.read()).startswith(b"\xff\xd8\xff")
