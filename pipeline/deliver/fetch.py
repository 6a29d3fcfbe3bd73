"""The only module that turns a URL into a file on disk: one try, bounded in time, in size and from below in speed."""

import contextlib
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, Protocol

import aiofiles
import anyio
import anyio.to_thread
from aiofiles.threadpool.binary import AsyncBufferedIOBase

from pipeline.clock import Clock
from pipeline.deliver.disk import Disk
from pipeline.deliver.limits import Limits
from pipeline.deliver.patience import Patience
from pipeline.deliver.pouring import Pouring
from pipeline.deliver.proof import UnprovenError
from pipeline.deliver.purchase import host_of
from pipeline.deliver.resume import Body, Held, is_partial
from pipeline.deliver.speeds import Speeds, Watch
from pipeline.transport import Download, TransportError

_OK = 200
_GONE = frozenset({403, 404, 410})
#: One too many, or at the wrong moment: fewer at once may do better.
_BUSY = frozenset({429, 503})
_NO_SUCH_RANGE = 416
#: A wait that was too short is doubled for the next try, so often.
_LONGEST_DOUBLED = 3


class Transport(Protocol):
    """What a download needs of the network: ``pipeline.transport.DownloadTransport`` or a double."""

    def get(self, url: str, headers: Mapping[str, str] | None = None) -> AbstractAsyncContextManager[Download]:
        """Ask for a URL; raises NeverSentError, LostError or ForbiddenAddressError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A body that came to its end.

    Attributes:
        announced: Whether its length was, and is right. Where it was not, a cut looks like an end.
        content_type: As the answer said, or "".
        resumed: Whether it is joined from two answers.
        body: All of it, where it was less than a piece: it is not in the part then, for whoever keeps it to put there.
    """

    announced: bool
    content_type: str
    resumed: bool = False
    body: bytes | None = None


class AgainError(Exception):
    """This try brought no picture; another may.

    Attributes:
        kind: ``gone``, ``busy``, ``status``, ``short_body``, ``too_slow``, ``timeout``, ``bad_range``, ``vanished`` or
            ``out_of_time``.
        message: One line.
        slower: Whether to wait longer than usual: the answer spoke of us rather than of the moment.
    """

    def __init__(self, kind: str, message: str, *, slower: bool = False) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind
        self.message = message
        self.slower = slower


