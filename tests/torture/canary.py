"""A small internet on this machine: names that resolve as told, servers that notice everybody, and no way out."""

import asyncio
import socket
import ssl
from asyncio.selector_events import BaseSelectorEventLoop
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from ipaddress import ip_address
from typing import Any

import pytest

Answer = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


def _is_here(address: str) -> bool:
    """Whether this machine can listen there: not all have IPv6, nor more of 127.0.0.0/8 than its first."""
    try:
        with socket.create_server((address, 0), family=socket.AF_INET6 if ":" in address else socket.AF_INET):
            return True
    except OSError:
        return False


#: Where a canary listens.
CAGES = tuple(filter(_is_here, ("127.0.0.1", "127.0.0.2", "127.127.127.127", "::1")))


class Server:
    """Counts connections, keeps the heads of requests, and answers each through ``answer``; then hangs up."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.connections = 0
        self.heads: list[bytes] = []
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def listening(self, *addresses: str, tls: ssl.SSLContext | None = None) -> AsyncIterator["Server"]:
        """Listen at each of these, at one port that is free at all of them."""
        async with AsyncExitStack() as stack:
            for listener in await self._listen(addresses, tls):
                await stack.enter_async_context(listener)
            try:
                yield self
            finally:
                for task in self._tasks:
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _listen(self, addresses: Sequence[str], tls: ssl.SSLContext | None) -> list[asyncio.Server]:
        for _ in range(10):
            made, self.port = [], 0
            try:
                for address in addresses:
                    made.append(await asyncio.start_server(self._accept, address, self.port, ssl=tls))
                    self.port = made[0].sockets[0].getsockname()[1]
            except OSError:  # taken at another address
                for listener in made:
                    listener.close()
                continue
            return made
        raise OSError("no port is free at all of them")

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._tasks.add(asyncio.create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(asyncio.IncompleteReadError, OSError):
                head = await reader.readuntil(b"\r\n\r\n")
                self.heads.append(head)
                await self.answer(head, writer)
                await writer.drain()
        finally:
            writer.close()


def says(data: bytes) -> Answer:
    """Answer every request with these bytes."""

    async def answer(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(data)

    return answer


def redirects(location: str, status: int = 302) -> bytes:
    """An answer that leads elsewhere, with the bytes of the location as they are."""
    head = f"HTTP/1.1 {status} Moved\r\nConnection: close\r\nContent-Length: 0\r\nLocation: {location}\r\n\r\n"
    return head.encode("utf-8", "surrogateescape")


class Island:
    """What this process may reach: itself. Names resolve by ``names``, and every attempt to connect is noted."""

    def __init__(self, names: Mapping[str, Sequence[str]]) -> None:
        #: The addresses of each look-up of a name, the last one's for ever.
        self.names: dict[str, list[Sequence[str]]] = {name: [found] for name, found in names.items()}
        self.attempts: list[str] = []

    def seal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Put it in the place of the resolver and of the loop's way to connect."""
        resolve, connect = socket.getaddrinfo, BaseSelectorEventLoop.sock_connect

        def getaddrinfo(
            host: str | None, port: int, family: int = 0, kind: int = 0, proto: int = 0, flags: int = 0
        ) -> list[Any]:
            numbers: Sequence[str | None] = [host]  # in any way the system reads them: the network is never asked
            lookups = self.names.get((host or "").lower().rstrip("."))
            if lookups is not None:
                numbers = lookups.pop(0) if len(lookups) > 1 else lookups[0]
            flags = (flags & ~socket.AI_ADDRCONFIG) | socket.AI_NUMERICHOST
            return [info for number in numbers for info in resolve(number, port, family, kind, proto, flags)]

        async def sock_connect(loop: BaseSelectorEventLoop, sock: socket.socket, address: Any) -> None:
            self.attempts.append(str(address[0]))
            if not ip_address(str(address[0]).partition("%")[0]).is_loopback:
                raise ConnectionRefusedError(111, "nobody is out there")
            await connect(loop, sock, address)

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        monkeypatch.setattr(BaseSelectorEventLoop, "sock_connect", sock_connect)
