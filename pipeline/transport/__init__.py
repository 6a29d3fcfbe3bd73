"""Sessions and sockets: the only package that knows aiohttp's client, and nothing of pictures or money."""

from pipeline.transport.api import MAX_BODY_BYTES, ApiResponse, ApiTimeouts, ApiTransport
from pipeline.transport.download import MAX_REDIRECTS, Download, DownloadTransport
from pipeline.transport.faults import ForbiddenAddressError, LostError, NeverSentError, TransportError

__all__ = [
    "MAX_BODY_BYTES",
    "MAX_REDIRECTS",
    "ApiResponse",
    "ApiTimeouts",
    "ApiTransport",
    "Download",
    "DownloadTransport",
    "ForbiddenAddressError",
    "LostError",
    "NeverSentError",
    "TransportError",
]
