"""The simulator satisfies the official SDK, called exactly as the provider's document does it."""

import io
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import anyio
import openai
import pytest
from anyio import to_thread
from openai import AsyncOpenAI, OpenAI
from PIL import Image

from pipeline.simulator import Simulator, SimulatorSettings

PATIENCE_S = 20.0
FULL: dict[str, Any] = {
    "aspect_ratio": "16:9",
    "safety_tolerance": 2,
    "output_format": "png",
    "prompt_upsampling": True,
    "seed": 42,
}


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(SimulatorSettings(scale=8, keys=frozenset({"right"}))) as running:
        yield running


def sdk(simulator: Simulator, key: str = "right") -> AsyncOpenAI:
    return AsyncOpenAI(api_key=key, base_url=simulator.base_url, max_retries=0)


async def buy(client: AsyncOpenAI, **extra: Any) -> str:
    """The document's call; the picture's URL."""
    with anyio.fail_after(PATIENCE_S):
        response = await client.images.generate(
            model="flux-kontext-pro",
            prompt="A futuristic city with flying cars and neon lights",
            extra_body=extra,
        )
    assert response.data is not None
    url = response.data[0].url
    assert url is not None
    return url


async def fetch(url: str) -> bytes:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        assert answer.status == 200
        return await answer.read()


def shape_of(picture: bytes) -> tuple[str | None, tuple[int, int]]:
    image = Image.open(io.BytesIO(picture))
    image.load()
    return image.format, image.size


async def test_the_documents_call_gives_a_picture_of_the_right_shape(simulator: Simulator) -> None:
    async with sdk(simulator) as client:
        url = await buy(client, **FULL)
    assert shape_of(await fetch(url)) == ("PNG", (174, 94))
    assert simulator.bill.charges[0].delivered


async def test_the_documents_call_works_without_async_too(simulator: Simulator) -> None:
    def call() -> str:
        with OpenAI(api_key="right", base_url=simulator.base_url, max_retries=0) as client:
            response = client.images.generate(
                model="flux-kontext-pro",
                prompt="A futuristic city with flying cars and neon lights",
                extra_body=FULL,
            )
        assert response.data is not None
        return response.data[0].url or ""

    with anyio.fail_after(PATIENCE_S):
        url = await to_thread.run_sync(call)
    assert shape_of(await fetch(url)) == ("PNG", (174, 94))


async def test_a_seed_reproduces_the_picture(simulator: Simulator) -> None:
    async with sdk(simulator) as client:
        links = [await buy(client, **FULL), await buy(client, **FULL), await buy(client, **(FULL | {"seed": 43}))]
    first, again, other = [await fetch(link) for link in links]
    assert first == again != other


async def test_a_wrong_key_raises_the_sdks_class(simulator: Simulator) -> None:
    async with sdk(simulator, "wrong") as client:
        with pytest.raises(openai.AuthenticationError) as refused:
            await buy(client)
    assert refused.value.code == "invalid_api_key"
    assert str(refused.value.request_id).startswith("req_")


async def test_a_bad_parameter_raises_the_sdks_class(simulator: Simulator) -> None:
    async with sdk(simulator) as client:
        with pytest.raises(openai.BadRequestError) as refused:
            await buy(client, aspect_ratio="9:1")
    assert refused.value.param == "aspect_ratio"


async def test_a_limit_raises_the_sdks_class() -> None:
    async with Simulator(SimulatorSettings(scale=8, requests_per_minute=1)) as simulator, sdk(simulator) as client:
        await buy(client)
        with pytest.raises(openai.RateLimitError):
            await buy(client)


async def test_an_empty_account_raises_the_sdks_class() -> None:
    async with Simulator(SimulatorSettings(scale=8, balance_microusd=0)) as simulator, sdk(simulator) as client:
        with pytest.raises(openai.PermissionDeniedError) as refused:
            await buy(client)
    assert refused.value.code == "insufficient_user_quota"


async def test_the_models_are_listed_through_the_sdk(simulator: Simulator) -> None:
    async with sdk(simulator) as client:
        models = await client.models.list()
    assert [model.id for model in models.data][:2] == ["flux-kontext-pro", "flux-kontext-max"]


async def test_base64_comes_through_the_sdk(simulator: Simulator) -> None:
    async with sdk(simulator) as client:
        response = await client.images.generate(model="flux-kontext-max", prompt="a cat", response_format="b64_json")
    assert response.data is not None
    assert response.data[0].b64_json
    assert response.data[0].url is None
