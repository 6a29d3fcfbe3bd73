"""A purchase against raw sockets: whatever breaks, the money is said to be unbilled only where it surely is."""

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import pytest

from pipeline.clock import SystemClock
from pipeline.job import PictureRequest
from pipeline.provider import Answer, AnswerLostError, ImagesClient, Money, RefusedError, UnreachableError
from pipeline.ratio import Ratio
from pipeline.transport import ApiTimeouts, ApiTransport

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
REQUEST = PictureRequest(model="flux-kontext-pro", prompt="A cat", ratio=Ratio(3, 2))
TIMEOUTS = ApiTimeouts(connect_s=2, chunk_s=0.2)
GOOD = json.dumps({"data": [{"url": "/x.png"}]}).encode()
OK = b"HTTP/1.1 200 OK\r\n"


@asynccontextmanager
async def _serving(handle: Handler) -> AsyncIterator[int]:
    tasks: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await handle(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.create_task(serve(reader, writer)))

    listener = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        async with listener:
            yield listener.sockets[0].getsockname()[1]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _buy_at(base_url: str) -> Answer:
    with anyio.fail_after(30):
        async with ApiTransport(base_url=base_url, api_key="sk-12345678") as transport:
            client = ImagesClient(
                transport, base_url=base_url, wire="flat", window_s=600, clock=SystemClock(), timeouts=TIMEOUTS
            )
            return await client.buy(REQUEST, first_byte_s=0.2)


async def _buy(handle: Handler) -> Answer:
    async with _serving(handle) as port:
        return await _buy_at(f"http://127.0.0.1:{port}/v1")


def _answering(*pieces: bytes, then_hang: bool = False) -> Handler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        if then_hang:
            await reader.read()

    return handle


async def _reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def test_a_picture_is_bought() -> None:
    answer = await _buy(_answering(OK + b"X-Request-Id: r1\r\nContent-Length: %d\r\n\r\n" % len(GOOD), GOOD))
    assert answer.url is not None
    assert answer.url.endswith("/x.png")
    assert answer.deadline == answer.answered_at + 600
    assert answer.request_id == "r1"


async def test_a_picture_whose_end_marker_does_not_come_is_bought() -> None:
    body = b"%x\r\n%s\r\n" % (len(GOOD), GOOD)
    answer = await _buy(_answering(OK + b"Transfer-Encoding: chunked\r\n\r\n", body, then_hang=True))
    assert answer.url is not None


@pytest.mark.parametrize(
    ("handle", "kind"),
    [
        (_reset, "disconnected"),
        (_answering(), "disconnected"),
        (_answering(then_hang=True), "timeout"),
        (_answering(b"HTTP/1.1 2OO OK\r\n\r\n"), "malformed"),
        (_answering(OK + b"Content-Length: 999\r\n\r\n", GOOD[:-4]), "incomplete"),
        (_answering(OK + b"Content-Length: 999\r\n\r\n", GOOD[:-4], then_hang=True), "incomplete"),
        (_answering(OK + b"\r\n", GOOD[:-4]), "unreadable"),
        (_answering(b"HTTP/1.1 307 X\r\nLocation: /v2\r\nContent-Length: 0\r\n\r\n"), "unexplained_status"),
        (_answering(b"HTTP/1.1 504 X\r\nContent-Length: 0\r\n\r\n"), "unexplained_status"),
    ],
)
async def test_whatever_breaks_after_the_request_left_leaves_the_money_unknown(handle: Handler, kind: str) -> None:
    with pytest.raises(AnswerLostError) as caught:
        await _buy(handle)
    assert (caught.value.money, caught.value.kind, caught.value.retryable) == (Money.UNKNOWN, kind, False)


async def test_a_refusal_keeps_its_class_though_its_body_is_cut() -> None:
    with pytest.raises(RefusedError):
        await _buy(_answering(b"HTTP/1.1 400 X\r\nContent-Length: 999\r\n\r\n", b'{"error": {"mess'))


async def test_a_provider_that_does_not_listen_was_paid_nothing() -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        with pytest.raises(UnreachableError) as caught:
            await _buy_at(f"http://127.0.0.1:{unheard.getsockname()[1]}/v1")
    assert (caught.value.money, caught.value.kind, caught.value.retryable) == (Money.UNBILLED, "connect", True)


@pytest.mark.parametrize("base_url", ["https://nowhere.invalid/v1", "https://127.0.0.1:{port}/v1"])
async def test_no_name_and_no_tls_were_paid_nothing(base_url: str) -> None:
    async with _serving(_answering(b"HTTP/1.1 400 X\r\n\r\n")) as port:
        with pytest.raises(UnreachableError) as caught:
            await _buy_at(base_url.format(port=port))
    assert caught.value.money is Money.UNBILLED
