"""The API session against raw sockets: what is known about a request when its exchange breaks, wherever it breaks."""

import asyncio
import contextlib
import gzip
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import pytest

from pipeline.transport import MAX_BODY_BYTES, ApiResponse, ApiTimeouts, ApiTransport, LostError, NeverSentError
from pipeline.transport.api import KEPT_S
from pipeline.transport.faults import TransportError

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
KEY = "sk-0123456789"
SHORT = ApiTimeouts(connect_s=0.3, first_byte_s=0.3, chunk_s=0.2, body_s=2)
OK = b"HTTP/1.1 200 OK\r\n"


class RawServer:
    """Accepts on loopback and lets a handler misbehave; counts connections and keeps what was sent."""

    def __init__(self, handle: Handler) -> None:
        self.handle = handle
        self.requests: list[bytes] = []
        self.connections = 0
        self.port = 0
        self._tasks: list[asyncio.Task[None]] = []

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._tasks.append(asyncio.create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self.handle(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def _serving(handle: Handler) -> AsyncIterator[RawServer]:
    server = RawServer(handle)
    listener = await asyncio.start_server(server.accept, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        async with listener:
            yield server
    finally:
        await server.stop()


async def _request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    return head + await reader.readexactly(length)


def _answering(*pieces: bytes, then_hang: bool = False) -> Handler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _request(reader)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        if then_hang:
            await reader.read()

    return handle


def _reset(writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _post(base_url: str, *, key: str | None = KEY, timeouts: ApiTimeouts = SHORT) -> ApiResponse:
    with anyio.fail_after(10):
        async with ApiTransport(base_url=base_url, api_key=key) as transport:
            return await transport.post_json("/images/generations", {"prompt": "ein Käfer"}, timeouts=timeouts)


async def _post_to(handle: Handler, *, timeouts: ApiTimeouts = SHORT) -> ApiResponse:
    async with _serving(handle) as server:
        return await _post(f"http://127.0.0.1:{server.port}/v1", timeouts=timeouts)


async def test_a_request_carries_the_key_the_document_and_nothing_else_of_ours() -> None:
    seen: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await _request(reader))
        writer.write(OK + b"Content-Length: 2\r\nSet-Cookie: a=b\r\nX-Twice: 1\r\nX-Twice: 2\r\n\r\n{}")

    response = await _post_to(handle)
    head, _, body = seen[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /v1/images/generations HTTP/1.1"
    assert {line.split(":")[0] for line in lines[1:]} == {
        *("Host", "User-Agent", "Accept-Encoding", "Authorization", "Content-Type", "Accept", "Content-Length"),
    }
    assert {"Accept-Encoding: identity", f"Authorization: Bearer {KEY}"} <= set(lines)
    assert json.loads(body) == {"prompt": "ein Käfer"}
    assert (response.status, response.body, response.complete) == (200, b"{}", True)
    assert response.headers["x-twice"] == "1, 2"


async def test_without_a_key_there_is_no_authorization() -> None:
    seen: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await _request(reader))
        writer.write(OK + b"Content-Length: 0\r\n\r\n")

    async with _serving(handle) as server:
        await _post(f"http://127.0.0.1:{server.port}/v1", key=None)
    assert b"authorization" not in seen[0].lower()


async def test_a_redirect_is_an_answer_and_the_paid_body_is_not_sent_again() -> None:
    async with _serving(_answering(OK)) as elsewhere:
        location = f"http://127.0.0.1:{elsewhere.port}/v1".encode()
        head = b"HTTP/1.1 307 Temporary Redirect\r\nLocation: " + location + b"\r\nContent-Length: 0\r\n\r\n"
        response = await _post_to(_answering(head))
        assert (response.status, elsewhere.connections) == (307, 0)


async def test_more_may_be_under_way_than_a_connector_usually_allows() -> None:
    everybody = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _request(reader)
        if server.connections == 120:
            everybody.set()
        await everybody.wait()
        writer.write(OK + b"Content-Length: 2\r\n\r\n{}")

    async with _serving(handle) as server:
        with anyio.fail_after(10):
            async with ApiTransport(base_url=f"http://127.0.0.1:{server.port}", api_key=KEY) as transport:
                await asyncio.gather(*(transport.post_json("/x", {}, timeouts=ApiTimeouts()) for _ in range(120)))
        assert server.connections == 120


# --- never sent --------------------------------------------------------------------------------------------------


async def _hang_before_tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def _plain_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100)
    writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


async def test_a_refused_connection_was_never_sent() -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        with pytest.raises(NeverSentError) as caught:
            await _post(f"http://127.0.0.1:{unheard.getsockname()[1]}/v1")
    assert caught.value.kind == "connect"


async def test_a_name_that_does_not_resolve_was_never_sent() -> None:
    with pytest.raises(NeverSentError) as caught:
        await _post("https://nowhere.invalid/v1", timeouts=ApiTimeouts(connect_s=5))
    assert caught.value.kind == "dns"


async def test_a_name_that_cannot_be_a_name_was_never_sent() -> None:
    with pytest.raises(NeverSentError) as caught:
        await _post(f"https://{'a' * 70}.invalid/v1")
    assert caught.value.kind == "bad_url"


async def test_tls_to_a_plain_port_was_never_sent() -> None:
    async with _serving(_plain_http) as server:
        with pytest.raises(NeverSentError) as caught:
            await _post(f"https://127.0.0.1:{server.port}/v1")
    assert caught.value.kind == "tls"


async def test_a_handshake_that_never_ends_was_never_sent() -> None:
    async with _serving(_hang_before_tls) as server:
        with pytest.raises(NeverSentError) as caught:
            await _post(f"https://127.0.0.1:{server.port}/v1")
    assert caught.value.kind == "connect_timeout"


async def test_a_full_backlog_was_never_sent() -> None:
    """Nobody accepts, and the backlog is full, so the connection itself never comes about."""
    with socket.socket() as server, contextlib.ExitStack() as waiting:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(3):
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        with pytest.raises(NeverSentError) as caught:
            await _post(f"http://127.0.0.1:{server.getsockname()[1]}/v1")
    assert caught.value.kind == "connect_timeout"


async def test_a_transport_that_is_not_open_says_so() -> None:
    with pytest.raises(RuntimeError, match="context manager"):
        await ApiTransport(base_url="https://h", api_key=None).post_json("/x", {}, timeouts=SHORT)


# --- lost --------------------------------------------------------------------------------------------------------


async def _reset_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    _reset(writer)


async def _reset_after_the_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await _request(reader)
    _reset(writer)


async def _close_after_the_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await _request(reader)


async def _half_a_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await _request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Le")


@pytest.mark.parametrize(
    "handle",
    [_reset_at_once, _reset_after_the_request, _close_after_the_request, _half_a_head],
)
async def test_a_connection_that_breaks_once_it_was_made_is_a_lost_answer(handle: Handler) -> None:
    with pytest.raises(LostError) as caught:
        await _post_to(handle)
    assert caught.value.kind == "disconnected"


async def test_an_answer_that_never_comes_is_lost() -> None:
    with pytest.raises(LostError) as caught:
        await _post_to(_answering(then_hang=True))
    assert caught.value.kind == "timeout"


async def test_the_wait_for_the_first_byte_counts_from_the_connection() -> None:
    """What connecting left over of its own time is not added to it."""
    with anyio.fail_after(5), pytest.raises(LostError):
        await _post_to(_answering(then_hang=True), timeouts=ApiTimeouts(connect_s=60, first_byte_s=0.1))


async def test_headers_that_never_end_are_a_lost_answer() -> None:
    with pytest.raises(LostError) as caught:
        await _post_to(_answering(OK + b"X-A: b\r\n", then_hang=True))
    assert caught.value.kind == "timeout"


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/9.9.9 200 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"{}\r\n\r\n",
        OK + b"no colon here\r\n\r\n",
        OK + b"Content-Length: minus one\r\n\r\n{}",
        OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    ],
)
async def test_a_malformed_200_is_lost_whatever_status_the_library_gives_it(head: bytes) -> None:
    """It raises an error with status 400, which would pass for an unbilled refusal."""
    with pytest.raises(LostError) as caught:
        await _post_to(_answering(head))
    assert caught.value.kind == "malformed"


