"""Room on the disk, before anything is paid."""

from pathlib import Path

import pytest

from pipeline.clock import SystemClock
from pipeline.deliver import Disk, Room
from pipeline.deliver.room import AMPLE_BYTES, AMPLE_S, PICTURE_BYTES, SPARE_BYTES
from pipeline.errors import FluxbatchError, StorageError


class FakeDisk(Disk):
    """A disk with so much room."""

    def __init__(self, free: int) -> None:
        self.free = free
        self.asked = 0

    def free_bytes(self, folder: Path) -> int:
        self.asked += 1
        return self.free


class FakeClock(SystemClock):
    """Time passes when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.mark.parametrize("outstanding", [0, 7])
def test_a_picture_may_be_bought_while_all_that_is_on_order_and_a_spare_fit(outstanding: int) -> None:
    needed = SPARE_BYTES + (outstanding + 1) * PICTURE_BYTES

    Room(Path("output"), disk=FakeDisk(needed)).require(outstanding)

    with pytest.raises(StorageError, match="too little to buy another picture"):
        Room(Path("output"), disk=FakeDisk(needed - 1)).require(outstanding)


def test_a_disk_with_plenty_of_room_is_asked_again_after_a_moment() -> None:
    disk, clock = FakeDisk(AMPLE_BYTES + SPARE_BYTES + 3 * PICTURE_BYTES), FakeClock()
    room = Room(Path("output"), disk=disk, clock=clock)
    for _ in range(3):
        room.require(2)
    assert disk.asked == 1
    room.require(3)
    assert disk.asked == 2

    disk.free = 0
    clock.now += AMPLE_S
    with pytest.raises(StorageError):
        room.require(0)


def test_a_disk_without_plenty_of_room_is_asked_each_time() -> None:
    disk = FakeDisk(AMPLE_BYTES + SPARE_BYTES)
    room = Room(Path("output"), disk=disk, clock=FakeClock())
    for _ in range(3):
        room.require(0)
    assert disk.asked == 3


def test_the_real_disk_is_asked(tmp_path: Path) -> None:
    Room(tmp_path).require(0)

    with pytest.raises(StorageError):
        Room(tmp_path).require(10**9)


def test_a_folder_that_has_gone_is_said_before_anything_is_paid(tmp_path: Path) -> None:
    with pytest.raises(FluxbatchError, match="gone"):
        Room(tmp_path / "gone").require(0)
