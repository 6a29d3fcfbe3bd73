"""LiteLLM's proxy between this program and the simulator: pictures, refusals, limits and keys come through it."""

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest

from pipeline.simulator import Simulator, SimulatorSettings
from tests.acceptance.stage import Workspace, assert_proven
from tests.acceptance.warm import Warm, warmed

PROXY = Path(__file__).parents[2] / ".venv-foreign" / "litellm" / "bin" / "litellm"
MASTER = "sk-proxy-12345678"
UPSTREAM = "sk-upstream-12345678"
#: It takes twenty seconds to start on a machine with nothing else to do.
STARTS_S = 180.0

pytestmark = pytest.mark.skipif(not PROXY.is_file(), reason="no LiteLLM here: make foreign installs it")


@pytest.fixture
def warm() -> Iterator[Warm]:
    with warmed() as ready:
        yield ready


def _free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


@asynccontextmanager
async def proxy(simulator: Simulator, folder: Path) -> AsyncIterator[str]:
    """The proxy, in front of a simulator; its base URL."""
    port = _free_port()
    model = {"model": "openai/flux-kontext-pro", "api_base": simulator.base_url, "api_key": UPSTREAM}
    written = {
        "model_list": [{"model_name": "flux-kontext-pro", "litellm_params": model}],
        "general_settings": {"master_key": MASTER},
        "litellm_settings": {"num_retries": 0, "telemetry": False},
        "router_settings": {"num_retries": 0, "disable_cooldowns": True},
    }
    config = folder / "litellm.yaml"
    config.write_text(json.dumps(written))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FLUXBATCH_", "COVERAGE_"))}
    with (folder / "litellm.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            str(PROXY),
            "--config",
            str(config),
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            cwd=folder,
            env=kept | {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "NO_PROXY": "*"},
            stdout=log,
            stderr=log,
        )
    try:
        with anyio.fail_after(STARTS_S):
            await _until_alive(f"http://127.0.0.1:{port}/health/liveliness", process)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _until_alive(url: str, process: asyncio.subprocess.Process) -> None:
    async with aiohttp.ClientSession() as session:
        while process.returncode is None:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(url) as answer:
                    if answer.status == 200:
                        return
            await anyio.sleep(0.2)
    raise AssertionError("the proxy has ended")


async def test_this_program_buys_through_a_proxy_that_nobody_here_wrote(tmp_path: Path, warm: Warm) -> None:
    settings = SimulatorSettings(scale=16, keys=frozenset({UPSTREAM}), max_in_flight=2, latency_s=0.05)
    async with Simulator(settings) as simulator, proxy(simulator, tmp_path) as base_url:
        host = simulator.base_url.split("/")[2]
        provider: dict[str, Any] = {
            "profile": "openai-compatible",
            "base_url": base_url,
            "api_key_env": "PROXY_KEY",
            "prices": {"flux-kontext-pro": "0.035"},
            "allow_hosts": [host],  # the URL is still the upstream's
        }
        workspace = Workspace(tmp_path, warm)
        workspace.environment = {"PROXY_KEY": MASTER}
        prompts = [*(f"Boat {number}" for number in range(6)), "Moderated [fault:moderated]", "Bad [fault:invalid]"]
        manifest = workspace.manifest(
            *([prompt, "16:9"] for prompt in prompts), provider=provider, limits={"concurrency": 6}
        )
        ended = await workspace.run(manifest)
        assert workspace.states() == {"stored": 6, "failed": 2}, ended.err
        assert ended.code == 3, ended.err
        assert simulator.bill.pictures == 6, "what the proxy throttled was asked for again, and paid once"
        for row in workspace.rows():
            if row.state == "stored":
                assert_proven(workspace, row)
                assert row.verdict == "ok", "aspect_ratio passes flat"
        workspace.environment = {"PROXY_KEY": "sk-wrong-12345678"}
        refused = await workspace.run(workspace.manifest("Another", provider=provider, file="other.yaml"))
        assert refused.code == 77, refused.err
        assert simulator.bill.pictures == 6