async def test_a_request_that_is_too_large_for_a_server_that_goes_away_is_lost() -> None:
    async with _serving(_reset_at_once) as server:
        with anyio.fail_after(10), pytest.raises(LostError):
            async with ApiTransport(base_url=f"http://127.0.0.1:{server.port}", api_key=KEY) as transport:
                await transport.post_json("/x", {"input_image": "A" * 20_000_000}, timeouts=SHORT)


# --- bodies ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pieces",
    [
        (OK + b"Content-Length: 99\r\n\r\n", b'{"data"'),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n", b'7\r\n{"data"\r\n'),
    ],
)
@pytest.mark.parametrize("then_hang", [False, True])
async def test_of_a_body_without_its_end_what_came_is_kept(pieces: tuple[bytes, ...], then_hang: bool) -> None:
    response = await _post_to(_answering(*pieces, then_hang=then_hang))
    assert (response.status, response.body, response.complete) == (200, b'{"data"', False)


async def test_garbage_between_chunks_ends_a_body() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _request(reader)
        writer.write(OK + b'Transfer-Encoding: chunked\r\n\r\n7\r\n{"data"\r\n')
        with anyio.move_on_after(0.1):
            await reader.read()
        writer.write(b"zz\r\n")
        await reader.read()

    response = await _post_to(handle)
    assert (response.body, response.complete) == (b'{"data"', False)


async def test_a_whole_document_whose_end_marker_is_late_is_kept_and_its_time_told() -> None:
    pieces = (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"2\r\n{}\r\n")
    response = await _post_to(_answering(*pieces, then_hang=True))
    assert (response.body, response.complete) == (b"{}", False)
    assert 0.1 < response.reading_s < 2


