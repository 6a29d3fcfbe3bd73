"""The order of a delivery, and that dying at any step of it costs no paid picture."""

import errno
from pathlib import Path

import pytest

from pipeline.deliver import INLINE, Limits, keep_inline
from pipeline.errors import StorageError
from tests.integration.deliver_doubles import (
    KEY,
    PART,
    WINDOW_S,
    Bench,
    CrashError,
    FakeDisk,
    Reply,
    fault,
    picture,
    whole,
)

PNG = picture()
FINAL = "spring/00001-cat.png"
#: What a whole delivery does, with and without hard links.
STEPS = {
    True: [
        "sync_folder {output}",
        "write {part}",
        "sync {part}",
        "link 00001-cat.png",
        "sync_folder spring",
        "record stored",
        "remove {part}",
    ],
    False: [
        "sync_folder {output}",
        "write {part}",
        "sync {part}",
        "link 00001-cat.png",
        "remove {copy}",
        "write {copy}",
        "sync {copy}",
        "write 00001-cat.png",
        "replace 00001-cat.png",
        "remove {copy}",
        "sync_folder spring",
        "record stored",
        "remove {part}",
    ],
}


def steps(output: Path, *, has_links: bool) -> list[str]:
    return [step.format(output=output.name, part=PART, copy=PART[:-4] + "copy") for step in STEPS[has_links]]


class FakeMortalDisk(FakeDisk):
    """Dies at its Nth step, and stays dead."""

    def __init__(self, last: int) -> None:
        super().__init__()
        self._last = last

    def step(self, name: str, path: Path) -> None:
        super().step(name, path)
        if len(self.log) > self._last:
            raise CrashError


@pytest.mark.parametrize("has_links", [True, False])
async def test_synced_named_and_synced_before_it_is_recorded_and_let_go_only_then(
    tmp_path: Path, has_links: bool
) -> None:
    disk = FakeDisk()
    disk.has_links = has_links
    bench = Bench(tmp_path, whole(PNG), disk=disk)
    assert await bench.deliver() == "stored"
    assert bench.log == steps(tmp_path, has_links=has_links)
    assert bench.files() == {FINAL: PNG}


async def die(output: Path, at: int, *, has_links: bool) -> Bench:
    disk = FakeMortalDisk(at)
    disk.has_links = has_links
    bench = Bench(output, whole(PNG), disk=disk)
    if steps(output, has_links=has_links)[at] == "record stored":
        bench.record.error = CrashError()
    with pytest.raises(CrashError):
        await bench.deliver()
    return bench


@pytest.mark.parametrize("at", range(len(STEPS[True])))
async def test_a_crash_at_any_step_costs_nothing(tmp_path: Path, at: int) -> None:
    dead = await die(tmp_path, at, has_links=True)
    if dead.record.pictures:
        assert bytes_of(dead) == PNG
        return
    # Once the part is whole it is the evidence: the window may long be closed and the network gone.
    reply = whole(PNG) if at < steps(tmp_path, has_links=True).index(f"sync {PART}") else Reply(status=404)
    bench = Bench(tmp_path, reply)
    bench.clock.passed = WINDOW_S * 9
    assert await bench.deliver() == "stored"
    assert bench.files() == {FINAL: PNG}


@pytest.mark.parametrize("at", range(len(STEPS[False])))
async def test_a_crash_at_any_step_costs_nothing_without_hard_links(tmp_path: Path, at: int) -> None:
    dead = await die(tmp_path, at, has_links=False)
    if dead.record.pictures:
        assert bytes_of(dead) == PNG
        return
    disk = FakeDisk()
    disk.has_links = False
    reply = whole(PNG) if at < steps(tmp_path, has_links=False).index(f"sync {PART}") else Reply(status=404)
    bench = Bench(tmp_path, reply, disk=disk)
    bench.clock.passed = WINDOW_S * 9
    assert await bench.deliver() == "stored"
    assert bytes_of(bench) == PNG
    leftovers = {name: data for name, data in bench.files().items() if name != bench.record.pictures[0].path}
    assert leftovers in ({}, {FINAL: b""})  # a reserved name may stay behind, empty


