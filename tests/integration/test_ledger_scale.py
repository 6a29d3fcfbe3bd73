"""A ledger of many rows: brought up to date where it stands, and read as it goes instead of sorted first."""

from pathlib import Path

import apsw
import pytest

from benchmarks.full_ledger import fill
from pipeline import Ledger
from pipeline.ledger import reading
from pipeline.ledger.connection import open_reading, open_writing
from pipeline.ledger.schema import APPLICATION_ID, MIGRATIONS
from pipeline.ledger.tallying import tally

ROWS = 300
#: Of the ledger's file, for each job that is stored; a prompt of 70 characters is in it.
MOST_BYTES_A_JOB = 1_200


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ledger of a folder with all rows stored."""
    return fill(tmp_path_factory.mktemp("many"), ROWS).parent / "output/ledger.db"


def test_a_job_takes_little_room(many: Path) -> None:
    assert many.stat().st_size / ROWS < MOST_BYTES_A_JOB


def test_what_is_made_without_a_provider_is_as_a_run_leaves_it(many: Path) -> None:
    with Ledger(many) as ledger:
        found = ledger.verify()
        assert [row.index for row in ledger.rows()] == list(range(1, ROWS + 1))
    assert (found.pictures, found.attempts) == (ROWS, ROWS)
    assert found.proven, found.findings


@pytest.mark.parametrize("query", [reading.EXPORT_QUERY, reading.KNOWN_QUERY])
def test_nothing_is_sorted_before_the_first_row_comes_out(many: Path, query: str) -> None:
    connection = open_reading(many)
    values = (1, "[]") if "?" in query else ()
    plan = [str(step) for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {query}", values)]
    connection.close()

    assert not [step for step in plan if step.startswith("USE TEMP B-TREE")], plan
    assert not [step for step in plan if step.startswith(("SCAN p", "SCAN j", "SCAN attempts"))], plan


def test_rows_that_are_not_whole_are_counted_beside_those_that_are(tmp_path: Path) -> None:
    path = fill(tmp_path, 8).parent / "output/ledger.db"
    connection = open_writing(path)
    changes = {
        1: "verdict = 'wrong_shape', url_age_s = 9",
        2: "state = 'failed', passing = 1",
        3: "state = 'failed', error_kind = 'unfit_row'",
        4: "state = 'lost', settled = 1",
        5: "stored_run = NULL",
    }
    for job, change in changes.items():
        connection.execute(f"UPDATE jobs SET {change} WHERE id = ?", (job,))
    count = tally(connection, run=1, batch=1, alive=lambda _: False)
    connection.close()

    assert (count.stored, count.reused, count.failed, count.lost) == (4, 1, 2, 1)
    assert (count.wrong_shape, count.passing, count.unfit, count.settled, count.url_age_max_s) == (1, 1, 1, 1, 9)


def test_a_ledger_of_an_earlier_version_is_brought_up_to_date_where_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    connection = apsw.Connection(str(path))
    for migration in MIGRATIONS[:2]:
        connection.execute(migration)
    connection.execute(f"PRAGMA user_version = 2; PRAGMA application_id = {APPLICATION_ID}; PRAGMA journal_mode = WAL")
    connection.close()

    connection = open_writing(path)
    indexes = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'index'")}
    version = connection.pragma("user_version")
    connection.close()

    assert "placements_in_order" in indexes
    assert version == len(MIGRATIONS)


def test_a_ledger_of_the_version_before_keeps_its_requests_and_learns_who_was_asked(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    connection = apsw.Connection(str(path))
    for migration in MIGRATIONS[:5]:
        connection.execute(migration)
    connection.execute(f"PRAGMA user_version = 5; PRAGMA application_id = {APPLICATION_ID}; PRAGMA journal_mode = WAL")
    connection.execute(
        "INSERT INTO batches VALUES (1, 'm', '', 0);"
        "INSERT INTO runs VALUES (1, 'r', 1, 'apiyi', 0, 1, 0, '{}');"
        "INSERT INTO jobs (id, key, state, model, prompt, asked, attempts, spend_microusd, url)"
        " VALUES (1, zeroblob(32), 'bought', 'flux-dev', 'a', '{}', 1, 20000, 'https://h/p');"
        "INSERT INTO placements VALUES (1, 1, 1, 1, 1, 1, 0, 'a', NULL, 0);"
        "INSERT INTO attempts (job, placement, run, taken_from, money, price_microusd, day, started_at)"
        " VALUES (1, 1, 1, 'planned', 'spent', 20000, '2026-11-23', 0)"
    )
    connection.close()

    open_writing(path).close()

    with Ledger(path) as ledger:
        [row] = ledger.rows()
        assert (row.provider, row.spend_usd, row.state) == ("apiyi", "0.020", "bought")
        assert [line.group for line in ledger.spend("provider")] == ["apiyi"]