async def test_a_body_that_ends_with_its_connection_is_whole_as_far_as_can_be_told() -> None:
    response = await _post_to(_answering(OK + b"\r\n", b"{}"))
    assert (response.body, response.complete) == (b"{}", True)


async def test_a_trickle_ends() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _request(reader)
        writer.write(OK + b"Content-Length: 1000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b" ")
            with anyio.move_on_after(0.02):
                await reader.read()

    response = await _post_to(handle, timeouts=ApiTimeouts(connect_s=1, first_byte_s=1, chunk_s=1, body_s=0.2))
    assert not response.complete
    assert response.body.strip() == b""


async def test_a_body_without_end_is_cut_at_the_cap() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _request(reader)
        writer.write(OK + b"\r\n")
        with contextlib.suppress(OSError):
            while True:
                writer.write(bytes(1 << 20))
                await writer.drain()

    response = await _post_to(handle, timeouts=ApiTimeouts())
    assert (len(response.body), response.complete) == (MAX_BODY_BYTES, False)


async def test_a_body_packed_against_our_wish_is_unpacked() -> None:
    packed = gzip.compress(b'{"data": []}')
    head = OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    response = await _post_to(_answering(head, packed))
    assert (response.body, response.complete) == (b'{"data": []}', True)


async def test_the_key_is_blotted_out_of_an_answer_that_repeats_it() -> None:
    body = f'{{"message": "bad key {KEY}"}}'.encode()
    response = await _post_to(_answering(b"HTTP/1.1 401 No\r\nContent-Length: %d\r\n\r\n" % len(body), body))
    assert response.body == b'{"message": "bad key [key]"}'


async def test_a_header_longer_than_the_librarys_own_limit_does_not_lose_an_answer() -> None:
    response = await _post_to(_answering(OK + b"X-Long: " + b"x" * 30_000 + b"\r\nContent-Length: 2\r\n\r\n{}"))
    assert response.body == b"{}"


async def test_leaving_early_leaves_nothing_open() -> None:
    async with _serving(_answering(then_hang=True)) as server:
        with anyio.move_on_after(0.1) as scope:
            await _post(f"http://127.0.0.1:{server.port}/v1", timeouts=ApiTimeouts())
        assert scope.cancelled_caught


@pytest.mark.parametrize("handle", [_reset_after_the_request, _half_a_head, _answering(b"{}\r\n\r\n")])
async def test_no_error_shows_the_key(handle: Handler) -> None:
    with pytest.raises(TransportError) as caught:
        await _post_to(handle)
    error = caught.value
    assert KEY not in f"{error}{error!r}"
    assert error.__suppress_context__, "a printed traceback would show the library's own words"
    assert error.__cause__ is None


# --- one connection after another ---------------------------------------------------------------------------------


def _answers(*, close_after: int = 100, reset_at: int = 100, twice: bool = False) -> Handler:
    """Answers on one connection with the number of the request.

    Args:
        close_after: How many answers a connection has.
        reset_at: The request that is answered by a reset.
        twice: Each answer comes once more when it has been read.
    """

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number in range(1, close_after + 1):
            request = await _request(reader)
            if number == reset_at:
                _reset(writer)
                return
            answer = OK + b"Content-Length: 14\r\n\r\n" + request[-14:]
            writer.write(answer)
            if twice:
                await asyncio.sleep(0.05)
                writer.write(answer)
            await writer.drain()

    return handle


async def _posts(server: RawServer, *waits_s: float) -> None:
    """Post a numbered document, and one more after each wait."""
    with anyio.fail_after(30):
        async with ApiTransport(base_url=f"http://127.0.0.1:{server.port}/v1", api_key=KEY) as transport:
            for number, wait_s in enumerate((0.0, *waits_s)):
                await anyio.sleep(wait_s)
                asked = {"number": 100 + number}
                answer = await transport.post_json("/x", asked, timeouts=ApiTimeouts())
                assert answer.status == 200
                assert json.dumps(asked)[-14:].encode() == answer.body


async def test_a_connection_is_used_again_at_once() -> None:
    async with _serving(_answers()) as server:
        await _posts(server, 0, 0, 0)
    assert server.connections == 1


async def test_a_connection_that_was_idle_is_not_trusted() -> None:
    """A server may be closing it just then, and a request sent into that would be an answer lost."""
    async with _serving(_answers()) as server:
        await _posts(server, KEPT_S + 0.2)
    assert server.connections == 2


async def test_a_connection_that_the_server_closed_is_not_used_again() -> None:
    async with _serving(_answers(close_after=1)) as server:
        await _posts(server, 0.1, 0.1)
    assert server.connections == 3


async def test_a_request_lost_on_a_used_connection_is_not_sent_again() -> None:
    async with _serving(_answers(reset_at=2)) as server:
        with pytest.raises(LostError):
            await _posts(server, 0)
        await anyio.sleep(0.05)
    assert server.connections == 1


async def test_what_nobody_asked_for_is_not_taken_for_the_next_answer() -> None:
    async with _serving(_answers(twice=True)) as server:
        await _posts(server, 0.2, 0.2)
    assert server.connections == 3
