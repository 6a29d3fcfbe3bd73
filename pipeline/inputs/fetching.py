"""The only module that fetches input images: through the guarded downloader, into the store, within bounds."""

import errno
import hashlib
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

import anyio
import anyio.to_thread

from pipeline.errors import OutputError, StorageError
from pipeline.inputs.decoding import MAX_BYTES
from pipeline.inputs.faults import InputError
from pipeline.inputs.patience import USUAL, Patience
from pipeline.inputs.store import Store
from pipeline.inputs.validators import Validators
from pipeline.transport import Download, ForbiddenAddressError, LostError, TransportError

#: Fetched at the same time.
AT_ONCE = 8
#: A fetch that breaks off is begun anew; it costs nothing.
_TRIES = 3
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})


class Downloader(Protocol):
    """What fetching needs of a transport; see ``pipeline.transport.DownloadTransport``."""

    def get(self, url: str, headers: Mapping[str, str] | None = None) -> AbstractAsyncContextManager[Download]:
        """Ask for a URL, under conditions or not."""
        ...


async def fetch(url: str, transport: Downloader, store: Store, patience: Patience = USUAL) -> tuple[Path, str]:
    """Fetch an image into the store; where it is, and its SHA-256.

    Raises:
        InputError: It cannot be had, not in time, or is too large.
        OutputError: The store cannot be written to, because of where it is.
        StorageError: The disk is full.
    """
    try:
        with anyio.fail_after(patience.within_s):
            return await _fetch_trying(url, transport, store)
    except TimeoutError as exc:
        told = f"is not here after {patience.within_s:g} s; run again later, or fetch it yourself and name the file"
        raise InputError("input_unreachable", told, passing=True) from exc


async def _fetch_trying(url: str, transport: Downloader, store: Store) -> tuple[Path, str]:
    for tried in range(1, _TRIES + 1):
        try:
            return await _fetch_once(url, transport, store)
        except ForbiddenAddressError as exc:
            raise InputError("input_forbidden", exc.message) from exc
        except (TimeoutError, TransportError, _AgainError) as exc:
            if tried == _TRIES or not isinstance(exc, LostError | _AgainError | TimeoutError):
                told = "took too long" if isinstance(exc, TimeoutError) else str(exc)
                raise InputError("input_unreachable", f"cannot be fetched: {told}", passing=True) from exc
    raise AssertionError("the last try returns or raises")


class _AgainError(Exception):
    """The server may answer otherwise in a moment."""


async def _fetch_once(url: str, transport: Downloader, store: Store) -> tuple[Path, str]:
    """Ask whether what is kept of the URL is still the same, and for the bytes where that is not plainly said."""
    kept = await anyio.to_thread.run_sync(store.recall, url)
    if kept is not None:
        async with transport.get(url, kept.validators.conditions) as download:
            if download.status != 304:
                return await _taken(url, download, store)
            if not download.redirects and kept.validators.meant_by(download.headers):
                return store.path(kept.sha256), kept.sha256
    async with transport.get(url) as download:
        return await _taken(url, download, store)


async def _taken(url: str, download: Download, store: Store) -> tuple[Path, str]:
    """Take an answer's bytes; whatever it says of them, they are known by their digest."""
    if download.status in _BUSY:
        raise _AgainError(f"HTTP {download.status}")
    if download.status != 200:
        raise InputError("input_unreachable", f"cannot be fetched: HTTP {download.status}")
    if download.headers.get("content-encoding", "identity").strip().lower() not in {"identity", ""}:
        raise InputError("input_unfit", "comes packed, though nobody asked for that")
    return await _keep(url, download, store)


async def _keep(url: str, download: Download, store: Store) -> tuple[Path, str]:
    try:
        path, sha256 = await _pour(download, store)
        # What stands elsewhere now may be led elsewhere the next time, where the same mark means other bytes.
        said = None if download.redirects else Validators.of(download.headers)
        await anyio.to_thread.run_sync(store.remember, url, sha256, said)
    except TimeoutError:  # the network's, and an OSError only by its class
        raise
    except OSError as error:
        told = f"{store.folder}: input images cannot be kept there ({error.strerror or error})"
        if error.errno in _FULL:
            raise StorageError(told, remedy="free some space, then run again") from error
        raise OutputError(told, remedy="move what is in the way, or choose another folder with --output") from error
    return path, sha256


async def _pour(download: Download, store: Store) -> tuple[Path, str]:
    part = await anyio.to_thread.run_sync(store.spare)
    digest, size = hashlib.sha256(), 0
    try:
        async with await anyio.open_file(part, "xb") as file:
            async for chunk in download.chunks:
                size += len(chunk)
                if size > MAX_BYTES:
                    raise InputError("input_unfit", f"has more than {MAX_BYTES:,} bytes, which is what is taken")
                digest.update(chunk)
                await file.write(chunk)
        if download.length is not None and size != download.length:
            raise _AgainError(f"{size} of {download.length} bytes came")
        return await anyio.to_thread.run_sync(store.take, part, digest.hexdigest()), digest.hexdigest()
    except BaseException:  # undone, whatever it is, and raised again
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(store.drop, part)
        raise
