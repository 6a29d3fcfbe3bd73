"""A captioned picture on a real disk: what is recorded is the file as it is kept, whenever the process dies."""

import contextlib
import hashlib
from pathlib import Path

import pytest

from pipeline.deliver import INLINE, Caption, Limits
from pipeline.deliver.caption import captioned
from tests.integration.deliver_doubles import (
    PART,
    START,
    Bench,
    CrashError,
    FakeDisk,
    fault,
    picture,
    whole,
)

CAPTION = Caption(prompt="A cat", model="flux-kontext-pro", seed=None, key="0123456789abcdef" * 4)
PNG = picture()
TOLD = captioned(PNG, "png", CAPTION)
NAME = "spring/00001-cat.png"


async def test_the_digest_recorded_is_the_files_as_it_is_kept(tmp_path: Path) -> None:
    bench = Bench(tmp_path, whole(PNG))
    assert await bench.deliver(caption=CAPTION) == "stored"
    assert bench.files() == {NAME: TOLD}
    (stored,) = bench.record.pictures
    assert (stored.sha256, stored.size_bytes) == (hashlib.sha256(TOLD).hexdigest(), len(TOLD))


async def test_a_picture_that_came_inside_its_answer_is_captioned_too(tmp_path: Path) -> None:
    (tmp_path / "spring").mkdir()
    (tmp_path / "spring" / PART).write_bytes(PNG)
    bench = Bench(tmp_path)
    assert await bench.deliver(url=INLINE, deadline=None, caption=CAPTION) == "stored"
    assert bench.files() == {NAME: TOLD}


async def test_the_captioned_bytes_are_synced_before_they_have_their_name(tmp_path: Path) -> None:
    disk = FakeDisk()
    await Bench(tmp_path, whole(PNG), disk=disk).deliver(caption=CAPTION)
    fresh = PART.replace(".part", ".fresh")
    steps = [step for step in disk.log if step in {f"sync {fresh}", f"replace {PART}", f"link {Path(NAME).name}"}]
    assert steps == [f"sync {fresh}", f"replace {PART}", f"link {Path(NAME).name}"]


@pytest.mark.parametrize("step", ["write", "sync", "replace", "link", "sync_folder", "remove"])
@pytest.mark.parametrize("nth", [0, 1, 2, 3])
async def test_whenever_the_process_dies_the_next_run_keeps_one_whole_captioned_picture(
    tmp_path: Path, step: str, nth: int
) -> None:
    disk = FakeDisk()
    disk.fail(step, *[None] * nth, CrashError())
    first = Bench(tmp_path, whole(PNG), disk=disk)
    with contextlib.suppress(CrashError):
        await first.deliver(caption=CAPTION)
    second = Bench(tmp_path, whole(PNG))
    assert await second.deliver(caption=CAPTION) == "stored"
    assert second.files()[NAME] == TOLD
    assert [name for name in second.files() if name.endswith(".png")] == [NAME]
    assert second.record.pictures[0].sha256 == hashlib.sha256(TOLD).hexdigest()


async def test_a_disk_that_fails_over_the_caption_loses_nothing(tmp_path: Path) -> None:
    disk = FakeDisk()
    disk.fail("replace", fault(5), fault(5))
    bench = Bench(tmp_path, whole(PNG), disk=disk, limits=Limits())
    assert await bench.deliver(caption=CAPTION) == "stored"
    assert bench.files() == {NAME: TOLD}


async def test_without_a_caption_the_bytes_are_those_that_came(tmp_path: Path) -> None:
    bench = Bench(tmp_path, whole(PNG))
    assert await bench.deliver(bought_at=START) == "stored"
    assert bench.files() == {NAME: PNG}
