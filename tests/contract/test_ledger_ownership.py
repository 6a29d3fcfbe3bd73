"""An export never takes the place of anything of the ledger's own, and leaves the old file when it fails."""

import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.errors import ExitCode, OutputError, UsageError
from pipeline.ledger import ExportFormat, JobState, Ledger, Row, export
from tests.contract.ledger_scene import Scene

FORMS: tuple[ExportFormat, ...] = ("csv", "jsonl", "parquet")
PICTURE = "pictures/001.jpeg"


def write(scene: Scene, to: Path, form: ExportFormat = "csv", *, ledger: Path | None = None) -> None:
    with Ledger(ledger or scene.address) as opened:
        opened.export(to=to, form=form, stdout=io.StringIO())


def files(folder: Path) -> dict[str, bytes]:
    # Whoever opens a ledger to read it leaves a mark in its shared memory.
    found = (path for path in folder.rglob("*") if path.is_file() and not path.name.endswith("-shm"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


@pytest.fixture
async def kept(scene: Scene) -> Scene:
    """A ledger with one stored picture."""
    await scene.bring_to(JobState.STORED, await scene.begin(), scene.job())
    return scene


@pytest.fixture
async def kept_file(file_scene: Scene) -> Scene:
    """A ledger in a file, with one stored picture."""
    await file_scene.bring_to(JobState.STORED, await file_scene.begin(), file_scene.job())
    return file_scene


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("ending", ["", "-wal", "-shm", "-journal", ".lock"])
async def test_the_ledger_and_what_stands_beside_it_is_not_written_over(
    kept_file: Scene, ending: str, form: ExportFormat
) -> None:
    kept = kept_file
    (kept.folder / "ledger.db.lock").write_bytes(b"{}")
    before = files(kept.folder)
    target = kept.folder / f"ledger.db{ending}"
    with pytest.raises(UsageError, match="belongs to the ledger itself") as caught:
        write(kept, target, form)
    assert caught.value.exit_code is ExitCode.USAGE
    assert "--to" in caught.value.remedy
    assert "\n" not in str(caught.value)
    assert files(kept.folder) == before


@pytest.mark.parametrize("form", FORMS)
async def test_a_picture_is_not_written_over(kept: Scene, form: ExportFormat) -> None:
    with pytest.raises(UsageError, match="is a picture of this ledger") as caught:
        write(kept, kept.folder / PICTURE, form)
    assert caught.value.exit_code is ExitCode.USAGE
    assert kept.verify().proven


async def test_an_equal_rows_picture_is_not_written_over(scene: Scene) -> None:
    run = await scene.begin()
    first, second = await scene.see(run, scene.job(index=1), scene.job(index=2))
    await scene.bring_to(JobState.STORED, run, scene.job(), placement=first.placement)
    await scene.writer.place(placement=second.placement, path="second.jpeg")
    with pytest.raises(UsageError, match="is a picture"):
        write(scene, scene.folder / "second.jpeg")


async def test_a_pictures_place_is_its_own_even_while_the_file_is_gone(kept: Scene) -> None:
    (kept.folder / PICTURE).unlink()
    with pytest.raises(UsageError, match="is a picture"):
        write(kept, kept.folder / PICTURE)


@pytest.mark.parametrize("name", ["a-link.csv", "another/../pictures/001.jpeg", "linked/001.jpeg"])
async def test_another_way_to_a_picture_leads_to_the_picture(kept: Scene, name: str) -> None:
    (kept.folder / "another").mkdir()
    (kept.folder / "linked").symlink_to("pictures")
    (kept.folder / "a-link.csv").symlink_to(PICTURE)
    with pytest.raises(UsageError, match="is a picture"):
        write(kept, kept.folder / name)
    assert kept.verify().proven


async def test_another_way_to_the_ledger_leads_to_the_ledger(kept_file: Scene) -> None:
    kept = kept_file
    (kept.folder / "link.db").symlink_to("ledger.db")
    (kept.folder / "hard.db").hardlink_to(kept.folder / "ledger.db")
    for ledger, target in (("ledger.db", "link.db"), ("ledger.db", "hard.db"), ("link.db", "ledger.db-wal")):
        with pytest.raises(UsageError, match="belongs to the ledger"):
            write(kept, kept.folder / target, ledger=kept.folder / ledger)


async def test_a_relative_path_to_the_ledger_is_the_ledger(kept_file: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(kept_file.folder)
    with pytest.raises(UsageError, match="belongs to the ledger"):
        write(kept_file, Path("ledger.db"), ledger=Path("ledger.db"))


@pytest.mark.parametrize("name", ["001.jpeg", "pictures/01.jpeg", "pictures/x001.jpeg", "ledger.db.csv"])
async def test_a_file_that_only_looks_like_ours_is_written(kept: Scene, name: str) -> None:
    write(kept, kept.folder / name)
    assert (kept.folder / name).read_bytes().startswith(b"key,manifest")


async def test_a_name_that_is_no_text_is_not_ours(kept: Scene) -> None:
    target = kept.folder / os.fsdecode(b"r\xe9sum\xe9.csv")
    write(kept, target)
    assert target.exists()


@pytest.mark.parametrize("form", FORMS)
async def test_an_old_export_is_replaced_and_keeps_its_mode(kept: Scene, form: ExportFormat) -> None:
    target = kept.folder / "rows"
    target.write_bytes(b"old")
    target.chmod(0o640)
    write(kept, target, form)
    assert target.read_bytes() != b"old"
    assert target.stat().st_mode & 0o777 == 0o640
    assert not [name for name in files(kept.folder) if "export" in name]


async def test_an_export_through_a_link_is_written_to_what_it_leads_to(kept: Scene) -> None:
    (kept.folder / "link.csv").symlink_to("real.csv")
    write(kept, kept.folder / "link.csv")
    assert (kept.folder / "link.csv").is_symlink()
    assert (kept.folder / "real.csv").stat().st_size > 0


@pytest.mark.parametrize("form", FORMS)
async def test_an_export_that_fails_half_way_leaves_the_old_file(kept: Scene, form: ExportFormat) -> None:
    def half() -> Iterator[Row]:
        yield from kept.rows()
        raise OSError(5, "Input/output error")

    target = kept.folder / "rows"
    target.write_bytes(b"old")
    before = files(kept.folder)
    with pytest.raises(OutputError, match="cannot be written"):
        export(half(), to=target, form=form, stdout=io.StringIO())
    assert files(kept.folder) == before


@pytest.mark.parametrize("form", ["csv", "jsonl"])
async def test_a_pipe_is_written_to_and_not_replaced(kept: Scene, form: ExportFormat) -> None:
    pipe = kept.folder / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    try:
        write(kept, pipe, form)
        assert b"a lighthouse" in os.read(reader, 65_536)
    finally:
        os.close(reader)
    assert pipe.is_fifo()


@pytest.mark.parametrize("name", ["", "pictures", "n" * 300, "pictures/001.jpeg/below", "missing/rows.csv"])
async def test_what_cannot_be_written_says_so(kept: Scene, name: str) -> None:
    before = files(kept.folder)
    with pytest.raises(OutputError, match="cannot be written") as caught:
        write(kept, kept.folder / name)
    assert caught.value.remedy
    assert files(kept.folder) == before


async def test_without_a_file_an_export_goes_to_standard_output(kept: Scene) -> None:
    out = io.StringIO()
    with Ledger(kept.address) as ledger:
        ledger.export(to=None, form="csv", stdout=out)
    assert out.getvalue().startswith("key,manifest")
