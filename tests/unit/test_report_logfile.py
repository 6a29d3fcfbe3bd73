"""A log that stays small and private."""

import json
import stat
from pathlib import Path

import pytest

from pipeline.errors import OutputError
from pipeline.report.events import EventName
from pipeline.report.logfile import KEPT, LogFile
from tests.unit.test_report_events import FakeClock


def test_events_are_appended_to_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "nightly.log"
    for _ in range(2):
        with LogFile(path, FakeClock()) as log:
            log.log(EventName.RUN_BEGUN, {"run_id": "r"})
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [line["event"] for line in lines] == ["run_begun", "run_begun"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_it_is_rotated_and_the_oldest_goes(tmp_path: Path) -> None:
    path = tmp_path / "nightly.log"
    with LogFile(path, FakeClock(), max_bytes=500) as log:
        for number in range(100):
            log.log(EventName.PROGRESS, {"number": number})
    files = sorted(tmp_path.iterdir())
    assert len(files) == KEPT + 1
    assert all(file.stat().st_size <= 500 and stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)
    assert json.loads(path.read_text(encoding="utf-8").splitlines()[-1])["number"] == 99


def test_a_place_that_cannot_be_written_is_told_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="the log cannot be written"):
        LogFile(tmp_path / "file" / "x.log", FakeClock())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk here that is always full")
def test_a_disk_that_is_full_stops_no_run() -> None:
    with LogFile(Path("/dev/full"), FakeClock()) as log:
        log.log(EventName.PROGRESS, {})
        log.notice("still here")
