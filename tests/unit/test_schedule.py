"""What is written so that a manifest runs by itself."""

import shlex
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import OutputError, UsageError
from pipeline.schedule import Entry, cron_line, default_env_file, units_of
from pipeline.schedule.calendar import on_calendar

ANALYZE = shutil.which("systemd-analyze")


def entry(**changes: Any) -> Entry:
    usual = Entry(
        manifest=Path("/home/ann/jobs/nightly.yaml"),
        output=Path("/home/ann/output"),
        ledger=None,
        env_file=Path("/home/ann/.config/fluxbatch/env"),
        at="0 2 * * *",
        timeout_s=21_600,
        wait_s=3_600,
    )
    return replace(usual, **changes)


# --- cron --------------------------------------------------------------------------------------------------------


def command_of(line: str, fields: int = 5) -> list[str]:
    """The words that cron's shell sees of a line."""
    command = line.split(" ", fields)[fields].replace("\\%", "%")
    return shlex.split(command, comments=True)


def test_a_line_has_absolute_paths_a_time_out_the_lock_quiet_the_key_and_a_log_that_is_rotated() -> None:
    line = cron_line(entry())
    assert line.startswith("0 2 * * * /")
    assert line.endswith(" # fluxbatch: /home/ann/jobs/nightly.yaml")
    words = command_of(line)
    assert words[1:4] == ["--kill-after=660", "--signal=TERM", "21600"]
    assert words[words.index("run") :] == [
        "run",
        "/home/ann/jobs/nightly.yaml",
        "--output",
        "/home/ann/output",
        "--quiet",
        "--wait",
        "3600",
        "--env-file",
        "/home/ann/.config/fluxbatch/env",
        "--log-file",
        "/home/ann/output/logs/nightly.log",
    ]
    assert all(Path(word).is_absolute() for word in (words[0], words[4]))


def test_a_path_with_blanks_quotes_and_per_cent_is_one_word_and_ends_no_line() -> None:
    manifest = Path("/home/ann/it's 50% off/$(touch x);y.yaml")
    line = cron_line(entry(manifest=manifest, ledger=Path("/l e.db")))
    assert "\n" not in line
    assert line.count("%") == line.count("\\%")
    command, _, mark = line.rpartition(" # ")
    assert mark.replace("\\%", "%") == f"fluxbatch: {manifest}"
    assert str(manifest) in command_of(command)


@pytest.mark.parametrize("at", ["", "0 2 * *", "61 * * * *", "tonight", "0 2 * * * root", "0 2 * * *\n* * * * * evil"])
def test_what_is_no_schedule_is_refused(at: str) -> None:
    with pytest.raises(UsageError, match="no schedule"):
        entry(at=at)


def test_a_name_that_would_end_the_line_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot be scheduled"):
        entry(manifest=Path("/a\n* * * * * evil"))


def test_manifests_of_one_name_in_two_folders_are_told_apart() -> None:
    assert entry().name != entry(manifest=Path("/home/bob/jobs/nightly.yaml")).name
    assert entry(manifest=Path("/x/ä ö.yaml")).name.startswith("manifest-")


def test_the_environment_file_is_where_such_files_are() -> None:
    assert default_env_file({"XDG_CONFIG_HOME": "/cfg"}) == Path("/cfg/fluxbatch/env")


# --- systemd -----------------------------------------------------------------------------------------------------

TIMES = [
    ("0 2 * * *", "*-*-* 02:00:00"),
    ("*/15 * * * *", "*-*-* *:00,15,30,45:00"),
    ("30 6 * * mon-fri", "Mon,Tue,Wed,Thu,Fri *-*-* 06:30:00"),
    ("0 0 * * 0", "Sun *-*-* 00:00:00"),
    ("0 0 * * 5-7", "Fri,Sat,Sun *-*-* 00:00:00"),
    ("5 4 1,15 jan *", "*-01-01,15 04:05:00"),
    ("0 8-18/5 * * *", "*-*-* 08,13,18:00:00"),
    ("@daily", "daily"),
    ("@midnight", "daily"),
    ("@annually", "yearly"),
]


@pytest.mark.parametrize(("at", "calendar"), TIMES)
def test_a_cron_time_is_said_as_systemd_says_it(at: str, calendar: str) -> None:
    assert on_calendar(at) == calendar


@pytest.mark.skipif(ANALYZE is None, reason="no systemd here")
@pytest.mark.parametrize(("at", "calendar"), TIMES)
def test_systemd_itself_understands_it(at: str, calendar: str) -> None:
    subprocess.run([str(ANALYZE), "calendar", calendar], check=True, capture_output=True)


@pytest.mark.parametrize("at", ["@reboot", "0 2 1 * mon"])
def test_what_a_timer_cannot_say_is_refused(at: str) -> None:
    with pytest.raises(UsageError, match="timer"):
        on_calendar(at)


def test_the_service_has_its_time_outs_and_the_key_as_a_credential(tmp_path: Path) -> None:
    units = units_of(entry(), {"XDG_CONFIG_HOME": str(tmp_path)})
    service, timer = units.files.values()
    assert units.folder == tmp_path / "systemd" / "user"
    for line in (
        "LoadCredential=environment:/home/ann/.config/fluxbatch/env",
        "TimeoutStartSec=60",
        "RuntimeMaxSec=21600",
        "TimeoutStopSec=660",
    ):
        assert line in service.splitlines()
    assert '--env-file" %d/environment ' in service
    assert "OnCalendar=*-*-* 02:00:00" in timer.splitlines()
    assert "Persistent=true" in timer.splitlines()


def test_a_unit_keeps_paths_as_they_are(tmp_path: Path) -> None:
    path = Path('/a "b" 50%/$HOME/\\x.yaml')
    service, timer = units_of(entry(manifest=path), {"XDG_CONFIG_HOME": str(tmp_path)}).files.values()
    assert '"/a \\"b\\" 50%%/$$HOME/\\\\x.yaml"' in service
    assert "50%%" in timer
    with pytest.raises(UsageError, match="plain path"):
        units_of(entry(env_file=Path("/a b/env")), {})


@pytest.mark.skipif(ANALYZE is None, reason="no systemd here")
def test_systemd_itself_finds_nothing_wrong_with_the_units(tmp_path: Path) -> None:
    odd = entry(manifest=Path('/a "b" 50%/$HOME/x.yaml'))
    units = units_of(odd, {"XDG_CONFIG_HOME": str(tmp_path)})
    units.install()
    files = [str(units.folder / name) for name in units.files]
    ended = subprocess.run(
        [str(ANALYZE), "verify", "--man=no", *files], capture_output=True, text=True, check=False, timeout=120
    )
    told = [line for line in ended.stderr.splitlines() if "fluxbatch-" in line and "is not executable" not in line]
    assert told == []


def test_units_are_written_over_ours_and_never_over_anothers(tmp_path: Path) -> None:
    units = units_of(entry(), {"XDG_CONFIG_HOME": str(tmp_path)})
    units.install()
    units.install()
    assert sorted(file.name for file in units.folder.iterdir()) == sorted(units.files)
    assert units.remove()
    assert not units.remove()
    foreign = units.folder / units.timer
    foreign.write_text("[Timer]\n", encoding="utf-8")
    for act in (units.install, units.remove):
        with pytest.raises(OutputError, match="is not one that fluxbatch made"):
            act()
    assert foreign.read_text(encoding="utf-8") == "[Timer]\n"