def bytes_of(bench: Bench) -> bytes:
    return (bench.output / bench.record.pictures[0].path).read_bytes()


async def test_half_a_part_is_no_evidence_and_is_fetched_anew(tmp_path: Path) -> None:
    part = tmp_path / "spring" / PART
    part.parent.mkdir()
    part.write_bytes(PNG[:-5])
    bench = Bench(tmp_path, whole(PNG))
    assert await bench.deliver() == "stored"
    assert bench.transport.asked == 1
    assert bench.files() == {FINAL: PNG}


async def test_a_whole_part_is_not_fetched_again(tmp_path: Path) -> None:
    part = tmp_path / "spring" / PART
    part.parent.mkdir()
    part.write_bytes(PNG)
    bench = Bench(tmp_path, whole(picture(shade=9)))
    assert await bench.deliver() == "stored"
    assert bench.transport.asked == 0
    assert bench.files() == {FINAL: PNG}


async def test_a_part_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "private"
    elsewhere.write_bytes(picture(shade=9))
    part = tmp_path / "spring" / PART
    part.parent.mkdir()
    part.symlink_to(elsewhere)
    bench = Bench(tmp_path, whole(PNG))
    assert await bench.deliver() == "stored"
    assert bench.files() == {FINAL: PNG, "private": picture(shade=9)}


async def test_a_failed_sync_is_never_repeated_on_the_same_file(tmp_path: Path) -> None:
    disk = FakeDisk()
    disk.fail("sync", fault(errno.EIO))
    bench = Bench(tmp_path, whole(PNG), disk=disk)
    assert await bench.deliver() == "stored"
    assert bench.transport.asked == 2
    syncs = [at for at, step in enumerate(bench.log) if step == f"sync {PART}"]
    assert f"remove {PART}" in bench.log[syncs[0] : syncs[1]]


async def test_syncs_that_keep_failing_are_the_disks_fault(tmp_path: Path) -> None:
    disk = FakeDisk()
    disk.fail("sync", *[fault(errno.EIO)] * 3)
    bench = Bench(tmp_path, whole(PNG), disk=disk)
    assert await bench.deliver() == "left"
    assert isinstance(bench.troubles[0], StorageError)
    assert bench.files() == {}  # what could not be synced is no evidence


async def test_a_failed_sync_with_no_time_left_leaves_the_purchase(tmp_path: Path) -> None:
    disk = FakeDisk()
    disk.fail("sync", fault(errno.EIO))
    bench = Bench(tmp_path, whole(PNG), disk=disk)
    bench.clock.passed = WINDOW_S
    assert await bench.deliver() == "left"
    assert bench.record.ends == []


async def test_a_sync_that_fails_for_want_of_room_is_trouble_at_once(tmp_path: Path) -> None:
    disk = FakeDisk()
    disk.fail("sync", fault(errno.ENOSPC))
    bench = Bench(tmp_path, whole(PNG), disk=disk)
    assert await bench.deliver() == "left"
    assert bench.transport.asked == 1
    assert isinstance(bench.troubles[0], StorageError)


async def test_a_leftover_that_cannot_be_synced_is_fetched_anew(tmp_path: Path) -> None:
    part = tmp_path / "spring" / PART
    part.parent.mkdir()
    part.write_bytes(PNG)
    disk = FakeDisk()
    disk.fail("sync", fault(errno.EIO))
    bench = Bench(tmp_path, whole(PNG), disk=disk)
    assert await bench.deliver() == "stored"
    assert bench.transport.asked == 1


