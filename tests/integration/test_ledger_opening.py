"""What is found where a ledger should be, and what is said of it."""

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import anyio
import apsw
import pytest

from pipeline.errors import (
    ExitCode,
    FluxbatchError,
    LedgerCorruptError,
    NotFoundError,
    OutputError,
    StorageError,
)
from pipeline.ledger import JobState, Ledger, LedgerWriter, settle
from pipeline.ledger import connection as ledger_connection
from pipeline.ledger.connection import open_writing
from pipeline.ledger.founding import found
from pipeline.ledger.schema import APPLICATION_ID, MIGRATIONS
from tests.contract.ledger_scene import FakeClock, opened

Finder = Callable[[Path], None]


def _text(path: Path) -> None:
    path.write_text("a shopping list\n" * 100)


def _nothing(path: Path) -> None:
    path.touch()


def _another_database(path: Path) -> None:
    with apsw.Connection(str(path)) as connection:
        connection.execute("CREATE TABLE birds (name)")
    connection.close()


def _another_application(path: Path) -> None:
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA application_id = 77")
    connection.close()


def _newer(path: Path) -> None:
    connection = open_writing(path)
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()


def _garbage_in_the_middle(path: Path) -> None:
    open_writing(path).close()
    size = path.stat().st_size
    with path.open("r+b") as handle:
        handle.seek(100)
        handle.write(b"\xde\xad\xbe\xef" * ((size - 100) // 4))


CORRUPT: dict[str, tuple[Finder, str]] = {
    "an empty file": (_nothing, "an empty file where the ledger should be"),
    "not a database": (_text, "not a ledger"),
    "another database": (_another_database, "not a ledger"),
    "another program's database": (_another_application, "not a ledger"),
    "a newer version": (_newer, "newer"),
    "garbage": (_garbage_in_the_middle, "damaged"),
}


def _one_line(error: FluxbatchError, path: Path) -> bool:
    return "\n" not in str(error) and str(path) in str(error) and bool(error.remedy)


async def _open(path: Path) -> None:
    with anyio.fail_after(20):
        async with LedgerWriter(path, clock=FakeClock()):
            pass


@pytest.mark.parametrize("found", CORRUPT)
async def test_a_run_refuses_what_is_no_ledger_and_leaves_it_as_it_is(tmp_path: Path, found: str) -> None:
    path = tmp_path / "ledger.db"
    make, says = CORRUPT[found]
    make(path)
    before = path.read_bytes()
    with pytest.raises(LedgerCorruptError, match=says) as caught:
        await _open(path)
    assert caught.value.exit_code is ExitCode.STORAGE
    assert _one_line(caught.value, path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("found", CORRUPT)
def test_a_reader_refuses_what_is_no_ledger(tmp_path: Path, found: str) -> None:
    path = tmp_path / "ledger.db"
    make, says = CORRUPT[found]
    make(path)
    with pytest.raises(LedgerCorruptError, match=says) as caught:
        Ledger(path).close()
    assert _one_line(caught.value, path)


async def test_a_missing_file_becomes_a_ledger(tmp_path: Path) -> None:
    await _open(tmp_path / "ledger.db")
    with Ledger(tmp_path / "ledger.db") as ledger:
        assert ledger.status() == []


def test_a_reader_says_that_a_ledger_is_of_an_older_version(tmp_path: Path) -> None:
    connection = open_writing(tmp_path / "ledger.db")
    connection.execute("PRAGMA user_version = 0")
    connection.close()
    with pytest.raises(LedgerCorruptError, match="older version"):
        Ledger(tmp_path / "ledger.db")


@pytest.mark.parametrize("name", ["missing.db", "", "n" * 300])
def test_a_reader_finds_no_ledger_in_a_missing_file_or_a_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        Ledger(tmp_path / name)
    assert caught.value.exit_code is ExitCode.NOT_FOUND
    assert "\n" not in str(caught.value)


def test_reading_makes_no_ledger(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        Ledger(tmp_path / "ledger.db")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["folder", "missing/ledger.db", "file/ledger.db"])
async def test_a_run_that_cannot_make_its_ledger_says_so(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be opened") as caught:
        await _open(tmp_path / name)
    assert caught.value.exit_code is ExitCode.CANNOT_CREATE
    assert _one_line(caught.value, tmp_path / name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_run_in_an_unwritable_folder_says_so(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OutputError, match="permissions"):
            open_writing(tmp_path / "ledger.db")
    finally:
        tmp_path.chmod(0o700)


async def test_a_run_in_a_folder_that_takes_no_files_says_so() -> None:
    with pytest.raises(OutputError, match="permissions"):
        await _open(Path("/proc/fluxbatch-ledger.db"))


async def test_a_path_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="not a UTF-8 path") as caught:
        await _open(tmp_path / "ledger\udc80.db")
    str(caught.value).encode()


def test_a_place_without_a_write_ahead_log_is_refused() -> None:
    nowhere = apsw.Connection(":memory:")
    with pytest.raises(StorageError, match="journal_mode = wal") as caught:
        ledger_connection._require(nowhere, Path("ledger.db"), "journal_mode", "wal")
    nowhere.close()
    assert "local disk" in caught.value.remedy


async def test_a_name_that_means_something_to_sqlite_is_a_file_like_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    await _open(Path(":memory:"))
    assert (tmp_path / ":memory:").stat().st_size > 0


def test_a_new_ledger_needs_no_rollback_journal(tmp_path: Path) -> None:
    """It was turned into WAL mode with one: whoever read it after a crash just then was told it could not be opened."""
    found(tmp_path / "ledger.db", ledger_connection._image)
    with closing(apsw.Connection(str(tmp_path / "ledger.db"))) as connection:
        assert connection.pragma("journal_mode") == "wal"
    Ledger(tmp_path / "ledger.db").close()


def test_a_migration_that_fails_leaves_the_file_without_tables(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    before = apsw.Connection(str(path))
    before.execute(f"CREATE TABLE sums (scope TEXT); PRAGMA application_id = {APPLICATION_ID}")
    before.close()
    with pytest.raises(FluxbatchError, match="already exists"):
        open_writing(path)
    after = apsw.Connection(str(path))
    assert after.execute("SELECT name FROM sqlite_schema").fetchall() == [("sums",)]
    after.close()


def test_opening_an_up_to_date_ledger_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    open_writing(path).close()
    before = path.read_bytes()
    open_writing(path).close()
    assert path.read_bytes() == before


async def _whole_ledger(folder: Path) -> Path:
    """A ledger of many pages, closed, with one picture."""
    async with opened(folder) as scene:
        run = await scene.begin()
        await scene.bring_to(JobState.STORED, run, scene.job())
        await scene.see(run, *(scene.job(f"{index} " + "x" * 500, index=index) for index in range(2, 200)))
    return scene.path


async def test_garbage_on_a_page_is_found(tmp_path: Path) -> None:
    path = await _whole_ledger(tmp_path)
    with path.open("r+b") as handle:
        handle.seek(path.stat().st_size // 2)
        handle.write(b"\xa5" * 8_192)
    assert _needs_a_person(path)


async def test_a_truncated_file_is_found(tmp_path: Path) -> None:
    path = await _whole_ledger(tmp_path)
    os.truncate(path, path.stat().st_size // 2)
    assert _needs_a_person(path)


def _needs_a_person(path: Path) -> bool:
    try:
        with Ledger(path) as ledger:
            return "damaged" in {finding.kind for finding in ledger.verify().findings}
    except LedgerCorruptError as error:
        return _one_line(error, path)


async def test_a_persons_word_brings_a_ledger_of_an_earlier_version_up_to_date(tmp_path: Path) -> None:
    async with opened(tmp_path) as scene:
        run = await scene.begin()
        await scene.bring_to(JobState.UNKNOWN, run, scene.job())
        await scene.writer.end(run, exit_code=5)
    with closing(apsw.Connection(str(scene.path))) as connection:
        for column in ("provider", "task", "polling_url", "submitted_at"):
            connection.execute(f"ALTER TABLE attempts DROP COLUMN {column}")
        connection.execute("PRAGMA user_version = 5")
    [settled] = settle(scene.path, [], billed=False, clock=scene.clock)
    assert settled.after is JobState.PLANNED
