"""What a run would buy, held against a real ledger."""

from pathlib import Path

import pytest

from pipeline.ledger import (
    BatchName,
    JobState,
    Ledger,
    Policy,
)
from tests.unit.manifest_writing import load, load_jobs
from tests.unit.plan_playing import REAL, counts, plan, rows, run


def test_without_a_ledger_all_is_new(tmp_path: Path) -> None:
    made = plan(load_jobs(tmp_path, rows("a", "b", "c")))

    assert counts(made) == {"new": 3}
    assert (made.committed_microusd, made.to_buy) == (0, 3)


def test_equal_rows_are_bought_once(tmp_path: Path) -> None:
    made = plan(load_jobs(tmp_path, rows("a", "b", "a", "a")))

    assert counts(made) == {"new": 2, "kept": 2}
    assert made.worst_case_microusd == 70_000


async def test_what_is_stored_is_kept_and_costs_nothing(tmp_path: Path) -> None:
    manifest = load_jobs(tmp_path, rows("a", "b"))
    await run(manifest, tmp_path)

    made = plan(manifest, tmp_path)

    assert counts(made) == {"kept": 2}
    assert (made.to_buy, made.worst_case_microusd, made.committed_microusd) == (0, 0, 70_000)
    assert made.estimate_s == 0.0


async def test_an_inserted_row_is_new_and_not_changed(tmp_path: Path) -> None:
    await run(load_jobs(tmp_path, rows("a", "b")), tmp_path)

    assert counts(plan(load_jobs(tmp_path, rows("a", "x", "b")), tmp_path)) == {"new": 1, "kept": 2}


async def test_one_changed_prompt_is_one_changed_row(tmp_path: Path) -> None:
    await run(load_jobs(tmp_path, rows("a", "b", "c")), tmp_path)

    made = plan(load_jobs(tmp_path, rows("a", "a cat", "c")), tmp_path)

    assert counts(made) == {"changed": 1, "kept": 2}
    assert made.to_buy == 1


async def test_a_changed_row_and_a_row_more(tmp_path: Path) -> None:
    await run(load_jobs(tmp_path, rows("a", "b")), tmp_path)

    assert counts(plan(load_jobs(tmp_path, rows("a", "x", "y")), tmp_path)) == {"changed": 1, "new": 1, "kept": 1}


async def test_a_row_written_twice_and_a_row_more(tmp_path: Path) -> None:
    await run(load_jobs(tmp_path, rows("a")), tmp_path)

    assert counts(plan(load_jobs(tmp_path, rows("a", "a", "x")), tmp_path)) == {"new": 1, "kept": 2}


async def test_a_row_taken_away_changes_nothing_else(tmp_path: Path) -> None:
    await run(load_jobs(tmp_path, rows("a", "b", "c")), tmp_path)

    assert counts(plan(load_jobs(tmp_path, rows("a", "c")), tmp_path)) == {"kept": 2}


async def test_a_picture_that_another_manifest_has_is_kept(tmp_path: Path) -> None:
    await run(load_jobs(tmp_path, rows("a", "b")), tmp_path)

    other = load_jobs(tmp_path, rows("b", "c"), head="version: 1\nname: other\nprovider: simulator\n")

    assert counts(plan(other, tmp_path)) == {"new": 1, "kept": 1}


@pytest.mark.parametrize(
    ("end", "passing", "policy", "found"),
    [
        (JobState.PLANNED, False, Policy(), {"new": 1}),
        (JobState.BUYING, False, Policy(), {"held": 1}),
        (JobState.BUYING, False, Policy(resend_unknown=True), {"again": 1}),
        (JobState.BOUGHT, False, Policy(), {"kept": 1}),
        (JobState.FAILED, True, Policy(), {"again": 1}),
        (JobState.FAILED, False, Policy(), {"held": 1}),
        (JobState.FAILED, False, Policy(retry_failed=True), {"again": 1}),
        (JobState.UNKNOWN, False, Policy(), {"held": 1}),
        (JobState.UNKNOWN, False, Policy(resend_unknown=True), {"again": 1}),
        (JobState.LOST, False, Policy(), {"held": 1}),
        (JobState.LOST, False, Policy(rebuy_lost=True), {"again": 1}),
        (JobState.SPOILED, False, Policy(resend_unknown=True), {"held": 1}),
        (JobState.SPOILED, False, Policy(rebuy_lost=True), {"again": 1}),
    ],
)
async def test_what_an_earlier_run_left_is_bought_again_only_where_that_is_allowed(
    tmp_path: Path, end: JobState, passing: bool, policy: Policy, found: dict[str, int]
) -> None:
    manifest = load_jobs(tmp_path, rows("a"))
    await run(manifest, tmp_path, end, passing=passing)

    made = plan(manifest, tmp_path, policy=policy)

    assert counts(made) == found
    assert made.to_buy == sum(found.get(name, 0) for name in ("new", "again"))


async def test_equal_rows_that_failed_are_tried_again_once(tmp_path: Path) -> None:
    manifest = load_jobs(tmp_path, rows("a", "a"))
    await run(manifest, tmp_path, JobState.FAILED, JobState.PLANNED)

    assert counts(plan(manifest, tmp_path)) == {"again": 1, "kept": 1}


def test_a_row_that_makes_no_job_is_unfit_and_never_costed(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("title,n\na cat,1\n,2\na dog,3\n")
    manifest = load(
        tmp_path, "version: 1\nname: t\nprovider: simulator\njobs:\n  - {rows: rows.csv, prompt: '{title}'}\n"
    )

    made = plan(manifest)

    assert counts(made) == {"new": 2, "unfit": 1}
    assert made.to_buy == 2


def test_only_the_first_jobs_with_a_limit(tmp_path: Path) -> None:
    assert counts(plan(load_jobs(tmp_path, rows("a", "b", "c")), limit=2)) == {"new": 2}


def test_more_rows_than_one_look_at_the_ledger(tmp_path: Path) -> None:
    made = plan(load(tmp_path, f"{REAL}jobs:\n  - {{prompt: a, repeat: 1000}}\n  - {{prompt: b, repeat: 500}}\n"))

    assert counts(made) == {"new": 1_500}


async def test_a_plan_writes_nothing(tmp_path: Path) -> None:
    manifest = load_jobs(tmp_path, rows("a"))
    await run(manifest, tmp_path, JobState.UNKNOWN)
    before = (tmp_path / "ledger.db").read_bytes()

    plan(load_jobs(tmp_path, rows("a", "b")), tmp_path)

    assert (tmp_path / "ledger.db").read_bytes() == before
    with Ledger(tmp_path / "ledger.db") as ledger:
        assert ledger.last_run_rows(BatchName(manifest="test", edition="", simulated=True)) == 1
