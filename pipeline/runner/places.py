"""Two ways to say where a picture is: relative to where this run keeps pictures, and as the ledger records it."""

import os
import posixpath
from pathlib import Path, PurePosixPath
from typing import Protocol

from pipeline.bucket import BucketAddress


class Places(Protocol):
    """Translates between the two."""

    def recorded(self, path: str) -> str:
        """From relative to where pictures are kept to what the ledger records."""
        ...

    def in_output(self, recorded: str) -> str | None:
        """From what the ledger records to relative to where pictures are kept; None for a place that is elsewhere."""
        ...


class FolderPlaces:
    """Translates between the two, so that output and ledger may be moved together."""

    def __init__(self, output: Path, ledger_folder: Path) -> None:
        """Look once where links lead: a million rows ask.

        Args:
            output: The output folder.
            ledger_folder: Where the ledger is; what recorded paths are relative to.
        """
        self._output = output.resolve()
        self._ledger_folder = ledger_folder.resolve()
        self._between = PurePosixPath(os.path.relpath(self._output, self._ledger_folder)).as_posix()

    def recorded(self, path: str) -> str:
        """From relative to the output folder to what the ledger records."""
        return posixpath.normpath(f"{self._between}/{path}")

    def in_output(self, recorded: str) -> str | None:
        """From what the ledger records to relative to the output folder; None for a place outside it."""
        absolute = os.path.normpath(self._ledger_folder / recorded)
        try:
            return PurePosixPath(Path(absolute).relative_to(self._output)).as_posix()
        except ValueError:
            return None


class BucketPlaces:
    """The same for a bucket: the ledger records the whole address, wherever the ledger is."""

    def __init__(self, address: BucketAddress) -> None:
        """Take the bucket and its prefix."""
        self.recorded = address.recorded
        self.in_output = address.path_of


def places_of(store: BucketAddress | None, *, output: Path, ledger_folder: Path) -> Places:
    """The translation for where a manifest's pictures go.

    Args:
        store: None: the output folder.
    """
    return FolderPlaces(output, ledger_folder) if store is None else BucketPlaces(store)
