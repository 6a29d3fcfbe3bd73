"""Names and folders on a real disk: nothing overwritten, nothing outside, nothing half done."""

import errno
import hashlib
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.deliver import Disk, keep_inline, place, prepare_output
from pipeline.deliver.shelf import Shelf
from pipeline.errors import OutputError, StorageError
from tests.integration.deliver_doubles import KEY, PART, Bench, FakeDisk, fault, picture, whole

PNG, OTHER = picture(), picture(shade=9)
DIGEST = hashlib.sha256(PNG).hexdigest()


def put(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_a_taken_name_is_left_alone_and_numbers_follow(tmp_path: Path) -> None:
    put(tmp_path / "spring/00001-cat.png", OTHER)
    put(tmp_path / "spring/00001-cat-2.png", b"")
    bench = Bench(tmp_path, whole(PNG))
    await bench.deliver()
    assert bench.record.pictures[0].path == "spring/00001-cat-3.png"
    assert bench.files() == {
        "spring/00001-cat.png": OTHER,
        "spring/00001-cat-2.png": b"",
        "spring/00001-cat-3.png": PNG,
    }


async def test_the_same_bytes_at_the_name_are_adopted_and_synced(tmp_path: Path) -> None:
    put(tmp_path / "spring/00001-cat.png", PNG)
    disk = FakeDisk()
    bench = Bench(tmp_path, whole(PNG), disk=disk)
    await bench.deliver()
    assert bench.files() == {"spring/00001-cat.png": PNG}
    assert "sync 00001-cat.png" in bench.log


async def test_other_bytes_of_the_same_length_are_not(tmp_path: Path) -> None:
    put(tmp_path / "spring/00001-cat.png", PNG[:-1] + b"!")
    bench = Bench(tmp_path, whole(PNG))
    await bench.deliver()
    assert bench.record.pictures[0].path == "spring/00001-cat-2.png"


async def test_a_link_at_the_name_is_not_followed(tmp_path: Path) -> None:
    put(tmp_path / "elsewhere.png", PNG)
    (tmp_path / "spring").mkdir()
    (tmp_path / "spring/00001-cat.png").symlink_to(tmp_path / "elsewhere.png")
    bench = Bench(tmp_path, whole(PNG))
    await bench.deliver()
    assert bench.record.pictures[0].path == "spring/00001-cat-2.png"


async def test_somebody_elses_file_of_the_same_length_is_stepped_over(tmp_path: Path) -> None:
    put(tmp_path / "spring/00001-cat.png", OTHER[: len(PNG)].ljust(len(PNG)))

    class FakeShutDisk(FakeDisk):
        def digest(self, path: Path) -> bytes:
            if path.name == "00001-cat.png":
                raise fault(errno.EACCES)
            return super().digest(path)

    bench = Bench(tmp_path, whole(PNG), disk=FakeShutDisk())
    await bench.deliver()
    assert bench.record.pictures[0].path == "spring/00001-cat-2.png"


async def test_a_file_that_vanishes_while_it_is_compared_is_stepped_over(tmp_path: Path) -> None:
    put(tmp_path / "spring/00001-cat.png", OTHER)

    class FakeFleetingDisk(FakeDisk):
        def look(self, path: Path) -> os.stat_result | None:
            return None if path.name == "00001-cat.png" else super().look(path)

    bench = Bench(tmp_path, whole(PNG), disk=FakeFleetingDisk())
    await bench.deliver()
    assert bench.record.pictures[0].path == "spring/00001-cat-2.png"


async def test_names_do_not_go_on_for_ever(tmp_path: Path) -> None:
    class FakeCrowdedDisk(FakeDisk):
        def link(self, source: Path, target: Path) -> None:
            raise fault(errno.EEXIST)

    bench = Bench(tmp_path, whole(PNG), disk=FakeCrowdedDisk())
    assert await bench.deliver() == "left"
    assert "1000 files of that name" in str(bench.troubles[0])


@pytest.mark.parametrize("path", ["/etc/cat", "../cat", "a/../../cat", "", "..", "."])
async def test_a_place_outside_the_output_folder_is_refused(tmp_path: Path, path: str) -> None:
    output = tmp_path / "output"
    output.mkdir()
    bench = Bench(output, whole(PNG))
    assert await bench.deliver(path=path) == "left"
    assert isinstance(bench.troubles[0], OutputError)
    assert names(tmp_path) == ["output"]


async def test_a_linked_folder_that_leads_outside_is_refused(tmp_path: Path) -> None:
    output, outside = tmp_path / "output", tmp_path / "outside"
    output.mkdir()
    outside.mkdir()
    (output / "spring").symlink_to(outside)
    bench = Bench(output, whole(PNG))
    assert await bench.deliver(path="spring/deep/cat") == "left"
    assert "leads outside" in str(bench.troubles[0])
    assert names(outside) == []


async def test_a_linked_folder_that_stays_inside_is_fine(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "spring").symlink_to(tmp_path / "real")
    bench = Bench(tmp_path, whole(PNG))
    assert await bench.deliver() == "stored"
    assert bench.files()["real/00001-cat.png"] == PNG


async def test_new_folders_are_made_durable_from_the_inside_out_and_once(tmp_path: Path) -> None:
    disk = FakeDisk()
    bench = Bench(tmp_path, whole(PNG), whole(OTHER), disk=disk)
    await bench.deliver(path="a/b/cat")
    assert bench.log[:2] == ["sync_folder a", f"sync_folder {tmp_path.name}"]
    bench.log.clear()
    await bench.deliver(path="a/b/dog")
    assert [step for step in bench.log if step.startswith("sync_folder")] == ["sync_folder b"]


async def test_more_folders_than_are_remembered_cost_only_time(tmp_path: Path) -> None:
    class FakeQuickDisk(FakeDisk):
        def make_folder(self, folder: Path) -> None:
            pass

        def sync_folder(self, folder: Path) -> None:
            self.log.append(folder.name)

    disk = FakeQuickDisk()
    shelf = Shelf(tmp_path, disk)
    for number in range(4097):
        shelf.folder(f"{number}/cat")
    shelf.folder("0/cat")
    assert len(disk.log) == 4098


def test_a_second_place_is_a_second_name(tmp_path: Path) -> None:
    put(tmp_path / "a/cat.png", PNG)
    assert place(tmp_path, "a/cat.png", "b/c/dog", sha256=DIGEST) == "b/c/dog.png"
    assert (tmp_path / "a/cat.png").samefile(tmp_path / "b/c/dog.png")


def test_a_second_place_made_twice_is_one(tmp_path: Path) -> None:
    put(tmp_path / "a/cat.png", PNG)
    assert [place(tmp_path, "a/cat.png", "b/dog", sha256=DIGEST) for _ in range(2)] == ["b/dog.png"] * 2
    assert names(tmp_path / "b") == ["dog.png"]


def test_a_second_place_never_overwrites(tmp_path: Path) -> None:
    put(tmp_path / "a/cat.png", PNG)
    put(tmp_path / "b/dog.png", OTHER)
    assert place(tmp_path, "a/cat.png", "b/dog", sha256=DIGEST) == "b/dog-2.png"
    assert (tmp_path / "b/dog.png").read_bytes() == OTHER


@pytest.mark.parametrize("code", [errno.EPERM, errno.EXDEV, errno.EMLINK, errno.EOPNOTSUPP])
def test_without_hard_links_a_second_place_is_a_synced_copy(tmp_path: Path, code: int) -> None:
    put(tmp_path / "a/cat.png", PNG)
    disk = FakeDisk()
    disk.fail("link", fault(code))
    assert place(tmp_path, "a/cat.png", "dog", sha256=DIGEST, disk=disk) == "dog.png"
    assert (tmp_path / "dog.png").read_bytes() == PNG
    assert not (tmp_path / "a/cat.png").samefile(tmp_path / "dog.png")
    written, synced = (next(at for at, step in enumerate(disk.log) if step.startswith(name)) for name in ("w", "sync "))
    assert written < synced < disk.log.index("replace dog.png")
    assert names(tmp_path) == ["a", "dog.png"]


def test_without_hard_links_a_taken_name_is_left_alone(tmp_path: Path) -> None:
    put(tmp_path / "a/cat.png", PNG)
    put(tmp_path / "dog.png", OTHER)
    disk = FakeDisk()
    disk.has_links = False
    assert place(tmp_path, "a/cat.png", "dog", sha256=DIGEST, disk=disk) == "dog-2.png"
    assert place(tmp_path, "a/cat.png", "dog", sha256=DIGEST, disk=disk) == "dog-2.png"
    assert names(tmp_path) == ["a", "dog-2.png", "dog.png"]


def test_a_picture_that_is_not_there_cannot_be_placed(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="not there any more"):
        place(tmp_path, "a/cat.png", "dog", sha256=DIGEST)


@pytest.mark.parametrize("data", [OTHER, PNG[:-1], PNG[:-1] + b"!", b""])
def test_what_is_not_the_picture_that_was_stored_is_not_spread(tmp_path: Path, data: bytes) -> None:
    put(tmp_path / "a/cat.png", data)
    with pytest.raises(OutputError, match=r"a/cat\.png: is not the picture that was stored") as caught:
        place(tmp_path, "a/cat.png", "b/dog", sha256=DIGEST)
    assert "ledger verify" in caught.value.remedy
    assert names(tmp_path) == ["a"]


def test_a_link_or_a_folder_where_the_picture_was_is_not_placed(tmp_path: Path) -> None:
    put(tmp_path / "elsewhere.png", PNG)
    (tmp_path / "cat.png").symlink_to("elsewhere.png")
    (tmp_path / "dog.png").mkdir()
    for name in ("cat.png", "dog.png"):
        with pytest.raises(OutputError, match="not there any more"):
            place(tmp_path, name, "b/c", sha256=DIGEST)


def test_a_picture_that_cannot_be_read_is_trouble(tmp_path: Path) -> None:
    put(tmp_path / "a/cat.png", PNG)

    class FakeShutDisk(FakeDisk):
        def digest(self, path: Path) -> bytes:
            raise fault(errno.EIO)

    with pytest.raises(StorageError, match=r"a/cat\.png"):
        place(tmp_path, "a/cat.png", "dog", sha256=DIGEST, disk=FakeShutDisk())


def test_a_second_place_on_a_full_disk_is_trouble(tmp_path: Path) -> None:
    put(tmp_path / "a/cat.png", PNG)
    disk = FakeDisk()
    disk.fail("link", fault(errno.ENOSPC))
    with pytest.raises(StorageError):
        place(tmp_path, "a/cat.png", "dog", sha256=DIGEST, disk=disk)


async def test_inline_bytes_are_synced_before_they_have_their_name(tmp_path: Path) -> None:
    disk = FakeDisk()
    await keep_inline(tmp_path, KEY, "spring/cat", PNG, disk=disk)
    fresh = PART[:-4] + "fresh"
    assert disk.log[-4:] == [f"write {fresh}", f"sync {fresh}", f"replace {PART}", "sync_folder spring"]


async def test_inline_bytes_on_a_full_disk_leave_nothing(tmp_path: Path) -> None:
    disk = FakeDisk()
    disk.fail("sync", *[fault(errno.ENOSPC)] * 2)
    with pytest.raises(StorageError, match="No space left"):
        await keep_inline(tmp_path, KEY, "cat", PNG, disk=disk)
    assert names(tmp_path) == []


@pytest.mark.parametrize("step", ["write", "sync", "replace", "sync_folder"])
async def test_inline_bytes_that_a_disk_refuses_once_are_written_anew(tmp_path: Path, step: str) -> None:
    """They are all there is of a paid picture, and were let go at the first failure."""
    disk = FakeDisk()
    disk.fail(step, fault(errno.EIO))
    await keep_inline(tmp_path, KEY, "cat", PNG, disk=disk)
    assert (tmp_path / PART).read_bytes() == PNG
    assert names(tmp_path) == [PART]


def test_an_output_folder_is_made_with_its_parents_and_durably(tmp_path: Path) -> None:
    disk = FakeDisk()
    prepare_output(tmp_path / "a/b", disk=disk)
    assert names(tmp_path / "a/b") == []
    assert disk.log[:2] == ["sync_folder a", f"sync_folder {tmp_path.name}"]


def test_an_output_folder_may_be_there_already(tmp_path: Path) -> None:
    put(tmp_path / "cat.png", PNG)
    prepare_output(tmp_path)
    assert names(tmp_path) == ["cat.png"]


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_an_output_folder_that_cannot_be_made_is_refused_with_the_remedy(tmp_path: Path, name: str) -> None:
    put(tmp_path / "file", b"")
    with pytest.raises(OutputError) as caught:
        prepare_output(tmp_path / name)
    assert caught.value.message == f"{tmp_path / 'file'}: a folder is wanted here, and there is something else"
    assert caught.value.remedy == "move it away, or choose another folder with --output"
    assert caught.value.exit_code == 73


def test_an_output_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    disk = FakeDisk()
    disk.fail("write", fault(errno.EACCES))
    with pytest.raises(OutputError):
        prepare_output(tmp_path, disk=disk)


def test_a_nearly_full_disk_is_refused(tmp_path: Path) -> None:
    disk = FakeDisk()
    disk.free = 5_000_000
    with pytest.raises(StorageError, match="only 5 MB are free, and a run wants 268 MB;") as caught:
        prepare_output(tmp_path, disk=disk)
    assert caught.value.exit_code == 74


def test_the_room_left_is_read_from_the_disk(tmp_path: Path) -> None:
    assert Disk().free_bytes(tmp_path) > 0


def test_a_pipe_or_a_folder_or_a_giant_is_no_leftover(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    put(tmp_path / "giant", PNG)
    disk = Disk()
    assert [disk.read(tmp_path / name, cap_bytes=9) for name in ("pipe", "folder", "giant", "none")] == [None] * 4


def test_a_link_is_never_opened(tmp_path: Path) -> None:
    put(tmp_path / "cat.png", PNG)
    (tmp_path / "link").symlink_to(tmp_path / "cat.png")
    with pytest.raises(OSError, match="symbolic links"):
        Disk().sync(tmp_path / "link")


def test_an_output_on_a_limited_file_size_is_trouble_and_not_a_crash(tmp_path: Path) -> None:
    script = (
        "import asyncio, signal, sys; from pathlib import Path; from pipeline.deliver import keep_inline\n"
        "from pipeline.errors import StorageError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "try: asyncio.run(keep_inline(Path(sys.argv[1]), 'k' * 64, 'cat', b'x' * 9000))\n"
        "except StorageError as error: print(error.remedy)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
        env={key: value for key, value in os.environ.items() if not key.startswith("COV")},
    )
    assert "ulimit -f" in done.stdout
    assert names(tmp_path) == []


async def test_a_name_that_is_not_durable_is_not_recorded(tmp_path: Path) -> None:
    disk = FakeDisk()
    disk.fail("sync_folder", None, fault(errno.EIO))
    bench = Bench(tmp_path, whole(PNG), disk=disk)

    assert await bench.deliver() == "left"
    assert bench.log[-2:] == ["link 00001-cat.png", "sync_folder spring"]
    assert bench.record.ends == []
