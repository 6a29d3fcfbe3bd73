"""The only module that posts to the provider: once, no redirect, no second try, and what is known when it breaks."""

import asyncio
import contextlib
import io
import json
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import aiohttp
import anyio

from pipeline.job import InputImage
from pipeline.transport.body import inflate, read_whole
from pipeline.transport.faults import FAULTS, broken, translate
from pipeline.transport.origins import parse_base_url
from pipeline.transport.secrecy import blot, usable_secret
from pipeline.transport.session import lower_headers, open_session

#: A picture of 64 MiB in base64 still fits; more is not an answer.
MAX_BODY_BYTES = 100 * 1024 * 1024
#: A connection is used again within so many seconds, and not later. Servers that close idle ones wait for 2 s at least
#: (gunicorn; Node 5, nginx 75), and one closed just as it is used again looks like a lost answer: a false *unknown*.
KEPT_S = 0.5
#: A larger request is written in pieces.
_IN_ONE_GO_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiTimeouts:
    """How long to wait, in seconds, for each part of an exchange; there is no time-out over the whole.

    Attributes:
        connect_s: Name, connection and TLS together.
        first_byte_s: From the connection to the headers of the answer.
        chunk_s: Between two pieces of the body.
        body_s: For the whole body, so that a trickle ends.
    """

    connect_s: float = 10
    first_byte_s: float = 180
    chunk_s: float = 30
    body_s: float = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiResponse:
    """What came back.

    Attributes:
        status: The only status that may classify: a response's own.
        headers: By lower-cased name.
        body: What came of it, at most MAX_BODY_BYTES, with the key blotted out.
        complete: False where the body ended early or stopped coming.
        reading_s: Seconds from the headers to the end of the reading; the answer was made before them.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    complete: bool
    reading_s: float = 0.0


@dataclass(slots=True)
class _Attempt:
    """One request on its way: whether a connection was made for it, after which it may have arrived."""

    first_byte_s: float
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    sent: bool = False


_ATTEMPT: ContextVar[_Attempt] = ContextVar("attempt")


class _Connector(aiohttp.TCPConnector):
    """Tells the attempt that waits for a connection that it has one, and that nothing has come on it unasked."""

    async def connect(self, *args: Any, **kwargs: Any) -> Any:
        connection = await super().connect(*args, **kwargs)
        while connection.protocol is not None and connection.protocol.should_close:
            # What came unasked would be taken for the answer to the next request.
            connection.close()
            connection = await super().connect(*args, **kwargs)
        attempt = _ATTEMPT.get()
        attempt.sent = True
        attempt.scope.deadline = asyncio.get_running_loop().time() + attempt.first_byte_s
        return connection


class ApiTransport:
    """The session that carries the key. An async context manager; one for the length of a run.

    A connection is used again straight after its last answer, as it is while buying goes on: a handshake takes as long
    as several ways there and back. A request is never sent a second time for it. The number in flight is not limited
    here: waiting for a slot would count as connecting.
    """

    def __init__(self, *, base_url: str, api_key: str | None, key_header: str = "") -> None:
        """Check all; nothing is opened yet.

        Args:
            base_url: Up to and with its version.
            api_key: Sent with every request; None where none is needed.
            key_header: What carries it as it is; ``Authorization: Bearer`` when empty.

        Raises:
            ConfigurationError: The base URL or the key cannot be used.
        """
        target = parse_base_url(base_url)
        self._base_url = str(target.url).rstrip("/")
        self._host = target.origin.authority
        self._key = usable_secret(api_key or "", "API key")
        self._headers = {key_header or "Authorization": self._key if key_header else f"Bearer {self._key}"}
        self._stack = contextlib.AsyncExitStack()
        self._session: aiohttp.ClientSession | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._host})"

    async def __aenter__(self) -> Self:
        self._session = await self._stack.enter_async_context(
            open_session(
                _Connector(limit=0, keepalive_timeout=KEPT_S),
                headers=self._headers if self._key else {},
            )
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session = None
        await self._stack.aclose()

    async def post_json(self, path: str, payload: Mapping[str, Any], *, timeouts: ApiTimeouts) -> ApiResponse:
        """Post a JSON document once and return whatever is answered, redirects and errors included.

        Args:
            path: Below the base URL, with its leading ``/``.
            payload: The document.
            timeouts: How long to wait for what.

        Raises:
            NeverSentError: Surely no byte of the request left.
            LostError: It may have arrived; no answer came.
        """
        return await self.post_document(path, json.dumps(payload).encode(), timeouts=timeouts)

    async def post_document(self, path: str, document: bytes, *, timeouts: ApiTimeouts) -> ApiResponse:
        """Post JSON that is written already; as ``post_json``."""
        # What is given as bytes is written in one go.
        body = document if len(document) <= _IN_ONE_GO_BYTES else io.BytesIO(document)
        return await self._post(path, body, timeouts, {"Content-Type": "application/json"})

    async def post_form(
        self, path: str, fields: Mapping[str, str], *, name: str, image: InputImage, timeouts: ApiTimeouts
    ) -> ApiResponse:
        """Post a form with one image, in the field of that ``name``; otherwise as ``post_json``."""
        form = aiohttp.FormData(default_to_multipart=True)
        for field_name, value in fields.items():
            form.add_field(field_name, value)
        filename = f"image.{image.media.rpartition('/')[2]}"
        form.add_field(name, io.BytesIO(image.data), filename=filename, content_type=image.media)
        return await self._post(path, form, timeouts, {})

    async def _post(
        self, path: str, body: bytes | io.BytesIO | aiohttp.FormData, timeouts: ApiTimeouts, headers: Mapping[str, str]
    ) -> ApiResponse:
        response = await self._send(path, body, timeouts, headers)
        try:
            began = asyncio.get_running_loop().time()
            body, complete = await read_whole(
                response.content, chunk_s=timeouts.chunk_s, body_s=timeouts.body_s, limit_bytes=MAX_BODY_BYTES
            )
            reading_s = asyncio.get_running_loop().time() - began
        finally:
            response.close()
        if response.headers.get("Content-Encoding", "identity").strip().lower() in {"gzip", "x-gzip", "deflate"}:
            body, whole = inflate(body, limit_bytes=MAX_BODY_BYTES)
            complete = complete and whole
        return ApiResponse(
            status=response.status,
            headers=lower_headers(response),
            body=blot(body, self._key),
            complete=complete,
            reading_s=reading_s,
        )

    async def _send(
        self, path: str, data: bytes | io.BytesIO | aiohttp.FormData, timeouts: ApiTimeouts, headers: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        if self._session is None:
            raise RuntimeError("the transport is not open; use it as an async context manager")
        attempt = _Attempt(timeouts.first_byte_s)
        attempt.scope.deadline = asyncio.get_running_loop().time() + timeouts.connect_s + timeouts.first_byte_s
        _ATTEMPT.set(attempt)
        with attempt.scope:
            try:
                return await self._session.post(
                    self._base_url + path,
                    data=data,
                    headers=headers,
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(
                        total=None, connect=timeouts.connect_s, sock_connect=timeouts.connect_s
                    ),
                )
            except FAULTS as fault:
                raise translate(fault, host=self._host, sent=attempt.sent) from None
        raise broken("timeout", host=self._host, sent=attempt.sent)
