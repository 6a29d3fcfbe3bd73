"""The only module that decides where a key may follow a task: the provider's own origin, and its regions' hosts."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from pipeline.transport.api import ApiResponse, ApiTimeouts
from pipeline.transport.faults import NeverSentError
from pipeline.transport.lookup import LookupTransport
from pipeline.transport.origins import Origin, Target, parse_base_url, parse_target

#: A provider has a handful of regions; more hosts than that are not followed.
MAX_ORIGINS = 8
_TIMEOUTS = ApiTimeouts(first_byte_s=30, body_s=30)


class TaskTransport:
    """Asks after tasks with the key, wherever the provider says, within bounds. An async context manager."""

    def __init__(self, *, base_url: str, api_key: str | None, key_header: str, hosts: Sequence[str] = ()) -> None:
        """Say who is trusted; nothing is opened yet.

        Args:
            base_url: The provider's own; its origin is trusted.
            api_key: Sent with every question.
            key_header: What carries it.
            hosts: Domains below which a host is the provider's, too, by ``https`` on its usual port.

        Raises:
            ConfigurationError: The base URL or the key cannot be used.
        """
        self._own = parse_base_url(base_url).origin
        self._hosts = tuple(host.lower() for host in hosts)
        self._api_key = api_key or ""
        self._key_header = key_header
        self._stack = AsyncExitStack()
        self._transports: dict[Origin, LookupTransport] = {}
        self._opened = False
        self._make(self._own)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._own.authority})"

    async def __aenter__(self) -> Self:
        self._opened = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened = False
        self._transports.clear()
        await self._stack.aclose()

    def trusted(self, url: str) -> bool:
        """Whether the key may be sent there: the provider's own origin, or one of its regions by ``https``."""
        return self._target(url) is not None

    async def ask(self, url: str) -> ApiResponse:
        """Ask once and return whatever is answered, redirects and errors included; the key is blotted out.

        Raises:
            NeverSentError: There is no connection, or the key must not be sent there.
            LostError: There was one, and no answer.
        """
        target = self._target(url)
        if target is None:
            raise NeverSentError("the address of a task is not the provider's", kind="bad_url")
        transport = self._transports.get(target.origin)
        if transport is None:
            if len(self._transports) >= MAX_ORIGINS:
                raise NeverSentError("the provider has sent tasks to too many hosts", kind="bad_url")
            transport = self._transports[target.origin] = await self._stack.enter_async_context(
                self._make(target.origin)
            )
        return await transport.get_exactly(target)

    def _make(self, origin: Origin) -> LookupTransport:
        return LookupTransport(
            base_url=f"{origin.scheme}://{origin.authority}",
            token=self._api_key,
            header=self._key_header,
            timeouts=_TIMEOUTS,
        )

    def _target(self, url: str) -> Target | None:
        try:
            target = parse_target(url)
        except ValueError:
            return None
        origin = target.origin
        region = any(origin.host == host or origin.host.endswith(f".{host}") for host in self._hosts)
        is_theirs = region and origin.scheme == "https" and origin.port == 443
        return target if origin == self._own or is_theirs else None
