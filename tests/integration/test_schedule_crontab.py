"""The user's crontab, by way of a program that behaves as crontab does."""

from pathlib import Path

import pytest

from pipeline.errors import ConfigurationError
from pipeline.schedule import Crontab, cron_line
from tests.unit.test_schedule import entry

#: As cron's own: -l prints the table or says that there is none; - takes one from standard input.
FAKE_CRONTAB = """#!/bin/sh
table="$(dirname "$0")/table"
case "$1" in
  -l) if [ -e "$table" ]; then cat "$table"; else echo "no crontab for ann" >&2; exit 1; fi ;;
  -) cat > "$table.new" && mv "$table.new" "$table" ;;
  *) echo "usage" >&2; exit 1 ;;
esac
"""

#: Much that a library which sets things in order would change.
THEIRS = (
    "MAILTO=ann@example.com\n"
    "# fluxbatch: a word of mine, not a mark\n"
    "\n"
    "0   1 * * *\tbackup  --rate 50\\%   \n"
    "PATH = /usr/bin:/bin\n"
    "@reboot  sleep 60 && mount /x\n"
    "this is no line at all\n"
    "#0 5 * * * disabled # fluxbatch: /home/ann/jobs/nightly.yaml\n"
    "0 5 * * * other # fluxbatch: /home/ann/jobs/weekly.yaml\n"
)


class Table:
    def __init__(self, folder: Path) -> None:
        self.program = folder / "crontab"
        self.program.write_text(FAKE_CRONTAB, encoding="utf-8")
        self.program.chmod(0o755)
        self.file = folder / "table"
        self.crontab = Crontab(str(self.program))

    def text(self) -> str:
        return self.file.read_text(encoding="utf-8")


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return Table(tmp_path)


def test_a_first_line_makes_a_table(table: Table) -> None:
    assert table.crontab.install(entry()) == cron_line(entry())
    assert table.text() == cron_line(entry()) + "\n"


def test_the_rest_of_the_table_stays_byte_for_byte(table: Table) -> None:
    table.file.write_text(THEIRS, encoding="utf-8")
    table.crontab.install(entry())
    assert table.text() == THEIRS + cron_line(entry()) + "\n"
    assert table.crontab.remove(entry())
    assert table.text() == THEIRS


def test_installing_again_changes_nothing_and_another_time_takes_the_lines_place(table: Table) -> None:
    odd = entry(manifest=Path("/it's/50%.yaml"))
    for at in ("0 2 * * *", "0 2 * * *", "30 4 * * *"):
        table.crontab.install(entry(at=at))
        table.crontab.install(entry(manifest=odd.manifest, at=at))
    assert table.text().count("\n") == 2
    assert table.text().count("30 4 * * *") == 2
    assert table.crontab.remove(odd)
    assert table.text() == cron_line(entry(at="30 4 * * *")) + "\n"
    assert not table.crontab.remove(odd)


def test_a_last_line_without_an_end_is_not_run_into(table: Table) -> None:
    table.file.write_text("0 1 * * * backup", encoding="utf-8")
    table.crontab.install(entry())
    assert table.text().startswith("0 1 * * * backup\n0 2 * * * ")


def test_a_table_that_cannot_be_read_is_never_written(table: Table) -> None:
    table.file.write_text(THEIRS, encoding="utf-8")
    table.program.write_text("#!/bin/sh\n[ \"$1\" = -l ] && { echo 'you are not allowed' >&2; exit 1; }\n: > table\n")
    with pytest.raises(ConfigurationError, match="cannot be read: you are not allowed"):
        table.crontab.install(entry())
    assert table.text() == THEIRS


def test_where_there_is_no_cron_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be used"):
        Crontab(str(tmp_path / "nothing")).install(entry())
