"""The simulator takes input images as the provider does, and refuses what that refuses."""

import base64
import io
import json
import threading
from collections.abc import AsyncIterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import aiohttp
import anyio
import pytest
from openai import AsyncOpenAI
from PIL import Image

from pipeline.simulator import Simulator, SimulatorSettings

PATIENCE_S = 30.0
ASKED = {"model": "flux-kontext-pro", "prompt": "An edit"}


def picture(size: tuple[int, int] = (48, 16)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, (250, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


def data_url(data: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(SimulatorSettings(scale=8)) as running:
        yield running


async def answer(simulator: Simulator, path: str = "generations", **sent: Any) -> tuple[int, dict[str, Any]]:
    url = f"{simulator.base_url}/images/{path}"
    if "json" in sent:  # as bytes it would be written in one go
        sent = {"data": io.BytesIO(json.dumps(sent["json"]).encode()), "headers": {"Content-Type": "application/json"}}
    with anyio.fail_after(PATIENCE_S):
        async with aiohttp.ClientSession() as session, session.post(url, **sent) as response:
            return response.status, await response.json()


async def drawn(body: dict[str, Any]) -> Image.Image:
    with anyio.fail_after(PATIENCE_S):
        async with aiohttp.ClientSession() as session, session.get(body["data"][0]["url"]) as response:
            return Image.open(io.BytesIO(await response.read()))


async def test_an_edit_follows_its_input_and_shows_it(simulator: Simulator) -> None:
    status, body = await answer(simulator, json={**ASKED, "input_image": data_url(picture((48, 21)))})
    assert status == 200
    image = await drawn(body)
    assert image.width / image.height > 2
    red, green, blue = image.convert("RGB").getpixel((image.width // 2, 2))  # type: ignore[misc]
    assert red > 150 > green + blue


async def test_a_ratio_stands_beside_an_input(simulator: Simulator) -> None:
    _, body = await answer(simulator, json={**ASKED, "input_image": data_url(picture()), "aspect_ratio": "1:1"})
    image = await drawn(body)
    assert image.width == image.height


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"input_image": "data:image/png;base64,????"}, "base64"),
        ({"input_image": data_url(b"no picture")}, "decoded"),
        ({"input_image": "https://example.com/x.png"}, "its own machine"),
        ({"input_image": 5}, "must be a URL"),
        ({"input_image": data_url(picture()), "safety_tolerance": 3}, "0 to 2"),
        ({"input_image": data_url(picture()), "input_image_2": data_url(picture())}, "not taken by this model"),
        ({"input_image": data_url(bytes(20_000_001))}, "20 MB"),
    ],
)
async def test_what_the_provider_refuses_is_refused_unbilled(
    simulator: Simulator, more: dict[str, Any], told: str
) -> None:
    status, body = await answer(simulator, json={**ASKED, **more})
    assert status in {400, 413}
    assert told in body["error"]["message"]
    assert simulator.bill.pictures == 0


async def test_two_images_that_are_together_larger_than_any_one_may_be_are_taken(simulator: Simulator) -> None:
    """Each may have 20 MB, and it refused whatever came to more than one of them."""
    large = picture() + bytes(14_000_000)
    body = {
        "model": "flux-2-max",
        "prompt": "An edit",
        "input_image": data_url(large),
        "input_image_2": data_url(large),
    }
    assert (await answer(simulator, json=body))[0] == 200


@pytest.mark.parametrize("field", ["image[]", "images", "file"])
async def test_a_form_whose_field_is_not_exactly_image_is_refused(simulator: Simulator, field: str) -> None:
    form = aiohttp.FormData(ASKED)
    form.add_field(field, picture(), filename="x.png", content_type="image/png")
    status, body = await answer(simulator, "edits", data=form)
    assert (status, body["error"]["message"]) == (400, "image is required")


async def test_the_official_sdk_edits_with_a_form(simulator: Simulator) -> None:
    async with AsyncOpenAI(api_key="any", base_url=simulator.base_url, max_retries=0) as client:
        with anyio.fail_after(PATIENCE_S):
            response = await client.images.edit(image=("x.png", picture()), model=ASKED["model"], prompt="An edit")
    assert response.data
    assert simulator.bill.pictures == 1


async def test_a_url_of_its_own_machine_is_fetched(simulator: Simulator) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(picture())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/x.png"
        status, _ = await answer(simulator, json={**ASKED, "input_image": url})
        server.shutdown()
    assert status == 200