async def test_what_an_earlier_run_left_is_synced_as_a_new_file(tmp_path: Path) -> None:
    """Its sync may have failed for want of room: tried again on that file, it said done, and the disk had nothing."""
    disk = FakeDisk()
    disk.fail("sync", fault(errno.ENOSPC))
    assert await Bench(tmp_path, whole(PNG), disk=disk).deliver() == "left"
    (part,) = (tmp_path / "spring").iterdir()
    distrusted = part.stat().st_ino
    bench = Bench(tmp_path, disk=FakeDisk())
    assert await bench.deliver() == "stored"
    assert bench.transport.asked == 0
    assert bench.log[1:4] == [f"remove {part.stem}.fresh", f"write {part.stem}.fresh", f"sync {part.stem}.fresh"]
    assert (tmp_path / FINAL).stat().st_ino != distrusted


async def test_an_inline_picture_that_an_earlier_run_left_is_synced_as_a_new_file(tmp_path: Path) -> None:
    await keep_inline(tmp_path, KEY, "spring/00001-cat", PNG)
    distrusted = (tmp_path / "spring" / PART).stat().st_ino
    assert await Bench(tmp_path).deliver(url=INLINE, deadline=None) == "stored"
    assert (tmp_path / "spring/00001-cat.png").stat().st_ino != distrusted


async def test_an_inline_picture_needs_no_network(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    await keep_inline(tmp_path, KEY, "spring/00001-cat", PNG)
    assert list(bench.files()) == [f"spring/{PART}"]
    assert await bench.deliver(url=INLINE, deadline=None) == "stored"
    assert bench.files() == {"spring/00001-cat.png": PNG}
    assert bench.transport.asked == 0


async def test_an_inline_picture_that_proves_nothing_is_spoiled(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    await keep_inline(tmp_path, KEY, "spring/00001-cat", b"not a picture")
    assert await bench.deliver(url=INLINE, deadline=None) == "spoiled"
    assert bench.files() == {}


async def test_an_inline_picture_whose_part_is_gone_is_lost(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    assert await bench.deliver(url=INLINE, deadline=None) == "lost"
    assert bench.record.ends[0][1] == "part_missing"


async def test_an_inline_part_that_cannot_be_synced_is_written_anew(tmp_path: Path) -> None:
    await keep_inline(tmp_path, KEY, "spring/00001-cat", PNG)
    disk = FakeDisk()
    disk.fail("sync", fault(errno.EIO))
    bench = Bench(tmp_path, disk=disk)
    assert await bench.deliver(url=INLINE, deadline=None, answered=50.0) == "stored"
    assert bench.log[1:6] == [
        f"sync {PART}",
        f"remove {PART[:-4]}fresh",
        f"write {PART[:-4]}fresh",
        f"sync {PART[:-4]}fresh",
        f"replace {PART}",
    ]


async def test_an_inline_part_is_never_given_up_however_the_disk_fails(tmp_path: Path) -> None:
    await keep_inline(tmp_path, KEY, "spring/00001-cat", PNG)
    disk = FakeDisk()
    disk.fail("sync", fault(errno.EIO), None, fault(errno.EIO))
    bench = Bench(tmp_path, disk=disk)
    assert await bench.deliver(url=INLINE, deadline=None) == "left"
    assert isinstance(bench.troubles[0], StorageError)
    assert bench.files() == {f"spring/{PART}": PNG}


async def test_a_part_removed_before_it_is_proven_is_fetched_anew(tmp_path: Path) -> None:
    class FakeForgetfulDisk(FakeDisk):
        forgot = False

        def read(self, path: Path, *, cap_bytes: int) -> bytes | None:
            if path.exists() and not self.forgot:
                self.forgot = True
                path.unlink()
            return super().read(path, cap_bytes=cap_bytes)

    bench = Bench(tmp_path, whole(PNG), disk=FakeForgetfulDisk(), limits=Limits(piece_bytes=1))
    assert await bench.deliver() == "stored"
    assert bench.transport.asked == 2
