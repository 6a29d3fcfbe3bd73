"""The server of the live page: loopback only, to be read and nothing else, but for a word that stops the run."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Self

import anyio
import anyio.to_thread
from aiohttp import web

from pipeline.errors import FluxbatchError
from pipeline.report.page import FOLDER, Source, joined, live_document, make_one
from pipeline.report.page.joining import policy, scripts, style
from pipeline.watch.feed import Feed
from pipeline.watch.gate import METRICS, Gate, mark

HOST = "127.0.0.1"
#: Seconds that requests under way get when the server ends.
_SHUTDOWN_S = 2.0
_MOST_BYTES = 64 * 1024 * 1024
_TYPES = {".jpeg": "image/jpeg", ".jpg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How long and how much.

    Attributes:
        readers: Pages that are told of changes at the same time; each costs a little of every look.
        heartbeat_s: Silence is broken after that, so that both sides notice when the other has gone.
        linger_s: The most that pages get to fetch the last pictures when the server ends,
        quiet_s: or until nobody has asked for any for so long.
    """

    readers: int = 16
    heartbeat_s: float = 15.0
    linger_s: float = 6.0
    quiet_s: float = 1.2


_USUAL = Bounds()


class Watching:
    """The live page on a socket. ``async with Watching(feed, stop=...) as page`` serves until the block ends.

    Args:
        stop: Asks the run that is on to stop gently; whether it could be asked.
        port: 0 for any free one.
        token: Of the address; None for a new one.
    """

    def __init__(
        self,
        feed: Feed,
        *,
        stop: Callable[[], bool],
        port: int = 0,
        token: str | None = None,
        bounds: Bounds = _USUAL,
    ) -> None:
        self._feed = feed
        self._stop = stop
        self._wanted_port = port
        self._port = 0
        self._gate = Gate(token)
        self._readers = 0
        self._bounds = bounds
        self._asked_at = 0.0
        self._drawing = anyio.CapacityLimiter(2)
        self._counting = anyio.CapacityLimiter(1)
        self._runner: web.AppRunner | None = None

    @property
    def address(self) -> str:
        """The page's own address, with the token that opens it."""
        return f"http://{HOST}:{self._port}/{self._gate.token}/"

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            OSError: The port is taken.
        """
        application = web.Application(middlewares=[self._gate.attend], client_max_size=1024)
        application.on_response_prepare.append(mark)
        router = application.router
        router.add_get("/{token}/", self._get_page, allow_head=False)
        router.add_get("/{token}/events", self._get_events, allow_head=False)
        router.add_get(r"/{token}/picture/{number:\d{1,18}}", self._get_picture, allow_head=False)
        router.add_get(r"/{token}/thumbnail/{sha256:[0-9a-f]{64}}.webp", self._get_thumbnail, allow_head=False)
        router.add_get(METRICS, self._get_metrics, allow_head=False)
        router.add_get(f"/{{token}}{METRICS}", self._get_metrics, allow_head=False)
        router.add_post("/{token}/stop", self._post_stop)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=_SHUTDOWN_S)
        await runner.setup()
        try:
            await web.TCPSite(runner, HOST, self._wanted_port).start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner = runner
        self._port = runner.addresses[0][1]
        self._gate.open(self._port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Tell the pages, and stop."""
        self._feed.end()
        if self._readers:
            self._asked_at = time.monotonic()
            with anyio.move_on_after(self._bounds.linger_s, shield=True):
                while time.monotonic() - self._asked_at < self._bounds.quiet_s:  # noqa: ASYNC110 - it is silence that is waited for
                    await anyio.sleep(self._bounds.quiet_s / 10)
        if self._runner is not None:
            runner, self._runner = self._runner, None
            with anyio.CancelScope(shield=True):
                await runner.cleanup()

    async def _get_page(self, _: web.Request) -> web.Response:
        told = self._feed.page()
        rows = told.pop("rows")
        data = live_document(rows, told, self._feed.places, self._feed.scope)
        text = await anyio.to_thread.run_sync(joined, data)
        rules = policy(style(), scripts(), connect="'self'").replace(" file:", "")
        headers = {"Content-Security-Policy": f"{rules}; frame-ancestors 'none'"}
        return web.Response(text=text, content_type="text/html", headers=headers)

    async def _get_events(self, request: web.Request) -> web.StreamResponse:
        if self._readers >= self._bounds.readers:
            raise web.HTTPServiceUnavailable(text="too many pages are open\n")
        seen = _number(request.headers.get("Last-Event-ID", request.query.get("since", "")))
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        self._readers += 1
        try:
            await answer.prepare(request)
            await self._tell(answer, seen)
        except (ConnectionError, OSError):
            pass  # whoever listened has gone
        finally:
            self._readers -= 1
        return answer

    async def _tell(self, answer: web.StreamResponse, seen: int) -> None:
        feed = self._feed
        seen = seen if seen <= feed.number else 0  # of another server, before this one
        while True:
            number = feed.number
            for name, value in (*feed.since(seen), ("live", feed.live())):
                await answer.write(_event(name, value))
            # The number comes last: whoever loses the connection half way is told all of it again.
            await answer.write(_event("left" if feed.ended else "seen", number, number))
            if feed.ended:
                return
            seen = number
            with anyio.move_on_after(self._bounds.heartbeat_s):
                await feed.news()

    async def _get_picture(self, request: web.Request) -> web.Response:
        picture = self._feed.picture(int(request.match_info["number"]))
        if picture is None:
            raise web.HTTPNotFound
        return await self._sent(picture)

    async def _get_thumbnail(self, request: web.Request) -> web.Response:
        picture = self._feed.picture_of(request.match_info["sha256"])
        if picture is None:
            raise web.HTTPNotFound
        folder = self._feed.places.output / FOLDER
        small = await anyio.to_thread.run_sync(make_one, folder, picture, limiter=self._drawing)
        if small is None:
            raise web.HTTPNotFound
        size = (await anyio.to_thread.run_sync(small.stat)).st_size
        return await self._sent(Source(sha256=picture.sha256, file=small, size_bytes=size))

    async def _sent(self, picture: Source) -> web.Response:
        self._asked_at = time.monotonic()
        kind = _TYPES.get(picture.file.suffix.lower())
        data = None if kind is None else await anyio.to_thread.run_sync(_bytes, picture)
        if data is None or kind is None:
            raise web.HTTPNotFound
        return web.Response(body=data, content_type=kind)

    async def _get_metrics(self, request: web.Request) -> web.Response:
        accept = ", ".join(request.headers.getall("Accept", []))
        ask = partial(self._feed.metrics, accept)
        try:
            told, kind = await anyio.to_thread.run_sync(ask, limiter=self._counting)
        except FluxbatchError as error:  # not there yet, or busy: a scraper that is refused knows that it knows nothing
            raise web.HTTPServiceUnavailable(text="the ledger cannot be read\n") from error
        return web.Response(body=told, headers={"Content-Type": kind})

    async def _post_stop(self, _: web.Request) -> web.Response:
        if self._feed.run_to_stop is None or not self._stop():
            raise web.HTTPConflict(text="no run can be asked\n")
        self._feed.stop_asked()
        return web.Response(status=204)


def _bytes(picture: Source) -> bytes | None:
    """A picture's bytes, if they are as many as were stored."""
    try:
        if picture.file.is_symlink() or not 0 < picture.size_bytes <= _MOST_BYTES:
            return None
        with picture.file.open("rb") as file:
            data = file.read(picture.size_bytes + 1)
    except OSError:
        return None
    return data if len(data) == picture.size_bytes else None


def _event(name: str, value: Any, number: int | None = None) -> bytes:
    """One server-sent event; JSON has no line ends, so that it is one line of data."""
    head = "" if number is None else f"id: {number}\n"
    return f"{head}event: {name}\ndata: {json.dumps(value, ensure_ascii=False)}\n\n".encode()


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
