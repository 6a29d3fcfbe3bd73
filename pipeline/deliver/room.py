"""Disk space for what is about to be bought: looked for before the money is spent, not after."""

from math import inf
from pathlib import Path

from pipeline.clock import Clock, SystemClock
from pipeline.deliver.disk import Disk
from pipeline.deliver.trouble import trouble
from pipeline.errors import StorageError

#: Room for one picture and its records; one megapixel as PNG is about 2 MB, as JPEG well under 1.
PICTURE_BYTES = 4 * 1024 * 1024
#: Left free besides, so that what is paid can still be recorded.
SPARE_BYTES = 64 * 1024 * 1024
#: Where so much more is free, the disk is asked again only after so many seconds: nobody fills 10 GB in one.
AMPLE_BYTES, AMPLE_S = 1024 * 1024 * 1024, 0.1


class Room:
    """The output folder's free space; it is asked for anew each time, unless there is plenty."""

    def __init__(self, output: Path, *, disk: Disk | None = None, clock: Clock | None = None) -> None:
        """Take the folder; the machine's disk and clock when None."""
        self._output = output
        self._disk = disk or Disk()
        self._clock = clock or SystemClock()
        self._asked_at = -inf
        self._ample_for = 0

    def require(self, outstanding: int) -> None:
        """Make sure that one more picture can be kept beside those bought or on order.

        Args:
            outstanding: How many those are.

        Raises:
            StorageError: The disk has too little room, or fails; nothing more may be bought.
            OutputError: The folder is gone.
        """
        needed = SPARE_BYTES + (outstanding + 1) * PICTURE_BYTES
        now = self._clock.monotonic()
        if needed <= self._ample_for and now - self._asked_at < AMPLE_S:
            return
        try:
            free = self._disk.free_bytes(self._output)
        except OSError as error:
            raise trouble(error, self._output) from error
        if free < needed:
            raise StorageError(
                f"{self._output}: only {free // 1_000_000} MB are free, too little to buy another picture",
                remedy="make room and run again",
            )
        self._asked_at, self._ample_for = now, free - AMPLE_BYTES
