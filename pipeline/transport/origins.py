"""The only module that reads URLs for what they lead to: scheme, host and port, and who may go there."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Self
from urllib.parse import urlsplit

from yarl import URL

from pipeline.errors import ConfigurationError

_UNSAFE = re.compile(r"[^\x21-\x7e]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a URL leads: scheme, host (lower case, international names as ``xn--``) and port."""

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """``host:port``, for messages."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A URL ready to be asked for: its path and query byte for byte as they were given, because they may be signed."""

    url: URL
    origin: Origin


def parse_target(text: str) -> Target:
    """Read an absolute ``http`` or ``https`` URL; a fragment is left out.

    Raises:
        ValueError: Not such a URL, or one with credentials in it. The message does not repeat the URL.
    """
    try:
        url, raw = URL(text), urlsplit(text)
        port = url.port
    except ValueError:
        raise ValueError("this is not a URL") from None
    host = url.raw_host
    if url.scheme not in {"http", "https"} or not host or not port:
        raise ValueError("this is not an absolute http or https URL")
    if url.raw_user is not None or url.raw_password is not None:
        raise ValueError("a URL with credentials in it is not followed")
    path, query = raw.path or "/", raw.query
    if _UNSAFE.search(path + query):
        path, query = url.raw_path, url.raw_query_string
    exact = URL.build(scheme=url.scheme, authority=url.raw_authority, path=path, query_string=query, encoded=True)
    return Target(url=exact, origin=Origin(scheme=url.scheme, host=host.lower(), port=port))


def parse_base_url(text: str) -> Target:
    """Read a provider's base URL: ``https``, or ``http`` on this machine's own loopback.

    Raises:
        ConfigurationError: No host, credentials or a query in it, or plain ``http`` to another machine.
    """
    remedy = "write it as https://host/v1"
    try:
        target = parse_target(text.rstrip("/"))
    except ValueError as problem:
        raise ConfigurationError(f"the base URL will not do: {problem}", remedy=remedy) from None
    if target.url.raw_query_string or "#" in text:
        raise ConfigurationError("the base URL will not do: it has a query or a fragment", remedy=remedy)
    if target.origin.scheme == "http" and not is_loopback(target.origin.host):
        raise ConfigurationError(
            f"the base URL would send the key to {target.origin.authority} in the clear", remedy=remedy
        )
    return target


def is_loopback(host: str) -> bool:
    """Whether a host, by its name or address alone, is this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What may be reached without TLS or at a private address: the provider's own origin, and the allowed hosts.

    Attributes:
        own: The provider's own origin; None where nothing of it is to be had.
        allowed: Hosts with a port, or with None for any port.
    """

    own: Origin | None
    allowed: frozenset[tuple[str, int | None]]

    @classmethod
    def of(cls, own_origin: str | None, allow_hosts: Sequence[str]) -> Self:
        """Read the provider's base URL, and entries ``host`` or ``host:port`` (``[::1]:port`` for an IPv6 address).

        Raises:
            ConfigurationError: One of them cannot be read.
        """
        own = None if own_origin is None else parse_base_url(own_origin).origin
        return cls(own=own, allowed=frozenset(map(_allowed, allow_hosts)))

    def permits(self, origin: Origin) -> bool:
        """Whether the guard steps aside for this origin."""
        return origin == self.own or bool({(origin.host, origin.port), (origin.host, None)} & self.allowed)


def _allowed(entry: str) -> tuple[str, int | None]:
    host = f"[{entry}]" if entry.count(":") > 1 and not entry.startswith("[") else entry
    try:
        url = URL(f"http://{host}")
    except ValueError:
        url = URL()
    if not url.raw_host or url.raw_user is not None or re.search(r"[/?#\s\\]", entry):
        raise ConfigurationError(f"allow_hosts: {entry!r} is not a host", remedy="write host or host:port")
    return url.raw_host.lower(), url.explicit_port
