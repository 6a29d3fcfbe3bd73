"""A ledger's file comes into being whole or not at all, and never in the place of another."""

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pipeline.errors import LedgerCorruptError
from pipeline.ledger.connection import open_writing
from pipeline.ledger.founding import found

NEW, OTHERS = b"a new ledger", b"another process's ledger"


def _new() -> bytes:
    return NEW


def _no_links(source: Path, target: Path) -> None:
    raise OSError(errno.EPERM, "Operation not permitted")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_new_ledger_is_the_only_file_that_is_made(tmp_path: Path) -> None:
    found(tmp_path / "ledger.db", _new)
    assert names(tmp_path) == ["ledger.db"]
    assert (tmp_path / "ledger.db").read_bytes() == NEW


def test_a_ledger_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(OTHERS)
    found(tmp_path / "ledger.db", _new)
    assert (tmp_path / "ledger.db").read_bytes() == OTHERS


def test_an_empty_file_is_refused_with_two_remedies_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").touch()
    with pytest.raises(LedgerCorruptError, match="an empty file where the ledger should be") as caught:
        found(tmp_path / "ledger.db", _new)
    assert "restore it from a copy" in caught.value.remedy
    assert "delete it" in caught.value.remedy
    assert names(tmp_path) == ["ledger.db"]
    assert (tmp_path / "ledger.db").read_bytes() == b""


def test_who_comes_second_leaves_the_firsts_ledger(tmp_path: Path) -> None:
    def overtaken() -> bytes:
        (tmp_path / "ledger.db").write_bytes(OTHERS)
        return NEW

    found(tmp_path / "ledger.db", overtaken)
    assert (tmp_path / "ledger.db").read_bytes() == OTHERS
    assert names(tmp_path) == ["ledger.db"]


def test_without_hard_links_a_ledger_is_made_too(tmp_path: Path) -> None:
    found(tmp_path / "ledger.db", _new, link=_no_links)
    assert (tmp_path / "ledger.db").read_bytes() == NEW
    assert names(tmp_path) == ["ledger.db"]


def test_without_hard_links_who_comes_second_leaves_the_firsts_ledger(tmp_path: Path) -> None:
    def overtaken(source: Path, target: Path) -> None:
        target.write_bytes(OTHERS)
        _no_links(source, target)

    found(tmp_path / "ledger.db", _new, link=overtaken)
    assert (tmp_path / "ledger.db").read_bytes() == OTHERS
    assert names(tmp_path) == ["ledger.db"]


def test_what_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> bytes:
        raise MemoryError

    with pytest.raises(MemoryError):
        found(tmp_path / "ledger.db", fail)
    assert names(tmp_path) == []


def test_a_link_that_leads_nowhere_leads_to_the_ledger_afterwards(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "ledger.db").symlink_to("disk/real.db")
    open_writing(tmp_path / "ledger.db").close()
    assert (tmp_path / "ledger.db").is_symlink()
    assert names(tmp_path / "disk") == ["real.db"]


def test_a_log_without_its_ledger_is_refused(tmp_path: Path) -> None:
    """Beside a new ledger, SQLite would play the old one's last pages into it."""
    (tmp_path / "ledger.db-wal").write_bytes(b"the last of an old ledger")
    with pytest.raises(LedgerCorruptError, match="the ledger is gone") as caught:
        open_writing(tmp_path / "ledger.db")
    assert "ledger.db-wal" in caught.value.remedy
    assert names(tmp_path) == ["ledger.db-wal"]


def test_an_empty_log_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "ledger.db-wal").touch()
    open_writing(tmp_path / "ledger.db").close()
    assert (tmp_path / "ledger.db").stat().st_size > 0


_DIE = """
import os, sys
from pathlib import Path
from pipeline.ledger.connection import _image
from pipeline.ledger.founding import found

def die(*_):
    os._exit(9)

moment = sys.argv[2]
if moment == "before it is written":
    found(Path(sys.argv[1]), die)
elif moment == "before it has its name":
    found(Path(sys.argv[1]), _image, link=die)
else:
    found(Path(sys.argv[1]), _image, link=lambda source, target: (os.link(source, target), die()))
"""


@pytest.mark.parametrize("moment", ["before it is written", "before it has its name", "once it has its name"])
def test_a_crash_leaves_no_ledger_or_a_whole_one(tmp_path: Path, moment: str) -> None:
    path = tmp_path / "ledger.db"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("COV")}
    died = subprocess.run([sys.executable, "-c", _DIE, str(path), moment], check=False, timeout=30, env=environment)
    assert died.returncode == 9
    assert path.exists() is (moment == "once it has its name")
    connection = open_writing(path)
    assert connection.execute("SELECT count(*) FROM jobs").get == 0
    connection.close()


def test_many_at_once_open_one_ledger(tmp_path: Path) -> None:
    count = 8
    start = threading.Barrier(count)
    failures: list[BaseException] = []

    def work(number: int) -> None:
        start.wait(timeout=10)
        try:
            connection = open_writing(tmp_path / "ledger.db")
            connection.execute(
                "INSERT INTO batches (manifest, edition, simulated) VALUES (?, '', 0)", (str(number),)
            ).fetchall()
            connection.close()
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert failures == []
    connection = open_writing(tmp_path / "ledger.db")
    assert connection.execute("SELECT count(*) FROM batches").get == count
    connection.close()
    assert names(tmp_path) == ["ledger.db"]
