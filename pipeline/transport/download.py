"""The only module that fetches what an answer points to: without the key, and never into a private network."""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import urljoin

import aiohttp
import anyio

from pipeline.transport.body import next_chunk
from pipeline.transport.faults import FAULTS, ForbiddenAddressError, LostError, NeverSentError, broken, translate
from pipeline.transport.guard import guarded_socket
from pipeline.transport.origins import Reach, Target, parse_target
from pipeline.transport.session import lower_headers, open_session

MAX_REDIRECTS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A response on its way in.

    Attributes:
        status: As it came; any but a followed redirect's.
        length: Bytes announced, or None where nothing was.
        content_type: Lower-cased, without parameters; "" where none was given.
        chunks: The body as it comes, never decompressed; iterating raises ``LostError`` where it stops or breaks.
        redirects: How many led here.
        headers: By lower-cased name; a ``content-encoding`` other than identity is for the caller to refuse.
    """

    status: int
    length: int | None
    content_type: str
    chunks: AsyncIterator[bytes]
    headers: Mapping[str, str]
    redirects: int = 0


class DownloadTransport:
    """The sessions that carry nothing. An async context manager; one for the length of a run.

    There are two: a guarded one, whose sockets refuse every address that is not public, and one for the provider's own
    origin and for ``allow_hosts``. Which one a request may use is decided by its own URL, and anew after each redirect;
    their connections are never shared, so a kept-alive one cannot lead round the guard.
    """

    def __init__(
        self, *, own_origin: str | None, allow_hosts: Sequence[str] = (), connect_s: float = 10, read_s: float = 30
    ) -> None:
        """Say where the provider is; nothing is opened yet.

        Args:
            own_origin: The provider's base URL, of which scheme, host and port count; None for what is not its own.
            allow_hosts: ``host`` or ``host:port``, reached without TLS or at a private address if they ask for it.
            connect_s: Seconds for name, connection and TLS together.
            read_s: Seconds from the connection to the headers, and between two chunks.

        Raises:
            ConfigurationError: One of them cannot be read.
        """
        self._reach = Reach.of(own_origin, allow_hosts)
        self._connect_s = connect_s
        self._timeout = aiohttp.ClientTimeout(total=None, connect=connect_s, sock_connect=connect_s)
        self._read_s = read_s
        self._stack = AsyncExitStack()
        self._guarded: aiohttp.ClientSession | None = None
        self._permitted: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._guarded = await self._stack.enter_async_context(
            open_session(aiohttp.TCPConnector(limit=0, socket_factory=guarded_socket))
        )
        self._permitted = await self._stack.enter_async_context(open_session(aiohttp.TCPConnector(limit=0)))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._guarded = self._permitted = None
        await self._stack.aclose()

    @asynccontextmanager
    async def get(self, url: str, headers: Mapping[str, str] | None = None) -> AsyncIterator[Download]:
        """Ask for a URL, follow at most MAX_REDIRECTS checked redirects, and hand over the body as it comes.

        Args:
            url: Where the bytes are.
            headers: Sent besides the session's, also after a redirect; ranges and conditions, nothing secret.

        Raises:
            NeverSentError: The URL cannot be asked for, or its host not reached.
            LostError: The exchange broke off, or there were too many redirects.
            ForbiddenAddressError: The URL, or a redirect, leads where downloads may not go.
        """
        response, host, redirects = await self._follow(url, headers)
        answered = lower_headers(response)
        try:
            yield Download(
                status=response.status,
                length=_length(answered),
                content_type=answered.get("content-type", "").partition(";")[0].strip().lower(),
                chunks=self._chunks(response.content, host),
                headers=answered,
                redirects=redirects,
            )
        finally:
            response.release()  # closes the connection unless the body was read to its end

    async def _follow(self, url: str, headers: Mapping[str, str] | None) -> tuple[aiohttp.ClientResponse, str, int]:
        for redirects in range(MAX_REDIRECTS + 1):
            target = self._checked(url)
            host = target.origin.authority
            response = await self._ask(target, headers)
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or not location:
                return response, host, redirects
            response.close()
            url = _joined(url, location)
        raise LostError(f"{host}: more than {MAX_REDIRECTS} redirects", kind="redirects")

    def _checked(self, url: str) -> Target:
        try:
            target = parse_target(url)
        except ValueError as problem:
            raise NeverSentError(f"the picture's URL will not do: {problem}", kind="bad_url") from None
        origin = target.origin
        if origin.scheme == "http" and not self._reach.permits(origin):
            message = f"{origin.authority}: plain http is only for the provider's own origin and allow_hosts"
            raise ForbiddenAddressError(message, kind="forbidden_scheme", host=origin.authority)
        return target

    async def _ask(self, target: Target, headers: Mapping[str, str] | None) -> aiohttp.ClientResponse:
        session = self._permitted if self._reach.permits(target.origin) else self._guarded
        if session is None:
            raise RuntimeError("the transport is not open; use it as an async context manager")
        host = target.origin.authority
        with anyio.move_on_after(self._connect_s + self._read_s):
            try:
                return await session.get(
                    target.url,
                    headers=headers,
                    allow_redirects=False,
                    timeout=self._timeout,
                )
            except FAULTS as fault:
                # A connector's errors come before the request; the others may come after it. A GET can bear the doubt.
                sent = not isinstance(fault, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError | ValueError)
                raise translate(fault, host=host, sent=sent) from None
        raise broken("timeout", host=host, sent=True)

    async def _chunks(self, content: aiohttp.StreamReader, host: str) -> AsyncIterator[bytes]:
        while True:
            try:
                chunk = await next_chunk(content, within_s=self._read_s)
            except FAULTS as fault:
                raise translate(fault, host=host, sent=True) from None
            if not chunk:
                return
            yield chunk


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        raise NeverSentError("a redirect leads to what is not a URL", kind="bad_url") from None


def _length(headers: Mapping[str, str]) -> int | None:
    announced = headers.get("content-length", "")
    return int(announced) if re.fullmatch(r"[0-9]{1,18}", announced) else None
