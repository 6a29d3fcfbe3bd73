"""The only module that gathers what comes of a body into pieces, and writes these."""

from collections.abc import Awaitable, Callable

import anyio
from aiofiles.threadpool.binary import AsyncBufferedIOBase


class Pouring:
    """A body that is written in pieces, into a file that is made for the first of them."""

    def __init__(self, make: Callable[[], Awaitable[AsyncBufferedIOBase]], piece_bytes: int) -> None:
        self.received = 0
        self.file: AsyncBufferedIOBase | None = None
        self._make = make
        self._piece_bytes = piece_bytes
        self._piece = bytearray()

    @property
    def whole(self) -> bytes | None:
        """All that came, where it was less than a piece; else it is in the file."""
        return bytes(self._piece) if self.file is None else None

    async def add(self, chunk: bytes) -> None:
        """Take what came next."""
        self.received += len(chunk)
        self._piece += chunk
        if len(self._piece) >= self._piece_bytes:
            await self._write()

    async def flush(self) -> None:
        """Have all that came in the file."""
        await (await self._write()).flush()

    async def end(self) -> None:
        """Have all that came in the file, if there is one."""
        if self.file is not None:
            await self.flush()

    async def close(self) -> None:
        """Let go of the file, if there is one; whatever happens."""
        if self.file is not None:
            with anyio.CancelScope(shield=True):
                await self.file.close()

    async def _write(self) -> AsyncBufferedIOBase:
        file = self.file = self.file or await self._make()
        await file.write(bytes(self._piece))
        self._piece.clear()
        return file
