"""The Node SDK as a client of the simulator: flat parameters, and the literal ``extra_body`` that it sends."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest

from pipeline.simulator import Simulator, SimulatorSettings
from pipeline.simulator.settings import Wire
from tests.integration.test_simulator_sdk import shape_of

HERE = Path(__file__).parent
MODULES = HERE.parents[1] / ".venv-foreign" / "node"

pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or not (MODULES / "node_modules" / "openai").is_dir(),
    reason="no Node SDK here: make foreign installs it where node and npm are",
)


async def ask(simulator: Simulator, key: str = "right", **more: Any) -> dict[str, Any]:
    """One request of the SDK's; what it made of the answer."""
    with anyio.fail_after(60):
        process = await asyncio.create_subprocess_exec(
            "node",
            str(HERE / "buy.mjs"),
            str(MODULES),
            simulator.base_url,
            key,
            json.dumps(more),
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate()
    told: dict[str, Any] = json.loads(out)
    return told


@pytest.mark.parametrize(
    ("wire", "flat", "nested"), [("flat", True, False), ("extra_body", False, True), ("both", True, True)]
)
async def test_both_habits_of_the_sdk_are_told_apart(wire: Wire, flat: bool, nested: bool) -> None:
    """Measured: it sends what it is given as it is, so the document's ``extra_body`` arrives literally."""
    settings = SimulatorSettings(scale=8, keys=frozenset({"right"}), wire=wire)
    async with Simulator(settings) as simulator, aiohttp.ClientSession() as session:
        for more, honoured in (({"aspect_ratio": "16:9"}, flat), ({"extra_body": {"aspect_ratio": "16:9"}}, nested)):
            told = await ask(simulator, **more)
            async with session.get(told["url"]) as answer:
                _, (width, height) = shape_of(await answer.read())
            assert (width > height) is honoured


async def test_errors_come_through() -> None:
    async with Simulator(SimulatorSettings(keys=frozenset({"right"}), max_in_flight=1)) as simulator:
        assert await ask(simulator, key="wrong") == {"status": 401, "code": "invalid_api_key"}
        assert (await ask(simulator, prompt="a cat [fault:throttle_retry_after]"))["status"] == 429
        assert (await ask(simulator, aspect_ratio="9:1"))["status"] == 400
