"""The only module that makes a kept picture of a file of bytes: read, prove, sync, name."""

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio

from pipeline.deliver.caption import Caption, captioned
from pipeline.deliver.proof import Proof, UnprovenError, prove
from pipeline.deliver.purchase import Purchase
from pipeline.deliver.shelf import Shelf, UnsyncedError
from pipeline.errors import StorageError

#: Decoding holds the file twice and its pixels twice, up to some 530 MB together; more at once gains nothing.
MAX_DECODERS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A proven picture under its final name, not recorded yet; its part is still there."""

    path: str
    proof: Proof


class Keeper:
    """Keeps pictures in one output folder."""

    def __init__(self, shelf: Shelf) -> None:
        """Take the shelf."""
        self._shelf = shelf
        self._decoders = anyio.CapacityLimiter(min(MAX_DECODERS, os.cpu_count() or 1))

    async def part(self, purchase: Purchase) -> Path:
        """Where the purchase's bytes wait; raises as ``Shelf.part`` does."""
        return await anyio.to_thread.run_sync(self._shelf.part, purchase.job_key, purchase.path)

    async def discard(self, part: Path) -> None:
        """Remove a part if it is there; raises OSError."""
        await anyio.to_thread.run_sync(self._shelf.discard, part)

    async def keep(self, part: Path, purchase: Purchase) -> Kept | None:
        """Prove the bytes in a part and give them their final name; None where no bytes are.

        Raises:
            UnprovenError: The bytes are no whole picture.
            UnsyncedError: The part could not be made durable.
            OSError: The disk is full or fails.
        """
        proof = await anyio.to_thread.run_sync(self._prove, part, purchase, limiter=self._decoders)
        return None if proof is None else await self._name(part, purchase, proof)

    async def keep_leftover(self, part: Path, purchase: Purchase) -> Kept | None:
        """Keep what an earlier run left in a part; None where that is nothing, or no whole picture.

        Raises:
            OSError: The disk is full or fails.
        """
        try:
            return await self._keep_anew(part, purchase)
        except UnprovenError:
            return None
        except UnsyncedError:
            await self.discard(part)
            return None

    async def keep_inline(self, part: Path, purchase: Purchase) -> Kept | None:
        """Keep a picture that came inside its answer: its part is all there is, and is never given up.

        Raises:
            UnprovenError: The bytes are no whole picture.
            StorageError: It could not be made durable, neither as it was nor as a new file.
            OSError: The disk is full or fails.
        """
        ours = purchase.answered is not None  # this process wrote the part, and synced it
        with suppress(UnsyncedError):
            return await (self.keep if ours else self._keep_anew)(part, purchase)
        try:
            return await self._keep_anew(part, purchase)
        except UnsyncedError as exc:
            raise StorageError(f"{part}: {exc.message}", remedy="check the disk, then run again") from exc

    async def _keep_anew(self, part: Path, purchase: Purchase) -> Kept | None:
        """Keep the bytes of a part whose file may not be trusted: its sync failed, or may have in the run that left it.

        The bytes can be read, but the disk may not have them, and another sync of that file would say that it has.
        """
        proof = await anyio.to_thread.run_sync(self._prove, part, purchase, limiter=self._decoders)
        if proof is None:
            return None
        await anyio.to_thread.run_sync(self._rewrite, part)
        return await self._name(part, purchase, proof)

    async def _name(self, part: Path, purchase: Purchase, proof: Proof) -> Kept:
        """Give a part's bytes their caption, where one is wanted, and their final name."""
        if purchase.caption is not None:
            caption = partial(self._caption, part, purchase, purchase.caption, proof)
            proof = await anyio.to_thread.run_sync(caption, limiter=self._decoders)
        return Kept(path=await anyio.to_thread.run_sync(self._shelf.keep, part, purchase.path, proof), proof=proof)

    def _caption(self, part: Path, purchase: Purchase, caption: Caption, proof: Proof) -> Proof:
        """Put the caption in, durably, and prove the picture anew; without one where that would spoil it."""
        data = self._shelf.read(part) or b""
        if hashlib.sha256(data).hexdigest() != proof.sha256:
            raise UnsyncedError(f"{part.name} changed after it was proven")
        told = captioned(data, proof.format, caption)
        if told == data:
            return proof
        try:
            anew = prove(told, purchase.ratio)
        except UnprovenError:
            return proof
        self._shelf.rewrite(part, told)
        return anew

    def _prove(self, part: Path, purchase: Purchase) -> Proof | None:
        data = self._shelf.read(part)
        return None if data is None else prove(data, purchase.ratio)

    def _rewrite(self, part: Path) -> None:
        data = self._shelf.read(part)
        if data is not None:
            self._shelf.rewrite(part, data)
