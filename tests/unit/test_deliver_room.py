"""Room on the disk, before anything is paid."""

from pathlib import Path

import pytest

from pipeline.deliver import Disk, Room
from pipeline.deliver.room import PICTURE_BYTES, SPARE_BYTES
from pipeline.errors import FluxbatchError, StorageError


class FakeDisk(Disk):
    """A disk with so much room."""

    def __init__(self, free: int) -> None:
        self.free = free

    def free_bytes(self, folder: Path) -> int:
        return self.free


@pytest.mark.parametrize("outstanding", [0, 7])
def test_a_picture_may_be_bought_while_all_that_is_on_order_and_a_spare_fit(outstanding: int) -> None:
    needed = SPARE_BYTES + (outstanding + 1) * PICTURE_BYTES

    Room(Path("output"), disk=FakeDisk(needed)).require(outstanding)

    with pytest.raises(StorageError, match="too little to buy another picture"):
        Room(Path("output"), disk=FakeDisk(needed - 1)).require(outstanding)


def test_the_real_disk_is_asked(tmp_path: Path) -> None:
    Room(tmp_path).require(0)

    with pytest.raises(StorageError):
        Room(tmp_path).require(10**9)


def test_a_folder_that_has_gone_is_said_before_anything_is_paid(tmp_path: Path) -> None:
    with pytest.raises(FluxbatchError, match="gone"):
        Room(tmp_path / "gone").require(0)