class Fetcher:
    """Fetches bodies into files."""

    def __init__(self, *, transport: Transport, disk: Disk, clock: Clock, limits: Limits) -> None:
        """Take what is needed; nothing is opened yet."""
        self._transport = transport
        self._disk = disk
        self._clock = clock
        self._limits = limits
        self._speeds = Speeds(clock=clock, limits=limits)

    async def fetch(self, url: str, body: Body, *, until: float) -> Fetched:
        """Stream a body into its part, a piece at a time; what was written is left there whatever happens.

        With a beginning in hand only the rest is asked for. Where the server gives all of it instead, or the body is
        no longer the same, the part begins anew. ``body.held`` then says what of this try another may build on.

        Args:
            url: Where the bytes are.
            body: What is here of it; without a beginning in hand the name of its part is free.
            until: When to give up, on the monotonic clock.

        Returns:
            How far the end of the body can be trusted, and what it was said to be.

        Raises:
            AgainError: No whole body, this time.
            UnprovenError: A body that cannot be a picture as it stands: ``encoded`` or ``too_large``.
            TransportError: From the transport.
            OSError: From the disk.
        """
        patience = Patience(self._clock, until=until)
        answer_s = self._limits.answer_s * 2 ** min(body.slow, _LONGEST_DOUBLED)
        with patience.scope:
            with self._speeds.download(host_of(url)) as watch:
                patience.bound(answer_s)
                asked = self._transport.get(url, None if body.held is None else body.held.ask())
                async with asked as download:
                    patience.bound()
                    held = self._check(download, body)
                    if held is None and body.held is not None:  # all of it comes again
                        await anyio.to_thread.run_sync(self._disk.remove, body.part)
                    received, whole = await self._pour(download, held, body, watch, until)
            total = download.length if held is None else held.total
            if total not in {None, received}:
                raise AgainError("short_body", f"{received} of {total} bytes")
            return Fetched(
                announced=total is not None,
                content_type=download.content_type,
                resumed=held is not None,
                body=whole,
            )
        if patience.short:
            raise AgainError("timeout", f"no answer in {answer_s:.0f} s")
        raise AgainError("out_of_time", "the time for this try ran out")

    def _check(self, download: Download, body: Body) -> Held | None:
        """See that an answer is a body; what it is the rest of, or None where it is all of it."""
        status, held = download.status, body.held
        if status in _GONE:
            raise AgainError("gone", f"HTTP {status}")
        if held is not None and status == _NO_SUCH_RANGE:
            body.held = None
            raise AgainError("bad_range", f"HTTP {status}")
        continues = held is not None and is_partial(download)
        if status != _OK and not continues:
            raise AgainError("busy" if status in _BUSY else "status", f"HTTP {status}", slower=status < 500)
        encoding = download.headers.get("content-encoding", "").strip().lower()
        if encoding not in {"", "identity"}:
            raise UnprovenError("encoded", f"Content-Encoding {encoding[:40]!r} although none was accepted")
        if download.length is not None and download.length > self._limits.cap_bytes:
            raise self._too_large()
        if held is None or not continues:
            return None
        if flaw := held.flaw(download):
            body.held = None
            raise AgainError("bad_range", flaw)
        return held

    def _too_large(self) -> UnprovenError:
        return UnprovenError("too_large", f"more than {self._limits.cap_bytes} bytes")

    async def _pour(
        self, download: Download, held: Held | None, body: Body, watch: Watch, until: float
    ) -> tuple[int, bytes | None]:
        """Write what comes; how many bytes of the body are here, and all of them where they are not in the part."""
        body.held = None
        pouring = Pouring(partial(self._open, body.part, "xb"), self._limits.piece_bytes)
        total = download.length if held is None else held.total
        try:
            if held is not None:
                await self._go_on(pouring, body.part, held)
            try:
                await self._take_in(download, pouring, body, total, watch, until)
            except (AgainError, TransportError) as setback:
                body.slow += setback.kind == "too_slow"
                left = Held.of(download, pouring.received) if held is None else held.grown(pouring.received)
                if left is not None:
                    await pouring.flush()
                body.held = left
                raise
            await pouring.end()
        except BaseException:  # closed or undone, whatever it is, and raised again
            with contextlib.suppress(OSError):  # the first error is the one to tell
                await pouring.close()
            raise
        await pouring.close()
        return pouring.received, pouring.whole

    async def _take_in(
        self, download: Download, pouring: Pouring, body: Body, total: int | None, watch: Watch, until: float
    ) -> None:
        """Pour chunk after chunk, while none is long in coming."""
        silence, chunks = Patience(self._clock, until=until), aiter(download.chunks)
        with silence.scope:
            while True:
                silence.bound(self._limits.grace_s * 2 ** min(body.slow, _LONGEST_DOUBLED))
                chunk = await anext(chunks, b"")  # however late the end is: it is all there
                silence.unbound()
                if not chunk:
                    return
                if pouring.received + len(chunk) > self._limits.cap_bytes:
                    raise self._too_large()
                await pouring.add(chunk)
                body.noted(pouring.received, total)
                if watch.add(len(chunk), slow=body.slow):
                    break
        raise AgainError("too_slow", str(watch))

    async def _go_on(self, pouring: Pouring, part: Path, held: Held) -> None:
        pouring.file = await self._open(part, "ab")
        pouring.received = held.received
        if await pouring.file.tell() != held.received:
            raise AgainError("vanished", f"{part.name} is not as it was left")

    async def _open(self, part: Path, mode: Literal["xb", "ab"]) -> AsyncBufferedIOBase:
        # Opening is shielded, as closing is: cut short, it would leave a descriptor that nobody closes.
        with anyio.CancelScope(shield=True):
            file = await aiofiles.open(part, mode, opener=self._disk.create)
        return file  # noqa: RET504 - mypy takes a scope to swallow what happens in it
