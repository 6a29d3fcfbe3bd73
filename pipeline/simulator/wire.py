"""Answers that break off, stall or lie: bytes and connection under the simulator's own hand."""

import asyncio
import contextlib
import math
import os
import socket
import struct
from collections.abc import Mapping
from http import HTTPStatus

import anyio
from aiohttp import web

#: Carries the id of the request, which each answer names as ``x-request-id``.
REQUEST_ID: web.RequestKey[str] = web.RequestKey("request_id", str)

#: How often a wait looks whether the client has left, in seconds; the HTTP library tells nobody. Shorter than a stop.
_LOOK_EVERY_S = 0.05
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


async def hand_over(request: web.Request, response: web.StreamResponse) -> bool:
    """Send a whole answer; whether the client was still there when its last byte was written."""
    try:
        await response.prepare(request)
        await response.write_eof()
    except ConnectionError:
        return False
    return is_connected(request)


def is_connected(request: web.Request) -> bool:
    """Whether the client's connection is still open."""
    transport = request.transport
    return transport is not None and not transport.is_closing()


class Wire:
    """The connection of one request, for an answer that is not as HTTP wants it. It ends with the connection."""

    def __init__(self, request: web.Request, stopping: asyncio.Event) -> None:
        self._request = request
        self._stopping = stopping

    def send_head(self, headers: Mapping[str, str], *, status: HTTPStatus = HTTPStatus.OK) -> None:
        """Write the status line and headers."""
        named = {**headers, "x-request-id": self._request[REQUEST_ID], "Connection": "close"}
        lines = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{name}: {value}" for name, value in named.items())]
        self.send("\r\n".join([*lines, "", ""]).encode())

    def send(self, data: bytes) -> None:
        """Write bytes; to nobody when the client has left."""
        transport = self._request.transport
        if transport is not None:
            transport.write(data)

    def send_chunk(self, data: bytes) -> None:
        """Write one chunk of a chunked body; an empty one ends it."""
        self.send(b"%x\r\n%b\r\n" % (len(data), data))

    async def stay(self, seconds: float = math.inf) -> bool:
        """Wait; False as soon as the client leaves or the server stops."""
        deadline = anyio.current_time() + seconds
        while is_connected(self._request) and not self._stopping.is_set():
            left = deadline - anyio.current_time()
            if left <= 0:
                return True
            await anyio.sleep(min(left, _LOOK_EVERY_S))
        return False

    def close(self) -> web.Response:
        """End the connection cleanly after what was written. Gives an answer for the HTTP library to send to nobody."""
        transport = self._request.transport
        if transport is not None:
            transport.close()
        return web.Response()

    def reset(self) -> web.Response:
        """Cut the connection with a TCP reset. Gives an answer for the HTTP library to send to nobody."""
        transport = self._request.transport
        if transport is not None:
            connection = transport.get_extra_info("socket")
            # A duplicate, because not every event loop lets the options of its own socket be set.
            with contextlib.suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as twin:
                twin.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            transport.abort()
        return web.Response()
