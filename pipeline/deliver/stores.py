"""Where kept pictures go: a folder or a bucket, behind one protocol. All else is the same for both."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

import anyio.to_thread

from pipeline.bucket import Bucket, Contents
from pipeline.deliver.disk import Disk
from pipeline.deliver.keeper import Kept
from pipeline.deliver.placing import place, taken
from pipeline.deliver.purchase import Purchase
from pipeline.deliver.shelf import SUFFIXES, Shelf, WaitingShelf

#: Folders of a bucket that are looked through for pictures that another ledger knows; a sign of the rest.
_FOLDERS_LOOKED_AT = 8


class Store(Protocol):
    """Where pictures are kept. Paths are relative to it, with ``/``.

    Attributes:
        afar: Whether keeping a picture takes time of its own, in which others may be fetched.
    """

    afar: bool

    def shelf(self, output: Path, disk: Disk) -> Shelf:
        """Where a picture's bytes wait until they are recorded, on this machine's disk."""
        ...

    async def keep(self, part: Path, purchase: Purchase, kept: Kept) -> str:
        """See a proven picture to where it was promised; its path, once it is durable there.

        Raises:
            FluxbatchError: It cannot be kept there now. The part is as it was, and the next run keeps it.
        """
        ...

    async def place(self, stored: str, wanted: str, *, sha256: str) -> str:
        """Give a stored picture a second place; the path made. Arguments and errors as those of ``placing.place``."""
        ...

    async def taken(self, wanted: Sequence[str]) -> list[str]:
        """Which of the names that pictures may get are taken already, as far as that is cheap to tell."""
        ...


class FolderStore:
    """The output folder: the shelf has named the picture there already, together with others."""

    afar = False

    def __init__(self, output: Path) -> None:
        """Take the folder."""
        self._output = output

    def shelf(self, output: Path, disk: Disk) -> Shelf:
        """The folder's own."""
        return Shelf(output, disk)

    async def keep(self, part: Path, purchase: Purchase, kept: Kept) -> str:  # noqa: ARG002 - it is kept
        """Nothing is left to do."""
        return kept.path

    async def place(self, stored: str, wanted: str, *, sha256: str) -> str:
        """A hard link, else a copy."""
        return await anyio.to_thread.run_sync(partial(place, self._output, stored, wanted, sha256=sha256))

    async def taken(self, wanted: Sequence[str]) -> list[str]:
        """Look for each."""
        return await anyio.to_thread.run_sync(taken, self._output, wanted)


class BucketStore:
    """A bucket. Pictures wait in the output folder, synced, until the bucket has shown that it has them."""

    afar = True

    def __init__(self, bucket: Bucket) -> None:
        """Take the bucket."""
        self._bucket = bucket

    def shelf(self, output: Path, disk: Disk) -> Shelf:
        """One that gives no names."""
        return WaitingShelf(output, disk)

    async def keep(self, part: Path, purchase: Purchase, kept: Kept) -> str:
        """Send it."""
        proof = kept.proof
        contents = Contents(file=part, sha256=proof.sha256, size_bytes=proof.size_bytes, media=f"image/{proof.format}")
        return await self._bucket.put(contents, purchase.path, SUFFIXES[proof.format])

    async def place(self, stored: str, wanted: str, *, sha256: str) -> str:
        """The server copies it."""
        return await self._bucket.place(stored, wanted, sha256=sha256)

    async def taken(self, wanted: Sequence[str]) -> list[str]:
        """Look through the first folders."""
        folders = dict.fromkeys(path.rpartition("/")[0] for path in wanted)
        there = {name for folder in list(folders)[:_FOLDERS_LOOKED_AT] for name in await self._bucket.names(folder)}
        return [name for path in wanted for suffix in SUFFIXES.values() if (name := f"{path}{suffix}") in there]
