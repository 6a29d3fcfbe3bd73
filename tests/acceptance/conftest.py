"""A workspace and a provider for each acceptance test."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from pipeline.simulator import Simulator, SimulatorSettings
from tests.acceptance.secrecy import MARK
from tests.acceptance.stage import Workspace
from tests.acceptance.warm import Warm, warmed

Simulate = Callable[..., Awaitable[Simulator]]


@pytest.fixture(scope="session")
def warm() -> Iterator[Warm]:
    """A process that becomes one command after the other."""
    with warmed() as ready:
        yield ready


@pytest.fixture
def workspace(tmp_path: Path, warm: Warm) -> Iterator[Workspace]:
    """A folder to work in; at the end, no secret may be found in it, or in what its commands told."""
    made = Workspace(tmp_path, warm)
    yield made
    made.assert_secrets_kept()


@pytest.fixture
async def simulate(workspace: Workspace) -> AsyncIterator[Simulate]:
    """Start a provider with these settings, and let the workspace's commands find it."""
    async with AsyncExitStack() as stack:

        async def start(**settings: Any) -> Simulator:
            usual: dict[str, Any] = {"scale": 16, "signature_mark": MARK}
            made = Simulator(SimulatorSettings(**usual | settings))
            simulator = await stack.enter_async_context(made)
            workspace.use(simulator)
            return simulator

        yield start


@pytest.fixture
async def simulator(simulate: Simulate) -> Simulator:
    """A patient provider."""
    return await simulate()
