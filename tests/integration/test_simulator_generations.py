"""The simulator over real sockets: what is bought, what it costs, and how it is refused."""

import asyncio
import base64
import io
import time
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import anyio
import pytest
from PIL import Image

from pipeline.simulator import Fault, Simulator, SimulatorSettings

PATIENCE_S = 10.0


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def settings(**changes: Any) -> SimulatorSettings:
    return SimulatorSettings(**{"scale": 8, **changes})


async def ask(
    client: aiohttp.ClientSession, simulator: Simulator, prompt: str = "a cat", **asked: Any
) -> tuple[int, Any, dict[str, str]]:
    """One generation: status, JSON (or text), and headers with names in lower case."""
    body = {"model": "flux-kontext-pro", "prompt": prompt, **asked}
    url = f"{simulator.base_url}/images/generations"
    with anyio.fail_after(PATIENCE_S):
        async with client.post(url, json=body, allow_redirects=False) as answer:
            text = await answer.text()
            is_json = answer.content_type == "application/json"
            headers = {name.lower(): value for name, value in answer.headers.items()}
            return answer.status, await answer.json() if is_json else text, headers


async def fetch(client: aiohttp.ClientSession, url: str) -> Image.Image:
    async with client.get(url) as answer:
        assert answer.status == 200
        image = Image.open(io.BytesIO(await answer.read()))
    image.load()
    return image


def decoded(text: str) -> Image.Image:
    image = Image.open(io.BytesIO(base64.b64decode(text, validate=True)))
    image.load()
    return image


async def until(condition: Callable[[], object]) -> None:
    with anyio.fail_after(PATIENCE_S):
        while True:
            if condition():
                return
            await asyncio.sleep(0.01)


def root_of(simulator: Simulator) -> str:
    return simulator.base_url.removesuffix("/v1")


async def test_a_picture_is_bought_charged_and_fetched(client: aiohttp.ClientSession) -> None:
    async with Simulator(settings()) as simulator:
        status, answer, headers = await ask(client, simulator, aspect_ratio="16:9", output_format="png")
        image = await fetch(client, answer["data"][0]["url"])
        assert (status, image.format, image.size) == (200, "PNG", (174, 94))
        assert abs(answer["created"] - time.time()) < 5
        (charge,) = simulator.bill.charges
        assert (charge.model, charge.prompt, charge.microusd) == ("flux-kontext-pro", "a cat", 35_000)
        assert charge.delivered
        assert charge.request_id == headers["x-request-id"]
        assert simulator.bill.downloads == 1


async def test_the_real_size_is_the_default(client: aiohttp.ClientSession) -> None:
    async with Simulator() as simulator:
        _, answer, _ = await ask(client, simulator)
        assert (await fetch(client, answer["data"][0]["url"])).size == (1024, 1024)


async def test_the_same_seed_and_parameters_give_the_same_bytes(client: aiohttp.ClientSession) -> None:
    async with Simulator(settings(answer="b64_json")) as simulator:
        first, again, other, unseeded, another = [
            (await ask(client, simulator, seed=seed))[1]["data"][0]["b64_json"] for seed in (7, 7, 8, None, None)
        ]
        assert first == again
        assert len({first, other, unseeded, another}) == 4


async def test_a_simulator_with_the_same_seed_chooses_the_same_seeds(client: aiohttp.ClientSession) -> None:
    drawn = []
    for _ in range(2):
        async with Simulator(settings(answer="b64_json", seed=5)) as simulator:
            drawn.append((await ask(client, simulator))[1]["data"][0]["b64_json"])
    assert drawn[0] == drawn[1]


async def test_a_link_may_be_relative(client: aiohttp.ClientSession) -> None:
    async with Simulator(settings(answer="relative_url")) as simulator:
        _, answer, _ = await ask(client, simulator)
        url = answer["data"][0]["url"]
        assert url.startswith("/delivery/")
        await fetch(client, root_of(simulator) + url)


async def test_a_picture_may_come_inside_the_answer(client: aiohttp.ClientSession) -> None:
    async with Simulator(settings(answer="b64_json")) as simulator:
        _, answer, _ = await ask(client, simulator)
        assert decoded(answer["data"][0]["b64_json"]).size == (128, 128)


@pytest.mark.parametrize(("answer", "name"), [("b64_json_prefixed", "b64_json"), ("data_url", "url")])
async def test_a_picture_may_come_with_a_prefix(client: aiohttp.ClientSession, answer: str, name: str) -> None:
    async with Simulator(settings(answer=answer)) as simulator:
        _, body, _ = await ask(client, simulator)
        prefix, _, encoded = body["data"][0][name].partition(",")
        assert prefix == "data:image/jpeg;base64"
        decoded(encoded)


@pytest.mark.parametrize(
    ("answer", "wanted", "prefix"),
    [
        ("url", "b64_json", "/9j/"),
        ("b64_json", "url", "http://"),
        ("relative_url", "url", "/delivery/"),
        ("b64_json_prefixed", "b64_json", "data:"),
    ],
)
async def test_the_request_may_choose_the_kind_of_answer(
    client: aiohttp.ClientSession, answer: str, wanted: str, prefix: str
) -> None:
    async with Simulator(settings(answer=answer)) as simulator:
        _, body, _ = await ask(client, simulator, response_format=wanted)
        assert body["data"][0][wanted].startswith(prefix)


