"""The only module that asks the provider what costs nothing: a GET with a token of its own, and no redirect."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

import aiohttp
import anyio
from yarl import URL

from pipeline.transport.api import ApiResponse, ApiTimeouts
from pipeline.transport.body import read_whole
from pipeline.transport.faults import FAULTS, broken, translate
from pipeline.transport.origins import Target, parse_base_url
from pipeline.transport.secrecy import blot, usable_secret
from pipeline.transport.session import lower_headers, open_session

#: A page of a log is a few kilobytes.
MAX_LOOKUP_BYTES = 4 * 1024 * 1024

_TIMEOUTS = ApiTimeouts(first_byte_s=60, body_s=60)


class LookupTransport:
    """The session that carries a token and asks questions. An async context manager.

    A question may be asked twice, so unlike the one that buys it keeps connections alive.
    """

    def __init__(
        self,
        *,
        base_url: str,
        token: str,
        scheme: str = "",
        header: str = "Authorization",
        headers: Mapping[str, str] | None = None,
        timeouts: ApiTimeouts = _TIMEOUTS,
    ) -> None:
        """Check all of it; nothing is opened yet.

        Args:
            base_url: Of which scheme, host and port count.
            token: Sent in ``header``.
            scheme: What stands before it there, with its blank; nothing for the log of one-api.
            header: What carries it.
            headers: To send besides.
            timeouts: How long to wait for what.

        Raises:
            ConfigurationError: The base URL, the token or a header cannot be used.
        """
        target = parse_base_url(base_url)
        self._origin = target.url.origin()
        self.host = target.origin.authority
        self.base_path = target.url.raw_path.rstrip("/")
        self._token = usable_secret(token, "log token")
        others = {name: usable_secret(value, name) for name, value in (headers or {}).items()}
        self._headers = others | ({header: scheme + self._token} if self._token else {})
        self._timeouts = timeouts
        self._stack = AsyncExitStack()
        self._session: aiohttp.ClientSession | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.host})"

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(limit=0)
        self._session = await self._stack.enter_async_context(open_session(connector, headers=self._headers))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session = None
        await self._stack.aclose()

    async def get(self, path: str, query: Mapping[str, str | int]) -> ApiResponse:
        """Ask once and return whatever is answered, redirects and errors included; the token is blotted out.

        Args:
            path: Below the origin, with its leading ``/``.
            query: Names and values.

        Raises:
            NeverSentError: There is no connection.
            LostError: There was one, and no answer.
        """
        return await self._read(self._origin.with_path(path).with_query(query))

    async def get_exactly(self, target: Target) -> ApiResponse:
        """The same, of an address below this origin, byte for byte as it was given.

        Raises:
            ValueError: It is of another origin.
            NeverSentError: As ``get``.
            LostError: As ``get``.
        """
        if target.url.origin() != self._origin:
            raise ValueError("this address is another host's")
        return await self._read(target.url)

    async def _read(self, url: URL) -> ApiResponse:
        response = await self._ask(url)
        try:
            body, complete = await read_whole(
                response.content,
                chunk_s=self._timeouts.chunk_s,
                body_s=self._timeouts.body_s,
                limit_bytes=MAX_LOOKUP_BYTES,
            )
        finally:
            if not response.content.is_eof():
                response.close()
            response.release()
        return ApiResponse(
            status=response.status,
            headers=lower_headers(response),
            body=blot(body, self._token),
            complete=complete,
        )

    async def _ask(self, url: URL) -> aiohttp.ClientResponse:
        if self._session is None:
            raise RuntimeError("the transport is not open; use it as an async context manager")
        connect_s = self._timeouts.connect_s
        with anyio.move_on_after(connect_s + self._timeouts.first_byte_s):
            try:
                return await self._session.get(
                    url,
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(total=None, connect=connect_s, sock_connect=connect_s),
                )
            except FAULTS as fault:
                # A connector's errors come before the request; the others may come after it. A GET can bear the doubt.
                sent = not isinstance(fault, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
                raise translate(fault, host=self.host, sent=sent) from None
        raise broken("timeout", host=self.host, sent=True)
