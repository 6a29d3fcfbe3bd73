"""Inputs from URLs, by the installed command: what is waited for is told, on the right stream."""

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator

import anyio
import pytest
from aiohttp import web
from PIL import Image

from pipeline.simulator import Simulator
from tests.acceptance.stage import PATIENCE_S, Workspace


@contextlib.asynccontextmanager
async def slow_site(released: asyncio.Event) -> AsyncIterator[str]:
    """A host of a picture that comes when it is released; ``HOST:PORT``."""
    body = io.BytesIO()
    Image.new("RGB", (24, 16), "red").save(body, "PNG")

    async def get(_: web.Request) -> web.Response:
        await released.wait()
        return web.Response(body=body.getvalue())

    application = web.Application()
    application.router.add_get("/{name}", get)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        released.set()
        await runner.cleanup()


@pytest.mark.parametrize("words", [("plan",), ("run", "--no-report")])
async def test_a_slow_input_is_told_of_on_standard_error(
    workspace: Workspace, simulator: Simulator, words: tuple[str, ...]
) -> None:
    released = asyncio.Event()
    with anyio.fail_after(PATIENCE_S):
        async with slow_site(released) as host:
            manifest = workspace.manifest(
                {"prompt": "Slow", "images": [f"http://{host}/a.png?sig=1"]},
                provider={"profile": "apiyi", "allow_hosts": [host]},
                limits={"budget_usd": 1},
            )
            async with workspace.started(*words, "--json", manifest) as running:
                line = await running.hears("waiting for an input image, at most 120 s")
                assert line.rstrip().endswith(f": http://{host}/a.png")
                released.set()
                ended = await running.end()
    assert ended.code == 0, ended.err
    told = json.loads(ended.out)
    assert (told["new"] if words == ("plan",) else told["stored"]) == 1
    assert "waiting for an input" not in ended.err
    assert simulator.bill.requests == (words != ("plan",))
