"""Disk space for what is about to be bought: looked for before the money is spent, not after."""

from pathlib import Path

from pipeline.deliver.disk import Disk
from pipeline.deliver.trouble import trouble
from pipeline.errors import StorageError

#: Room for one picture and its records; one megapixel as PNG is about 2 MB, as JPEG well under 1.
PICTURE_BYTES = 4 * 1024 * 1024
#: Left free besides, so that what is paid can still be recorded.
SPARE_BYTES = 64 * 1024 * 1024


class Room:
    """The output folder's free space."""

    def __init__(self, output: Path, *, disk: Disk | None = None) -> None:
        """Take the folder; its file system is asked anew each time."""
        self._output = output
        self._disk = disk or Disk()

    def require(self, outstanding: int) -> None:
        """Make sure that one more picture can be kept beside those bought or on order.

        Args:
            outstanding: How many those are.

        Raises:
            StorageError: The disk has too little room, or fails; nothing more may be bought.
            OutputError: The folder is gone.
        """
        needed = SPARE_BYTES + (outstanding + 1) * PICTURE_BYTES
        try:
            free = self._disk.free_bytes(self._output)
        except OSError as error:
            raise trouble(error, self._output) from error
        if free < needed:
            raise StorageError(
                f"{self._output}: only {free // 1_000_000} MB are free, too little to buy another picture",
                remedy="make room and run again",
            )
