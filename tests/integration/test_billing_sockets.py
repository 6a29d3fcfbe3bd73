"""The provider's log over real sockets: what a hostile, broken or wrong one can do, and who never gets the token."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit

import anyio
import pytest

from pipeline.catalog import ProviderLog
from pipeline.errors import ConfigurationError, FluxbatchError, KeyRefusedError, ProviderUnavailableError
from pipeline.provider import Billed, BillingLog
from pipeline.transport import MAX_LOOKUP_BYTES, ApiTimeouts, LookupTransport, TransportError

TOKEN = "log-canary-7d1c4e"
TIMEOUTS = ApiTimeouts(connect_s=10, first_byte_s=10, chunk_s=10, body_s=20)
Reply = Callable[[dict[str, str], asyncio.StreamWriter], Awaitable[None]]


class FakeClock:
    def monotonic(self) -> float:
        return 0.0

    def wall(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


class Server:
    """Answers each connection's one request as it is told; keeps what was asked."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.requests: list[str] = []
        self.port = 0
        self._tasks: list[asyncio.Task[None]] = []

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.append(asyncio.create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                self.requests.append(head)
                query = parse_qs(urlsplit(head.split()[1]).query)
                await self.reply({name: values[0] for name, values in query.items()}, writer)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def serving(reply: Reply) -> AsyncIterator[Server]:
    server = Server(reply)
    listener = await asyncio.start_server(server.accept, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        await server.stop()  # first: from Python 3.12 on a listener waits for its connections
        await listener.wait_closed()


def answering(body: bytes, *, status: str = "200 OK", headers: str = "") -> Reply:
    async def reply(_: dict[str, str], writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n{headers}\r\n"
        writer.write(head.encode() + body)
        await writer.drain()

    return reply


def paging(count: int, *, form: str) -> Reply:
    """Ten a page, from page 0 in a list, from page 1 as items."""
    entries = [
        {"id": n, "created_at": 1000 + n, "type": 2, "quota": 17_500, "model_name": "m"} for n in range(count, 0, -1)
    ]

    async def reply(query: dict[str, str], writer: asyncio.StreamWriter) -> None:
        first = 0 if form == "list" else 1
        start = (max(int(query["p"]), first) - first) * 10
        page = entries[start : start + 10]
        data = page if form == "list" else {"items": page, "total": count}
        await answering(json.dumps({"success": True, "data": data}).encode())(query, writer)

    return reply


def looking(server: Server, timeouts: ApiTimeouts) -> LookupTransport:
    return LookupTransport(base_url=f"http://127.0.0.1:{server.port}/v1", token=TOKEN, timeouts=timeouts)


async def read(base_url: str, *, user: str = "") -> list[Billed]:
    with anyio.fail_after(30):
        headers = {"New-Api-User": user} if user else {}
        async with LookupTransport(base_url=base_url, token=TOKEN, headers=headers, timeouts=TIMEOUTS) as transport:
            return await BillingLog(transport, log=ProviderLog(), clock=FakeClock()).read(since=0, until=10_000)


async def refused(reply: Reply) -> FluxbatchError:
    """Read a log that is none; the error, which does not hold the token."""
    async with serving(reply) as server:
        with pytest.raises(FluxbatchError) as caught:
            await read(f"http://127.0.0.1:{server.port}/v1")
    assert TOKEN not in str(caught.value)
    assert TOKEN not in repr(caught.value)
    assert TOKEN not in repr(caught.value.__cause__)
    return caught.value


@pytest.mark.parametrize("form", ["list", "items"])
async def test_a_log_of_several_pages_is_read_whole(form: str) -> None:
    async with serving(paging(34, form=form)) as server:
        found = await read(f"http://127.0.0.1:{server.port}/v1", user="17")
    assert [each.at for each in found] == list(range(1001, 1035))
    head = server.requests[0]
    assert head.startswith("GET /api/log/self?p=0&page_size=10&type=2&start_timestamp=0&end_timestamp=10000 ")
    assert f"\r\nAuthorization: {TOKEN}\r\n" in head
    assert "\r\nNew-Api-User: 17\r\n" in head


async def test_a_log_is_below_the_origin_whatever_the_base_url_is_below() -> None:
    async with serving(paging(0, form="list")) as server:
        await read(f"http://127.0.0.1:{server.port}/some/where/v1")
    assert server.requests[0].startswith("GET /api/log/self?")
    assert "New-Api-User" not in server.requests[0]


async def test_a_refused_token_is_told_and_not_shown() -> None:
    body = json.dumps({"success": False, "message": f"the access token {TOKEN} is invalid"}).encode()
    for status in ("401 Unauthorized", "200 OK"):
        error = await refused(answering(body, status=status))
        assert isinstance(error, KeyRefusedError)
        assert "[key]" in error.message


async def test_a_redirect_is_not_followed_with_the_token() -> None:
    async with serving(answering(b"{}")) as elsewhere:
        headers = f"Location: http://127.0.0.1:{elsewhere.port}/api/log/self\r\n"
        error = await refused(answering(b"", status="302 Found", headers=headers))
    assert isinstance(error, ProviderUnavailableError)
    assert elsewhere.requests == []


async def test_a_body_without_end_is_left() -> None:
    sent = 0

    async def flood(_: dict[str, str], writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n[")
        while True:
            writer.write(b" " * 65_536)
            await writer.drain()
            sent += 65_536

    error = await refused(flood)
    assert "too long" in error.message
    assert sent < 3 * 8 * MAX_LOOKUP_BYTES  # three tries; the sockets' own buffers hold some, too


async def test_a_trickle_and_silence_end() -> None:
    async def trickle(_: dict[str, str], writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.1)

    async def silence(_: dict[str, str], writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    short = ApiTimeouts(connect_s=3, first_byte_s=0.5, chunk_s=5, body_s=0.5)
    with anyio.fail_after(30):
        async with serving(trickle) as server, looking(server, short) as transport:
            assert not (await transport.get("/", {})).complete
        async with serving(silence) as server, looking(server, short) as transport:
            with pytest.raises(TransportError, match="nothing came in time"):
                await transport.get("/", {})


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (answering(b"<!doctype html><title>console</title>"), "not JSON"),
        (answering(b'{"success": false, "message": "database is locked"}'), "database is locked"),
        (answering(b'{"success": true, "data": [{"id": 1}]}'), "every page of it is the same"),
        (answering(b"<h1>Bad Gateway</h1>", status="502 Bad Gateway"), "HTTP 502"),
    ],
)
async def test_what_is_no_log_is_refused(reply: Reply, words: str) -> None:
    error = await refused(reply)
    assert isinstance(error, ProviderUnavailableError)
    assert words in error.message


async def test_no_such_path_is_a_setting() -> None:
    assert isinstance(await refused(answering(b"404", status="404 Not Found")), ConfigurationError)


@pytest.mark.parametrize("base_url", ["http://gateway.test/v1", "https://user:pass@gateway.test/v1", "gateway"])
async def test_a_token_goes_nowhere_in_the_clear(base_url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        await read(base_url)
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("token", ["a token", "token\r\nX-Injected: 1", "tök"])
def test_a_token_that_cannot_be_one_is_refused_without_being_shown(token: str) -> None:
    with pytest.raises(ConfigurationError, match="the log token has characters") as caught:
        LookupTransport(base_url="https://gateway.test/v1", token=token)
    assert token not in str(caught.value)


async def test_a_transport_shows_neither_its_token_nor_works_before_it_is_open() -> None:
    transport = LookupTransport(base_url="https://gateway.test/v1", token=TOKEN)
    assert repr(transport) == "LookupTransport(gateway.test:443)"
    with pytest.raises(RuntimeError, match="not open"):
        await transport.get("/api/log/self", {})


async def test_nobody_there_is_told_by_host() -> None:
    async with serving(answering(b"{}")) as server:
        port = server.port
    with pytest.raises(ProviderUnavailableError, match="cannot connect"):
        await read(f"http://127.0.0.1:{port}/v1")
    async with LookupTransport(base_url=f"http://127.0.0.1:{port}/v1", token=TOKEN) as transport:
        with pytest.raises(TransportError):
            await transport.get("/", {})
