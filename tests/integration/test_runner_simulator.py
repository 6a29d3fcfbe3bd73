"""The simulator that is started for the length of a run."""

import anyio
import pytest

from pipeline.catalog import profiles
from pipeline.runner.endpoint import open_endpoint


async def test_a_simulator_lives_as_long_as_the_run() -> None:
    with anyio.fail_after(10):
        async with open_endpoint(profiles()["simulator"], {}) as endpoint:
            assert endpoint.api_key is None
            host, _, port = endpoint.base_url.removeprefix("http://").removesuffix("/v1").partition(":")
            assert host == "127.0.0.1"
            stream = await anyio.connect_tcp(host, int(port))
            await stream.aclose()

        with pytest.raises(OSError, match=r"attempts failed|refused"):
            await anyio.connect_tcp(host, int(port))
