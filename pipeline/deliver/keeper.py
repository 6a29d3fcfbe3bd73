"""The only module that makes a kept picture of bytes: write, prove, sync, name, all in one trip to a thread."""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.deliver.caption import captioned
from pipeline.deliver.proof import Proof, UnprovenError, prove
from pipeline.deliver.purchase import Purchase
from pipeline.deliver.shelf import Shelf, UnsyncedError
from pipeline.deliver.trips import Trips, each_by_itself
from pipeline.errors import StorageError

#: Decoding holds the file twice and its pixels twice, up to some 530 MB together; more at once gains nothing.
MAX_DECODERS = 4
#: Pictures that go to a thread together: they share the sync of their folder.
TOGETHER = 8
#: Looks at files and the like that do.
_CHORES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A proven picture under its final name, not recorded yet; its part is still there."""

    path: str
    proof: Proof


class _Candidate(NamedTuple):
    """Bytes to be kept.

    Attributes:
        body: None where they are in the part already.
        anew: Whether they go into a new file before, because theirs may not be trusted.
    """

    part: Path
    purchase: Purchase
    body: bytes | None = None
    anew: bool = False


class Keeper:
    """Keeps pictures in one output folder."""

    def __init__(self, shelf: Shelf) -> None:
        """Take the shelf."""
        self._shelf = shelf
        self._chores: Trips[Callable[[], Any], Any] = Trips(each_by_itself, at_once=1, most=_CHORES)
        self._kept = Trips(self._keep_all, at_once=min(MAX_DECODERS, os.cpu_count() or 1), most=TOGETHER)

    async def part(self, purchase: Purchase) -> tuple[Path, bool]:
        """Where the purchase's bytes wait, and whether anything is there already; raises as ``Shelf.part`` does."""
        found: tuple[Path, bool] = await self._chores.do(partial(self._look, purchase))
        return found

    async def discard(self, part: Path) -> None:
        """Remove a part if it is there; raises OSError."""
        await self._chores.do(partial(self._shelf.discard, part))

    async def keep(self, part: Path, purchase: Purchase, *, body: bytes | None = None) -> Kept | None:
        """Prove the bytes in a part and give them their final name; None where no bytes are.

        Args:
            body: The bytes, where they are still to be put into the part, whose name is free then.

        Raises:
            UnprovenError: The bytes are no whole picture.
            UnsyncedError: The part could not be made durable.
            OSError: The disk is full or fails.
        """
        return await self._kept.do(_Candidate(part, purchase, body))

    async def keep_leftover(self, part: Path, purchase: Purchase) -> Kept | None:
        """Keep what an earlier run left in a part. None where that is nothing, or no whole picture: it is gone then.

        Raises:
            OSError: The disk is full or fails.
        """
        kept = None
        with suppress(UnprovenError, UnsyncedError):
            kept = await self._keep_anew(part, purchase)
        if kept is None:
            await self.discard(part)
        return kept

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
        return await self._kept.do(_Candidate(part, purchase, anew=True))

    def _look(self, purchase: Purchase) -> tuple[Path, bool]:
        part = self._shelf.part(purchase.job_key, purchase.path)
        return part, self._shelf.holds(part)

    def _keep_all(self, candidates: Sequence[_Candidate]) -> list[Kept | Exception | None]:
        """Name all of them, and then sync each folder once: a name counts as kept only after that."""
        named = each_by_itself([partial(self._name, candidate) for candidate in candidates])
        folders = dict.fromkeys(found[0].parent for found in named if isinstance(found, tuple))
        synced = each_by_itself([partial(self._shelf.sync_folder, folder) for folder in folders])
        faults = {folder: error for folder, error in zip(folders, synced, strict=True) if error is not None}
        return [self._settled(found, faults) for found in named]

    def _name(self, candidate: _Candidate) -> tuple[Path, Proof] | None:
        part, purchase, body, anew = candidate
        if body is not None:
            self._shelf.begin(part, body)
        data = self._shelf.read(part) if body is None else body
        if data is None:
            return None
        proof = prove(data, purchase.ratio)
        told, proof = _captioned(data, proof, purchase)
        if anew or told is not data:
            self._shelf.rewrite(part, told)
        return self._shelf.name(part, purchase.path, proof), proof

    def _settled(
        self, found: tuple[Path, Proof] | Exception | None, faults: Mapping[Path, Exception]
    ) -> Kept | Exception | None:
        if not isinstance(found, tuple):
            return found
        path, proof = found
        return faults.get(path.parent) or Kept(path=self._shelf.relative(path), proof=proof)


def _captioned(data: bytes, proof: Proof, purchase: Purchase) -> tuple[bytes, Proof]:
    """The bytes with the caption that is wanted, proven anew; as they are where it would spoil the picture."""
    told = data if purchase.caption is None else captioned(data, proof.format, purchase.caption)
    if told == data:
        return data, proof
    try:
        return told, prove(told, purchase.ratio)
    except UnprovenError:
        return data, proof
