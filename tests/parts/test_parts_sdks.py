"""The simulator as the official SDKs find it: Node's, and Python's of the major version before the tests' own.

Both wire habits: Flux parameters at the top level of the body, which is what Python's SDK makes of ``extra_body`` and
what Node's sends of keys it does not know; and a literal ``extra_body`` key, which is what Node's sends of one.
"""

import io
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from subprocess import PIPE
from typing import Any

import aiohttp
import anyio
import pytest
from PIL import Image

from pipeline.simulator import Simulator, SimulatorSettings
from pipeline.simulator.settings import Wire
from tests.acceptance.stage import PATIENCE_S
from tests.parts.places import node_modules, python, surroundings

_HERE = Path(__file__).parent
FLUX = {"aspect_ratio": "16:9", "output_format": "png", "seed": 42, "safety_tolerance": 2}
WIDE, SQUARE = ("PNG", (174, 94)), ("JPEG", (128, 128))


def node() -> tuple[list[str], dict[str, str], dict[str, Any]]:
    modules = node_modules()
    return ["node", str(_HERE / "sdk.cjs")], surroundings(NODE_PATH=str(modules)), {}


def old_python(*, asynchronous: bool) -> tuple[list[str], dict[str, str], dict[str, Any]]:
    return [str(python()), str(_HERE / "sdk_calls.py")], surroundings(), {"asynchronous": asynchronous}


PYTHON, ASYNC_PYTHON = (partial(old_python, asynchronous=asynchronous) for asynchronous in (False, True))


async def outcomes(
    sdk: Callable[[], Any], simulator: Simulator, *calls: dict[str, Any], key: str = "right", retries: int = 0
) -> list[dict[str, Any]]:
    """What came of each call."""
    words, environment, more = sdk()
    asked = {"baseURL": simulator.base_url, "apiKey": key, "maxRetries": retries, "calls": calls, **more}
    with anyio.fail_after(PATIENCE_S):
        ended = await anyio.run_process(
            words, input=json.dumps(asked).encode(), env=environment, stderr=PIPE, check=False
        )
    assert ended.returncode == 0, ended.stderr.decode()
    told = json.loads(ended.stdout)
    assert isinstance(told, list)
    return told


def call(sdk: Callable[[], Any], *, literal: bool, prompt: str = "A cat") -> dict[str, Any]:
    """One call, with the Flux parameters where they travel at the top level, or below a literal key."""
    usual: dict[str, Any] = {"model": "flux-kontext-pro", "prompt": prompt}
    merges = sdk is not node
    if literal:
        return usual | {"extra_body": {"extra_body": FLUX} if merges else FLUX}
    return usual | ({"extra_body": FLUX} if merges else FLUX)


async def shape(url: str) -> tuple[str | None, tuple[int, int]]:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        assert answer.status == 200
        image = Image.open(io.BytesIO(await answer.read()))
    image.load()
    return image.format, image.size


def simulated(**settings: Any) -> Simulator:
    return Simulator(SimulatorSettings(scale=8, keys=frozenset({"right"}), **settings))


@pytest.mark.parametrize(
    ("sdk", "wire", "top_level", "below_a_key"),
    [
        pytest.param(node, "flat", WIDE, SQUARE, id="node-flat"),
        pytest.param(node, "extra_body", SQUARE, WIDE, id="node-extra_body"),
        pytest.param(node, "both", WIDE, WIDE, id="node-both"),
        pytest.param(PYTHON, "flat", WIDE, SQUARE, id="python-flat"),
        pytest.param(ASYNC_PYTHON, "extra_body", SQUARE, WIDE, id="async-python-extra_body"),
    ],
)
async def test_both_wire_habits_reach_the_simulator(
    sdk: Callable[[], Any], wire: Wire, top_level: Any, below_a_key: Any
) -> None:
    """Where a provider does not look for them, the parameters are dropped without a word, and billed all the same."""
    async with simulated(wire=wire) as simulator:
        calls = [call(sdk, literal=False), call(sdk, literal=True, prompt="A dog")]
        first, second = await outcomes(sdk, simulator, *calls)
        assert (await shape(first["url"]), await shape(second["url"])) == (top_level, below_a_key)
        assert simulator.bill.charged_microusd == 70_000


@pytest.mark.parametrize("sdk", [node, PYTHON], ids=["node", "python"])
async def test_each_refusal_raises_the_sdks_class(sdk: Callable[[], Any]) -> None:
    async with simulated() as simulator:
        faults = ("invalid", "no_balance", "throttle", "overload_500", "model_gone")
        told = await outcomes(sdk, simulator, *(call(sdk, literal=False, prompt=f"[fault:{name}]") for name in faults))
        (refused,) = await outcomes(sdk, simulator, call(sdk, literal=False), key="wrong")
        assert simulator.bill.charged_microusd == 0
    assert [(outcome["error"], outcome["status"]) for outcome in [*told, refused]] == [
        ("BadRequestError", 400),
        ("PermissionDeniedError", 403),
        ("RateLimitError", 429),
        ("InternalServerError", 500),
        ("InternalServerError", 503),
        ("AuthenticationError", 401),
    ]
    assert (told[1]["code"], refused["code"]) == ("insufficient_user_quota", "invalid_api_key")


@pytest.mark.parametrize("sdk", [node, ASYNC_PYTHON], ids=["node", "async-python"])
async def test_left_to_itself_an_sdk_buys_a_lost_answer_three_times(sdk: Callable[[], Any]) -> None:
    """Why this pipeline speaks to the API by itself."""
    async with simulated() as simulator:
        (lost,) = await outcomes(sdk, simulator, call(sdk, literal=False, prompt="Gone [fault:lost]"), retries=2)
        assert lost["error"] == "APIConnectionError"
        assert simulator.bill.charged_microusd == 3 * 35_000
