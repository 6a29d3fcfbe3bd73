"""The only module that knows aiohttp's errors, and what each says about whether a request left.

    TransportError
    ├── NeverSentError          surely no byte of the request left this machine
    ├── LostError               the request may have arrived; its answer did not
    └── ForbiddenAddressError   the guard refused where the URL leads; nothing left

A message names the host and never a URL's query, for a query may be a signature. The foreign error is dropped from the
chain (``from None``): aiohttp's ``str()`` prints signed URLs and its ``repr()`` the Authorization header.
"""

import socket
import ssl
from collections.abc import Mapping
from types import MappingProxyType

import aiohttp
from aiohttp.client_exceptions import UnixClientConnectorError
from aiohttp.http import HttpProcessingError

from pipeline.transport.guard import GuardedSocketError


class TransportError(Exception):
    """The root.

    Attributes:
        kind: One word for what went wrong: a value of ``KINDS``, ``redirects``, ``forbidden_address`` or
            ``forbidden_scheme``.
    """

    def __init__(self, message: str, *, kind: str) -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind


class NeverSentError(TransportError):
    """Surely no byte of the request left: DNS, refused, connect time-out, TLS, bad URL."""


class LostError(TransportError):
    """The request may have arrived; what became of it is not known."""


class ForbiddenAddressError(TransportError):
    """The guard refused where the URL leads.

    Attributes:
        host: As the URL writes it.
        address: The refused IP address, or "" where the scheme alone was refused.
    """

    def __init__(self, message: str, *, kind: str = "forbidden_address", host: str, address: str = "") -> None:
        super().__init__(message, kind=kind)
        self.host = host
        self.address = address


#: What may come out of aiohttp's client; ``UnicodeError`` is how the resolver refuses a host name that is too long.
FAULTS = (aiohttp.ClientError, aiohttp.WSMessageTypeError, HttpProcessingError, OSError, UnicodeError)

#: Every one of them by kind. A class that is not here has the kind of its nearest base class.
KINDS: Mapping[type[BaseException], str] = MappingProxyType(
    {
        aiohttp.InvalidURL: "bad_url",
        aiohttp.InvalidUrlClientError: "bad_url",
        aiohttp.InvalidUrlRedirectClientError: "bad_url",
        aiohttp.NonHttpUrlClientError: "bad_url",
        aiohttp.NonHttpUrlRedirectClientError: "bad_url",
        aiohttp.RedirectClientError: "bad_url",
        UnicodeError: "bad_url",
        aiohttp.ClientConnectorDNSError: "dns",
        socket.gaierror: "dns",
        aiohttp.ClientConnectorError: "connect",
        aiohttp.ClientProxyConnectionError: "connect",
        UnixClientConnectorError: "connect",
        aiohttp.ConnectionTimeoutError: "connect_timeout",
        aiohttp.ClientSSLError: "tls",
        aiohttp.ClientConnectorSSLError: "tls",
        aiohttp.ClientConnectorCertificateError: "tls",
        aiohttp.ServerFingerprintMismatch: "tls",
        ssl.SSLError: "tls",
        ssl.SSLCertVerificationError: "tls",
        aiohttp.SocketTimeoutError: "timeout",
        aiohttp.ServerTimeoutError: "timeout",
        TimeoutError: "timeout",
        aiohttp.ClientConnectionError: "disconnected",
        aiohttp.ClientConnectionResetError: "disconnected",
        aiohttp.ClientOSError: "disconnected",
        aiohttp.ServerConnectionError: "disconnected",
        aiohttp.ServerDisconnectedError: "disconnected",
        OSError: "disconnected",
        aiohttp.ClientPayloadError: "cut",
        aiohttp.UploadAbortedError: "cut",
        aiohttp.ClientResponseError: "malformed",
        aiohttp.ClientHttpProxyError: "malformed",
        aiohttp.ContentTypeError: "malformed",
        aiohttp.TooManyRedirects: "malformed",
        aiohttp.WSMessageTypeError: "malformed",
        aiohttp.WSServerHandshakeError: "malformed",
        HttpProcessingError: "malformed",
        aiohttp.ClientError: "malformed",
    }
)

_WORDS = MappingProxyType(
    {
        "bad_url": "this is not a URL that can be fetched",
        "dns": "the host's name does not resolve",
        "connect": "cannot connect",
        "connect_timeout": "no connection in time",
        "tls": "no trusted TLS connection",
        "timeout": "nothing came in time",
        "disconnected": "the connection broke",
        "cut": "the body ended early",
        "malformed": "what came is not HTTP",
    }
)


def kind_of(fault: BaseException) -> str:
    """The kind of one of ``FAULTS``: its own, or that of its nearest base class.

    Raises:
        KeyError: Not one of ``FAULTS``.
    """
    return next((KINDS[cls] for cls in type(fault).__mro__ if cls in KINDS), None) or KINDS[type(fault)]


def translate(fault: BaseException, *, host: str, sent: bool) -> TransportError:
    """Say one of ``FAULTS`` in this package's words; an exception's ``.status`` is never looked at.

    Args:
        fault: What aiohttp raised.
        host: Where the request was going, without path or query.
        sent: Whether a connection was made for this request, after which it may have arrived.
    """
    cause = fault.os_error if isinstance(fault, aiohttp.ClientConnectorError) else None
    if isinstance(cause, GuardedSocketError):
        message = f"{host}: its address {cause.address} is not a public one"
        return ForbiddenAddressError(message, host=host, address=cause.address)
    return broken(kind_of(fault), host=host, sent=sent, detail=(cause and cause.strerror) or "")


def broken(kind: str, *, host: str, sent: bool, detail: str = "") -> NeverSentError | LostError:
    """The error for one of the values of ``KINDS``, by whether the request may have left."""
    message = f"{host}: {_WORDS[kind]}" + (f" ({detail})" if detail else "")
    return LostError(message, kind=kind) if sent else NeverSentError(message, kind=kind)