async def test_a_wrong_key_is_refused_and_not_charged(client: aiohttp.ClientSession) -> None:
    async with Simulator(settings(keys=frozenset({"right"}))) as simulator:
        status, answer, headers = await ask(client, simulator)
        assert (status, answer["error"]["code"]) == (401, "invalid_api_key")
        assert set(answer["error"]) == {"message", "type", "param", "code"}
        assert headers["x-request-id"].startswith("req_")
        assert (simulator.bill.requests, simulator.bill.charges) == (1, ())


async def test_the_right_key_is_accepted() -> None:
    async with (
        Simulator(settings(keys=frozenset({"right"}))) as simulator,
        aiohttp.ClientSession(headers={"Authorization": "Bearer right"}) as client,
    ):
        assert (await ask(client, simulator))[0] == 200


async def test_a_body_that_is_not_said_to_be_json_is_refused(client: aiohttp.ClientSession) -> None:
    async with (
        Simulator(settings()) as simulator,
        client.post(f"{simulator.base_url}/images/generations", data=b"{}") as answer,
    ):
        assert answer.status == 415
        assert "application/json" in (await answer.json())["error"]["message"]


async def test_a_bad_parameter_is_refused_by_name(client: aiohttp.ClientSession) -> None:
    async with Simulator(settings()) as simulator:
        status, answer, _ = await ask(client, simulator, aspect_ratio="1:9")
        assert (status, answer["error"]["param"]) == (400, "aspect_ratio")
        assert simulator.bill.pictures == 0


async def test_a_body_too_large_is_refused_in_the_same_shape(client: aiohttp.ClientSession) -> None:
    async with Simulator(settings(max_body_bytes=100_000)) as simulator:
        url = f"{simulator.base_url}/images/generations"
        body = io.BytesIO(b" " * 100_001)
        async with client.post(url, data=body, headers={"Content-Type": "application/json"}) as answer:
            assert (answer.status, (await answer.json())["error"]["type"]) == (413, "invalid_request_error")


async def test_another_path_is_refused_in_the_same_shape(client: aiohttp.ClientSession) -> None:
    async with Simulator(settings()) as simulator, client.get(f"{simulator.base_url}/nothing") as answer:
        assert (answer.status, (await answer.json())["error"]["message"]) == (404, "Not Found")


async def test_a_model_without_a_price_is_refused(client: aiohttp.ClientSession) -> None:
    async with Simulator(settings()) as simulator:
        status, answer, _ = await ask(client, simulator, model="flux-9")
        assert (status, answer["error"]["code"]) == (503, "model_not_found")


async def test_each_model_has_its_own_price(client: aiohttp.ClientSession) -> None:
    async with Simulator(settings()) as simulator:
        await ask(client, simulator, model="flux-kontext-max")
        await ask(client, simulator)
        assert (simulator.bill.charged_microusd, simulator.bill.charged_usd) == (105_000, "0.105")


async def test_a_balance_is_never_overdrawn_by_requests_at_the_same_time(client: aiohttp.ClientSession) -> None:
    async with Simulator(settings(balance_microusd=100_000, latency_s=0.05)) as simulator:
        answers = await asyncio.gather(*(ask(client, simulator) for _ in range(5)))
        codes = sorted(answer["error"]["code"] if status == 403 else "" for status, answer, _ in answers)
        assert codes == ["", "", *["insufficient_user_quota"] * 3]
        assert simulator.bill.balance_microusd == 30_000


async def test_an_empty_account_is_refused_before_anything_is_made(client: aiohttp.ClientSession) -> None:
    async with Simulator(settings(balance_microusd=34_999, latency_s=60)) as simulator:
        assert (await ask(client, simulator))[0] == 403


async def test_too_many_in_flight_are_refused(client: aiohttp.ClientSession) -> None:
    async with Simulator(settings(max_in_flight=2, latency_s=0.1, retry_after_s=3)) as simulator:
        answers = await asyncio.gather(*(ask(client, simulator) for _ in range(5)))
        assert sorted(status for status, _, _ in answers) == [200, 200, 429, 429, 429]
        assert {headers.get("retry-after") for status, _, headers in answers if status == 429} == {"3"}
        assert (simulator.bill.in_flight_peak, simulator.bill.throttled) == (2, 3)


async def test_too_many_a_minute_are_refused(client: aiohttp.ClientSession) -> None:
    async with Simulator(settings(requests_per_minute=2)) as simulator:
        assert [(await ask(client, simulator))[0] for _ in range(3)] == [200, 200, 429]


async def test_a_picture_takes_its_latency(client: aiohttp.ClientSession) -> None:
    async with Simulator(settings(latency_s=0.15)) as simulator:
        started = time.monotonic()
        await ask(client, simulator)
        assert time.monotonic() - started >= 0.15


