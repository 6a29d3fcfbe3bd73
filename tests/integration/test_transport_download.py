"""The download sessions against real sockets: what they carry, where they may go, and how a body may fail."""

import asyncio
import contextlib
import gzip
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_address

import anyio
import pytest

from pipeline.transport import (
    DownloadTransport,
    ForbiddenAddressError,
    LostError,
    NeverSentError,
    TransportError,
)
from pipeline.transport.guard import guarded_socket

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
PICTURE = b"\x89PNG" * 1000
OK = b"HTTP/1.1 200 OK\r\n"


class RawServer:
    """Accepts on loopback and lets a handler answer each request; counts connections and keeps the requests' heads."""

    def __init__(self, answer: Handler) -> None:
        self.answer = answer
        self.heads: list[bytes] = []
        self.connections = 0
        self.port = 0
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._tasks.append(asyncio.create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, OSError):
                while not writer.is_closing():
                    self.heads.append(await reader.readuntil(b"\r\n\r\n"))
                    await self.answer(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def _serving(answer: Handler) -> AsyncIterator[RawServer]:
    server = RawServer(answer)
    listener = await asyncio.start_server(server.accept, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        async with listener:
            yield server
    finally:
        await server.stop()


def _answering(*pieces: bytes, close: bool = False) -> Handler:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        if close:
            writer.close()

    return answer


def _redirecting(location: str, *, status: int = 302) -> Handler:
    return _answering(f"HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode())


picture = _answering(OK + b"Content-Type: Image/PNG; q=1\r\nContent-Length: 4000\r\n\r\n" + PICTURE)


@asynccontextmanager
async def _open(own_origin: str, *allow_hosts: str) -> AsyncIterator[DownloadTransport]:
    with anyio.fail_after(10):
        async with DownloadTransport(
            own_origin=own_origin, allow_hosts=allow_hosts, connect_s=0.3, read_s=0.2
        ) as transport:
            yield transport


async def _fetch(transport: DownloadTransport, url: str) -> bytes:
    async with transport.get(url) as download:
        return b"".join([chunk async for chunk in download.chunks])


async def test_a_picture_comes_with_what_its_headers_say() -> None:
    async with _serving(picture) as server, _open(server.origin) as transport:
        async with transport.get(f"{server.origin}/x.png?sig=a%2Bb+c") as download:
            body = b"".join([chunk async for chunk in download.chunks])
        assert (download.status, download.length, download.content_type) == (200, 4000, "image/png")
        assert (body, download.headers["content-length"]) == (PICTURE, "4000")
        assert server.heads[0].startswith(b"GET /x.png?sig=a%2Bb+c HTTP/1.1\r\n")


async def test_a_download_carries_no_key_and_no_cookie() -> None:
    answer = _answering(OK + b"Set-Cookie: a=b\r\nContent-Length: 0\r\n\r\n")
    async with _serving(answer) as server, _open(server.origin) as transport:
        for _ in range(2):
            await _fetch(transport, f"{server.origin}/x")
        for head in server.heads:
            names = {line.split(b":")[0] for line in head.split(b"\r\n")[1:] if line}
            assert names == {b"Host", b"User-Agent", b"Accept-Encoding", b"Accept"}
            assert b"Accept-Encoding: identity" in head


async def test_connections_to_one_origin_are_kept_alive() -> None:
    async with _serving(picture) as server, _open(server.origin) as transport:
        for _ in range(3):
            await _fetch(transport, f"{server.origin}/x")
        assert server.connections == 1


async def test_a_body_left_unread_closes_its_connection() -> None:
    async with _serving(picture) as server, _open(server.origin) as transport:
        async with transport.get(f"{server.origin}/x"):
            pass
        assert await _fetch(transport, f"{server.origin}/x") == PICTURE


@pytest.mark.parametrize("status", [404, 403, 410, 500, 304])
async def test_any_status_is_handed_over(status: int) -> None:
    answer = _answering(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n".encode())
    async with (
        _serving(answer) as server,
        _open(server.origin) as transport,
        transport.get(f"{server.origin}/x") as download,
    ):
        assert download.status == status


async def test_a_body_without_a_length_has_none() -> None:
    async with (
        _serving(_answering(OK + b"\r\n" + PICTURE, close=True)) as server,
        _open(server.origin) as transport,
        transport.get(f"{server.origin}/x") as download,
    ):
        assert (download.length, download.content_type) == (None, "")
        assert b"".join([chunk async for chunk in download.chunks]) == PICTURE


async def test_a_packed_body_is_left_packed_and_told() -> None:
    packed = gzip.compress(PICTURE)
    answer = _answering(OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed) + packed)
    async with (
        _serving(answer) as server,
        _open(server.origin) as transport,
        transport.get(f"{server.origin}/x") as download,
    ):
        assert download.headers["content-encoding"] == "gzip"
        assert b"".join([chunk async for chunk in download.chunks]) == packed


# --- failures ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (_answering(OK + b"Content-Length: 4001\r\n\r\n" + PICTURE, close=True), "cut"),
        (_answering(OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n", close=True), "cut"),
        (_answering(OK + b"Content-Length: 4001\r\n\r\n" + PICTURE), "timeout"),
        (_answering(), "timeout"),
        (_answering(b"nonsense\r\n\r\n"), "malformed"),
        (_answering(close=True), "disconnected"),
    ],
)
async def test_a_body_that_fails_is_lost(answer: Handler, kind: str) -> None:
    async with _serving(answer) as server, _open(server.origin) as transport:
        with pytest.raises(LostError) as caught:
            await _fetch(transport, f"{server.origin}/x?sig=SECRET")
    assert caught.value.kind == kind
    assert "SECRET" not in f"{caught.value}{caught.value!r}"


async def test_a_reset_in_the_middle_is_lost() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK + b"Content-Length: 4001\r\n\r\n" + PICTURE)
        await writer.drain()
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async with _serving(answer) as server, _open(server.origin) as transport:
        with pytest.raises(LostError):
            await _fetch(transport, f"{server.origin}/x")


async def test_the_callers_own_error_stays_the_callers() -> None:
    async with _serving(picture) as server, _open(server.origin) as transport:
        with pytest.raises(OSError, match="disk full"):
            async with transport.get(f"{server.origin}/x"):
                raise OSError("disk full")


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("", "bad_url"),
        ("/x.png", "bad_url"),
        ("ftp://h/x", "bad_url"),
        ("file:///etc/passwd", "bad_url"),
        ("https://u:SECRET@h/x", "bad_url"),
        ("https://h:port/?SECRET", "bad_url"),
        (f"https://{'a' * 70}.invalid/?SECRET", "bad_url"),
        ("https://nowhere.invalid/?SECRET", "dns"),
        ("https://127.1/?SECRET", "bad_url"),
    ],
)
async def test_a_url_that_leads_nowhere_was_never_sent(url: str, kind: str) -> None:
    async with _open("https://api.example/v1") as transport:
        with pytest.raises(NeverSentError) as caught:
            await _fetch(transport, url)
    assert caught.value.kind == kind
    assert "SECRET" not in f"{caught.value}{caught.value!r}"


