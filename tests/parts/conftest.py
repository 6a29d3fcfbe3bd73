"""A workspace for each test, and servers that nobody here wrote, started once and only where a test asks for them."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import pytest

from pipeline.simulator import Simulator, SimulatorSettings
from tests.acceptance.conftest import warm, workspace
from tests.acceptance.secrecy import KEY, MARK
from tests.parts.places import UPSTREAM_HOST, free_port, kept_running, node_modules, python, surroundings

__all__ = ["aimock", "litellm", "warm", "workspace"]

#: What each gateway asks its upstream with: not what it is asked with.
UPSTREAM_KEY = "upstream-of-the-gateway"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """A server in front of a provider.

    Attributes:
        base_url: What a client is given.
        upstream_port: Where it expects the provider, at UPSTREAM_HOST.
        root: The address without the path.
    """

    base_url: str
    upstream_port: int
    root: str

    def upstream(self, **settings: Any) -> AbstractAsyncContextManager[Simulator]:
        """The provider that it asks, there as long as the block lasts."""
        usual: dict[str, Any] = {"scale": 16, "signature_mark": MARK, "keys": frozenset({UPSTREAM_KEY})}
        place: dict[str, Any] = {"host": UPSTREAM_HOST, "port": self.upstream_port}
        return Simulator(SimulatorSettings(**usual | place | settings))


def litellm_configuration(upstream: str) -> dict[str, Any]:
    """Both ways in which LiteLLM asks for pictures.

    With a client of its own (``aiml/``) it asks once, and sends what it does not know below a literal ``extra_body``;
    with the SDK (``openai/``) it asks up to three times, and sends that at the top level.
    """
    reached = {"api_base": upstream, "api_key": UPSTREAM_KEY, "timeout": 15}
    return {
        "model_list": [
            {"model_name": "flux-kontext-pro", "litellm_params": {"model": "aiml/flux-kontext-pro", **reached}},
            {"model_name": "flux-kontext-max", "litellm_params": {"model": "openai/flux-kontext-max", **reached}},
        ],
        "general_settings": {"master_key": KEY},
        "router_settings": {"num_retries": 0, "cooldown_time": 1},
        "litellm_settings": {"telemetry": False},
    }


@pytest.fixture(scope="session")
def litellm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """LiteLLM's proxy."""
    program = python()
    folder = tmp_path_factory.mktemp("litellm")
    port, upstream_port = free_port("127.0.0.1"), free_port(UPSTREAM_HOST)
    configuration = folder / "litellm.json"  # which is YAML, too
    configuration.write_text(json.dumps(litellm_configuration(f"http://{UPSTREAM_HOST}:{upstream_port}/v1")))
    root = f"http://127.0.0.1:{port}"
    words = [str(program), str(program.with_name("litellm")), "--config", str(configuration)]
    words += ["--host", "127.0.0.1", "--port", str(port)]
    environment = surroundings(HOME=str(folder), LITELLM_LOCAL_MODEL_COST_MAP="True", LITELLM_LOG="ERROR")
    with kept_running(words, folder=folder, environment=environment, healthy=f"{root}/health/liveliness"):
        yield Gateway(base_url=f"{root}/v1", upstream_port=upstream_port, root=root)


@pytest.fixture(scope="session")
def aimock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """aimock, handing every request on to the provider behind it, and spoiling some when told to."""
    program = node_modules() / "@copilotkit" / "aimock" / "dist" / "cli.js"
    folder = tmp_path_factory.mktemp("aimock")
    (folder / "fixtures").mkdir()
    port, upstream_port = free_port("127.0.0.1"), free_port(UPSTREAM_HOST)
    root, upstream = f"http://127.0.0.1:{port}", f"http://{UPSTREAM_HOST}:{upstream_port}"
    words = ["node", str(program), "--host", "127.0.0.1", "--port", str(port)]
    words += ["--fixtures", str(folder / "fixtures")]
    words += ["--proxy-only", "--provider-openai", upstream, "--log-level", "warn"]
    environment = surroundings(HOME=str(folder))
    with kept_running(words, folder=folder, environment=environment, healthy=f"{root}/health"):
        yield Gateway(base_url=f"{root}/v1", upstream_port=upstream_port, root=root)


Point = Callable[..., None]


@pytest.fixture
def through(workspace: Any) -> Point:
    """Let the workspace's commands find a gateway as people point them at one."""

    def point(gateway: Gateway, key: str = KEY) -> None:
        workspace.environment |= {"FLUXBATCH_BASE_URL": gateway.base_url, "FLUXBATCH_API_KEY": key}

    return point