async def test_latencies_spread(client: aiohttp.ClientSession) -> None:
    async with Simulator(settings(latency_s=0.02, latency_spread=0.5)) as simulator:
        taken = []
        for _ in range(4):
            started = time.monotonic()
            await ask(client, simulator)
            taken.append(round(time.monotonic() - started, 3))
        assert len(set(taken)) > 1


async def test_who_leaves_early_pays_all_the_same(client: aiohttp.ClientSession) -> None:
    async with Simulator(settings(latency_s=0.3)) as simulator:
        with pytest.raises(TimeoutError):
            await client.post(
                f"{simulator.base_url}/images/generations",
                json={"model": "flux-kontext-pro", "prompt": "a cat"},
                timeout=aiohttp.ClientTimeout(total=0.1),
            )
        assert simulator.bill.pictures == 0
        await until(lambda: simulator.bill.charges)
        await asyncio.sleep(0.05)
        assert [charge.delivered for charge in simulator.bill.charges] == [False]


async def test_faults_strike_by_chance(client: aiohttp.ClientSession) -> None:
    async with Simulator(settings(faults=(Fault("overload_503", 0.5),), seed=3)) as simulator:
        statuses = [(await ask(client, simulator))[0] for _ in range(20)]
        assert set(statuses) == {200, 503}
        assert simulator.bill.pictures == statuses.count(200)


async def test_the_models_are_listed(client: aiohttp.ClientSession) -> None:
    async with Simulator(settings()) as simulator, client.get(f"{simulator.base_url}/models") as answer:
        models = await answer.json()
        assert models["object"] == "list"
        assert [model["id"] for model in models["data"]][:2] == ["flux-kontext-pro", "flux-kontext-max"]


async def test_the_models_want_a_key(client: aiohttp.ClientSession) -> None:
    async with (
        Simulator(settings(keys=frozenset({"right"}))) as simulator,
        client.get(f"{simulator.base_url}/models") as answer,
    ):
        assert answer.status == 401


async def test_the_bill_wants_no_key_and_tells_all() -> None:
    async with (
        Simulator(settings(keys=frozenset({"right"}))) as simulator,
        aiohttp.ClientSession(headers={"Authorization": "bearer right"}) as client,
        aiohttp.ClientSession() as stranger,
    ):
        _, _, headers = await ask(client, simulator, "\ud800 cat")
        async with stranger.get(f"{root_of(simulator)}/simulator/bill") as answer:
            bill: dict[str, Any] = await answer.json()
        assert (bill["charged_microusd"], bill["charged_usd"], bill["pictures"]) == (35_000, "0.035", 1)
        charge: dict[str, Any] = bill["charges"][0]
        assert (charge["prompt"], charge["delivered"]) == ("\ud800 cat", True)
        assert charge["request_id"] == headers["x-request-id"]


async def test_its_health_is_good(client: aiohttp.ClientSession) -> None:
    async with Simulator(settings()) as simulator, client.get(f"{root_of(simulator)}/simulator/health") as answer:
        assert await answer.json() == {"status": "ok"}


async def test_it_starts_at_once() -> None:
    started = time.monotonic()
    async with Simulator():
        assert time.monotonic() - started < 0.25


async def test_it_has_no_address_before_it_runs() -> None:
    with pytest.raises(RuntimeError, match="not running"):
        _ = Simulator().base_url


async def test_a_taken_port_is_an_error_and_leaves_nothing(client: aiohttp.ClientSession) -> None:
    async with Simulator(settings()) as simulator:
        port = urlsplit(simulator.base_url).port
        with pytest.raises(OSError, match="in use"):
            await Simulator(settings(port=port)).__aenter__()
        assert (await ask(client, simulator))[0] == 200


async def test_it_may_come_back_with_its_account_and_pictures(client: aiohttp.ClientSession) -> None:
    simulator = Simulator(settings(answer="relative_url"))
    async with simulator:
        _, answer, _ = await ask(client, simulator)
    async with simulator:
        await fetch(client, root_of(simulator) + answer["data"][0]["url"])
        assert simulator.bill.pictures == 1


async def test_it_listens_on_the_newer_protocol_too(client: aiohttp.ClientSession) -> None:
    async with Simulator(settings(host="::1")) as simulator:
        assert simulator.base_url.startswith("http://[::1]:")
        assert (await ask(client, simulator))[0] == 200


async def test_stopping_leaves_no_task_behind(client: aiohttp.ClientSession) -> None:
    before = asyncio.all_tasks()
    async with Simulator(settings(latency_s=60)) as simulator:
        waiting = [asyncio.create_task(ask(client, simulator, prompt)) for prompt in ("a", "b [fault:hang]")]
        leaver = asyncio.create_task(ask(client, simulator, "c"))
        await until(lambda: simulator.bill.in_flight_peak == 3)
        leaver.cancel()
        await asyncio.sleep(0.05)
        started = time.monotonic()
    assert time.monotonic() - started < 1
    outcomes = await asyncio.gather(*waiting, leaver, return_exceptions=True)
    assert all(isinstance(outcome, aiohttp.ClientError | asyncio.CancelledError) for outcome in outcomes)
    assert asyncio.all_tasks() - before == set()