async def test_a_transport_that_is_not_open_says_so() -> None:
    with pytest.raises(RuntimeError, match="context manager"):
        await _fetch(DownloadTransport(own_origin="https://h"), "https://h/x")


# --- redirects ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ["/there", "there", "{origin}/there"])
async def test_a_redirect_is_followed(status: int, location: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        moved = server.heads[-1].startswith(b"GET /there ")
        target = location.format(origin=server.origin)
        await (picture if moved else _redirecting(target, status=status))(reader, writer)

    async with _serving(answer) as server, _open(server.origin) as transport:
        assert await _fetch(transport, f"{server.origin}/here") == PICTURE


async def _chain(allowed: int) -> bytes:
    """Follow a chain of that many redirects."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        done = len(server.heads) > allowed
        await (picture if done else _redirecting("/again"))(reader, writer)

    async with _serving(answer) as server, _open(server.origin) as transport:
        return await _fetch(transport, f"{server.origin}/x")


async def test_three_redirects_are_followed() -> None:
    assert await _chain(3) == PICTURE


async def test_a_fourth_is_not() -> None:
    with pytest.raises(LostError) as caught:
        await _chain(4)
    assert caught.value.kind == "redirects"


async def test_a_redirect_without_a_location_is_handed_over() -> None:
    answer = _answering(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n")
    async with (
        _serving(answer) as server,
        _open(server.origin) as transport,
        transport.get(f"{server.origin}/x") as download,
    ):
        assert download.status == 302


@pytest.mark.parametrize("location", ["ftp://h/x", "https://[::1/x", "file:///etc/passwd", "https://u:p@h/"])
async def test_a_redirect_to_what_is_not_a_url_is_refused(location: str) -> None:
    async with _serving(_redirecting(location)) as server, _open(server.origin) as transport:
        with pytest.raises(NeverSentError) as caught:
            await _fetch(transport, f"{server.origin}/x")
    assert caught.value.kind == "bad_url"


# --- the guard ---------------------------------------------------------------------------------------------------

#: Each leads to a server on this machine's loopback, if nothing stops it; ``{p}`` is its port.
FORMS = [
    "127.0.0.1:{p}",
    "127.0.0.1.:{p}",
    "localhost:{p}",
    "localhost.:{p}",
    "LOCALHOST:{p}",
    "127.1:{p}",
    "127.0.1:{p}",
    "127.127.127.127:{p}",
    "0:{p}",
    "0.0.0.0:{p}",
    "2130706433:{p}",
    "0x7f000001:{p}",
    "0x7f.0.0.1:{p}",
    "0177.0.0.1:{p}",
    "017700000001:{p}",
    "127.0.0.1%2f@h:{p}",
    "①②⑦.⓪.⓪.①:{p}",
    "①②⑦.0.0.1:{p}",
    "127。0。0。1:{p}",
    "127.0.0.1:{p}",
    "ｌｏｃａｌｈｏｓｔ:{p}",
    "[::1]:{p}",
    "[0:0:0:0:0:0:0:1]:{p}",
    "[::]:{p}",
    "[::ffff:127.0.0.1]:{p}",
    "[::ffff:7f00:1]:{p}",
    "[::ffff:0.0.0.0]:{p}",
    "[0:0:0:0:0:ffff:127.0.0.1]:{p}",
    "[::127.0.0.1]:{p}",
    "[::ffff:0:127.0.0.1]:{p}",
    "[64:ff9b::127.0.0.1]:{p}",
    "[64:ff9b:1::127.0.0.1]:{p}",
    "[2002:7f00:1::]:{p}",
    "[2001:0:7f00:1::]:{p}",
    "[fe80::1%25lo]:{p}",
    "[::1%25lo]:{p}",
    "[fec0::1]:{p}",
    "user@127.0.0.1:{p}",
    "h\\@127.0.0.1:{p}",
    "127.0.0.1:{p}#@h",
]


@asynccontextmanager
async def _canary() -> AsyncIterator[RawServer]:
    """Must see no connection, on IPv4 nor, where this machine has it, on IPv6."""
    async with _serving(picture) as server:
        with contextlib.suppress(OSError):
            both = await asyncio.start_server(server.accept, "::1", server.port)
            async with both:
                yield server
                return
        yield server


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("scheme", ["https", "http"])
async def test_no_form_of_a_url_reaches_a_private_address(scheme: str, form: str) -> None:
    async with _canary() as canary, _open("https://api.example/v1") as transport:
        with pytest.raises((ForbiddenAddressError, NeverSentError)):
            await _fetch(transport, f"{scheme}://{form.format(p=canary.port)}/x")
        assert canary.connections == 0


@pytest.mark.parametrize("form", FORMS)
async def test_no_redirect_reaches_a_private_address(form: str) -> None:
    async with _canary() as canary:
        redirect = _redirecting(f"https://{form.format(p=canary.port)}/x")
        async with _serving(redirect) as server, _open(server.origin) as transport:
            with pytest.raises((ForbiddenAddressError, NeverSentError)):
                await _fetch(transport, f"{server.origin}/x")
            assert (canary.connections, server.connections) == (0, 1)


async def test_the_canary_would_sing() -> None:
    """The tests above prove something only if the same address is reached when it is allowed."""
    async with _canary() as canary, _open("https://api.example/v1", f"localhost:{canary.port}") as transport:
        assert await _fetch(transport, f"http://localhost:{canary.port}/x") == PICTURE
        assert canary.connections == 1


async def test_the_guard_says_whom_it_refused_and_why() -> None:
    async with _open("https://api.example/v1") as transport:
        with pytest.raises(ForbiddenAddressError) as caught:
            await _fetch(transport, "https://[::ffff:10.0.0.1]:8443/x?sig=SECRET")
    error, address = caught.value, str(ip_address("::ffff:10.0.0.1"))  # written otherwise from Python 3.13 on
    assert (error.kind, error.host, error.address) == ("forbidden_address", f"[{address}]:8443", address)
    assert "SECRET" not in f"{error}{error!r}"


async def test_plain_http_to_anybody_else_is_refused_before_a_name_is_looked_up() -> None:
    async with _open("https://api.example/v1") as transport:
        with pytest.raises(ForbiddenAddressError) as caught:
            await _fetch(transport, "http://nowhere.invalid/x?sig=SECRET")
    assert (caught.value.kind, caught.value.address) == ("forbidden_scheme", "")
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("allowed", [["127.0.0.1"], ["127.0.0.1:{p}"], ["cdn.example", "127.0.0.1:{p}"]])
async def test_an_allowed_host_is_reached(allowed: Sequence[str]) -> None:
    async with _serving(picture) as server:
        hosts = [entry.format(p=server.port) for entry in allowed]
        async with _open("https://api.example/v1", *hosts) as transport:
            assert await _fetch(transport, f"{server.origin}/x") == PICTURE


def test_a_public_address_gets_its_socket() -> None:
    with guarded_socket((socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("8.8.8.8", 443))) as made:
        assert made.family is socket.AF_INET


async def test_another_port_of_the_providers_host_is_refused() -> None:
    async with _serving(picture) as own, _canary() as canary, _open(own.origin) as transport:
        for scheme in ("http", "https"):
            with pytest.raises(ForbiddenAddressError):
                await _fetch(transport, f"{scheme}://127.0.0.1:{canary.port}/x")
        assert canary.connections == 0


async def test_a_kept_connection_of_the_permitted_does_not_lead_round_the_guard() -> None:
    """The same address and port by a name that is not allowed must not be served by the connection that is open."""
    async with _serving(picture) as server, _open("https://api.example/v1", f"localhost:{server.port}") as transport:
        await _fetch(transport, f"http://localhost:{server.port}/x")
        with pytest.raises(TransportError):
            await _fetch(transport, f"https://127.0.0.1:{server.port}/x")
        assert len(server.heads) == server.connections == 1
