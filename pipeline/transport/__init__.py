"""Sessions and sockets: the only package that knows aiohttp's client, and nothing of pictures or money."""

from pipeline.transport.api import MAX_BODY_BYTES, ApiResponse, ApiTimeouts, ApiTransport
from pipeline.transport.download import MAX_REDIRECTS, Download, DownloadTransport
from pipeline.transport.faults import ForbiddenAddressError, LostError, NeverSentError, TransportError
from pipeline.transport.lookup import MAX_LOOKUP_BYTES, LookupTransport
from pipeline.transport.tasks import TaskTransport

__all__ = [
    "MAX_BODY_BYTES",
    "MAX_LOOKUP_BYTES",
    "MAX_REDIRECTS",
    "ApiResponse",
    "ApiTimeouts",
    "ApiTransport",
    "Download",
    "DownloadTransport",
    "ForbiddenAddressError",
    "LookupTransport",
    "LostError",
    "NeverSentError",
    "TaskTransport",
    "TransportError",
]
