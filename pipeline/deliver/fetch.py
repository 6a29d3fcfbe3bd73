"""The only module that turns a URL into a file on disk: one try, bounded in time, in size and from below in speed."""

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import aiofiles
import anyio

from pipeline.clock import Clock
from pipeline.deliver.disk import Disk
from pipeline.deliver.limits import Limits
from pipeline.deliver.proof import UnprovenError
from pipeline.transport import Download

_OK = 200
_GONE = frozenset({403, 404, 410})


class Transport(Protocol):
    """What a download needs of the network: ``pipeline.transport.DownloadTransport`` or a double."""

    def get(self, url: str) -> AbstractAsyncContextManager[Download]:
        """Ask for a URL; raises NeverSentError, LostError or ForbiddenAddressError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A body that came to its end.

    Attributes:
        announced: Whether its length was, and is right. Where it was not, a cut looks like an end.
        content_type: As the answer said, or "".
    """

    announced: bool
    content_type: str


class AgainError(Exception):
    """This try brought no picture; another may.

    Attributes:
        kind: ``gone``, ``status``, ``short_body``, ``too_slow`` or ``out_of_time``.
        message: One line.
        slower: Whether to wait longer than usual: the answer spoke of us rather than of the moment.
    """

    def __init__(self, kind: str, message: str, *, slower: bool = False) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind
        self.message = message
        self.slower = slower


class Fetcher:
    """Fetches bodies into new files."""

    def __init__(self, *, transport: Transport, disk: Disk, clock: Clock, limits: Limits) -> None:
        """Take what is needed; nothing is opened yet."""
        self._transport = transport
        self._disk = disk
        self._clock = clock
        self._limits = limits

    async def fetch(self, url: str, part: Path, *, until: float, tick: Callable[[], None]) -> Fetched:
        """Stream a body into ``part``, a new file; what came is left there whatever happens.

        Args:
            url: Where the bytes are.
            part: A name that is free.
            until: When to give up, on the monotonic clock.
            tick: Called after each chunk.

        Returns:
            How far the end of the body can be trusted, and what it was said to be.

        Raises:
            AgainError: No whole body, this time.
            UnprovenError: A body that cannot be a picture as it stands: ``encoded`` or ``too_large``.
            TransportError: From the transport.
            OSError: From the disk.
        """
        with anyio.move_on_after(max(0.0, until - self._clock.monotonic())):
            async with self._transport.get(url) as download:
                self._check(download)
                received = await self._pour(download.chunks, part, until, tick)
            if download.length not in {None, received}:
                raise AgainError("short_body", f"{received} of {download.length} bytes")
            return Fetched(announced=download.length is not None, content_type=download.content_type)
        raise AgainError("out_of_time", "the time for this try ran out")

    def _check(self, download: Download) -> None:
        status = download.status
        if status in _GONE:
            raise AgainError("gone", f"HTTP {status}")
        if status != _OK:
            raise AgainError("status", f"HTTP {status}", slower=status < 500)
        encoding = download.headers.get("content-encoding", "").strip().lower()
        if encoding not in {"", "identity"}:
            raise UnprovenError("encoded", f"Content-Encoding {encoding[:40]!r} although none was accepted")
        if download.length is not None and download.length > self._limits.cap_bytes:
            raise self._too_large()

    def _too_large(self) -> UnprovenError:
        return UnprovenError("too_large", f"more than {self._limits.cap_bytes} bytes")

    async def _pour(self, chunks: AsyncIterator[bytes], part: Path, until: float, tick: Callable[[], None]) -> int:
        # Opening and closing are shielded: cut short, they would leave a descriptor that nobody closes.
        with anyio.CancelScope(shield=True):
            file = await aiofiles.open(part, "xb", opener=self._disk.create)
        try:
            received, piece, began = 0, bytearray(), self._clock.monotonic()
            iterator = aiter(chunks)
            while chunk := await self._next(iterator, began, received, until):
                received += len(chunk)
                if received > self._limits.cap_bytes:
                    raise self._too_large()
                tick()
                piece += chunk
                if len(piece) >= self._limits.piece_bytes:
                    await file.write(bytes(piece))
                    piece.clear()
            await file.write(bytes(piece))
            await file.flush()
        except BaseException:  # closed or undone, whatever it is, and raised again
            with anyio.CancelScope(shield=True), contextlib.suppress(OSError):  # the first error is the one to tell
                await file.close()
            raise
        with anyio.CancelScope(shield=True):
            await file.close()
        return received

    async def _next(self, chunks: AsyncIterator[bytes], began: float, received: int, until: float) -> bytes:
        limit = min(until, began + self._allowed_s(received))
        chunk: bytes | None = None
        with anyio.move_on_after(max(0.0, limit - self._clock.monotonic())):
            chunk = await anext(chunks, b"")
        if chunk == b"":
            return chunk  # however late: it is all there
        now = self._clock.monotonic()
        if chunk is None or now > min(until, began + self._allowed_s(received + len(chunk))):
            raise AgainError("too_slow", f"{received + len(chunk or b'')} bytes in {now - began:.1f} s")
        return chunk

    def _allowed_s(self, received: int) -> float:
        return self._limits.grace_s + received / self._limits.floor_bytes_per_s
