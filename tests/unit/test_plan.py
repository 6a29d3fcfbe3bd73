"""What a run would buy and cost, held against a real ledger."""

from contextlib import nullcontext
from dataclasses import replace
from decimal import Decimal
from itertools import zip_longest
from pathlib import Path

import pytest

from pipeline.clock import SystemClock
from pipeline.ledger import (
    Admission,
    BatchName,
    Caps,
    JobState,
    Ledger,
    LedgerWriter,
    Picture,
    Policy,
    Reservation,
    Run,
    Verdict,
)
from pipeline.manifest import Manifest
from pipeline.plan import ModelCost, Plan, make_plan, saving_percent
from tests.unit.manifest_writing import load, load_jobs
from tests.unit.manifest_writing import made as jobs_of

REAL = "version: 1\nname: test\n"
PRO, MAX = "flux-kontext-pro", "flux-kontext-max"
PICTURE = Picture(
    sha256="00" * 32, size_bytes=1, width=1, height=1, format="jpeg", verdict="ok", stored_at=2.0, url_age_s=1.0
)


def rows(*prompts: str) -> str:
    return "".join(f"  - [{prompt}, 1:1, {PRO}]\n" for prompt in prompts)


def plan(
    manifest: Manifest,
    folder: Path | None = None,
    *,
    policy: Policy | None = None,
    budget: int | None = None,
    limit: int | None = None,
) -> Plan:
    """The plan of a manifest, held against the folder's ledger; without a folder, against none."""
    ledger = None if folder is None else Ledger(folder / "ledger.db")
    with ledger or nullcontext():
        return make_plan(
            manifest, ledger, policy=policy or Policy(), budget_microusd=budget, concurrency=4, limit=limit
        )


def counts(made: Plan) -> dict[str, int]:
    """The counts of a plan that are not zero."""
    found = {name: getattr(made, name) for name in ("new", "changed", "again", "kept", "held", "unfit")}
    assert sum(found.values()) == made.jobs
    return {name: number for name, number in found.items() if number}


async def run(manifest: Manifest, folder: Path, *ends: JobState, passing: bool = True) -> None:
    """Play a run: each job of the manifest comes to the state given for it, stored where none is."""
    async with LedgerWriter(folder / "ledger.db", clock=SystemClock()) as ledger:
        begun = await ledger.begin(
            manifest=manifest.name,
            edition=manifest.edition,
            provider=manifest.profile.name,
            simulated=manifest.profile.simulated,
            caps=Caps(),
        )
        jobs = jobs_of(manifest)
        admitted = await ledger.admit(begun, [(job, job.path) for job in jobs], Policy())
        for admission, state in zip_longest(admitted, ends, fillvalue=JobState.STORED):
            assert isinstance(admission, Admission)
            assert isinstance(state, JobState)
            if admission.verdict is Verdict.BUY and state is not JobState.PLANNED:
                await _bring(ledger, begun, admission, state, passing=passing)


async def _bring(ledger: LedgerWriter, run: Run, admission: Admission, state: JobState, *, passing: bool) -> None:
    """Take a job from being planned to a state."""
    key = admission.row.key
    reserved = await ledger.reserve(run, placement=admission.placement, key=key, price_microusd=35_000)
    assert isinstance(reserved, Reservation)
    if state in {JobState.BOUGHT, JobState.STORED, JobState.LOST, JobState.SPOILED}:
        await ledger.answer(reserved, url="https://x.test/a", bought_at=1.0, deadline=601.0, request_id="r")
    match state:
        case JobState.FAILED:
            await ledger.release(reserved, kind="invalid", message="no", final=True, passing=passing)
        case JobState.UNKNOWN:
            await ledger.lose_answer(reserved, kind="read_timeout", message="gone")
        case JobState.STORED:
            await ledger.store(run, attempt=reserved.attempt, path=f"{key}.jpeg", picture=PICTURE)
        case JobState.LOST:
            await ledger.lose(attempt=reserved.attempt, kind="expired", message="gone")
        case JobState.SPOILED:
            await ledger.spoil(attempt=reserved.attempt, kind="html", message="no picture")
        case _:
            pass


# --- the document's own cost comparison --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pictures", "model", "cost", "official", "bonus"),
    [(100, PRO, "3.500", "4.000", "3.043"), (50, MAX, "3.500", "4.000", "3.043")],
)
def test_the_documents_figures_come_out(
    tmp_path: Path, pictures: int, model: str, cost: str, official: str, bonus: str
) -> None:
    manifest = load(tmp_path, f"{REAL}jobs:\n  - prompt: a lighthouse\n    model: {model}\n    repeat: {pictures}\n")

    found = plan(manifest).as_json()

    assert found["to_buy"] == pictures
    assert (found["worst_case_usd"], found["official_usd"]) == (cost, official)
    assert (found["saving_usd"], found["saving_percent"]) == ("0.500", 12.5)
    assert found["with_bonus_usd"] == bonus, "the document: more than a fifth below the official price with the bonus"


def test_both_models_of_the_document_together(tmp_path: Path) -> None:
    made = plan(
        load(
            tmp_path,
            f"{REAL}jobs:\n  - {{prompt: a, model: {PRO}, repeat: 100}}\n  - {{prompt: a, model: {MAX}, repeat: 50}}\n",
        )
    )

    assert made.models == (
        ModelCost(model=MAX, pictures=50, cost_microusd=3_500_000, official_microusd=4_000_000, typical_s=12.0),
        ModelCost(model=PRO, pictures=100, cost_microusd=3_500_000, official_microusd=4_000_000, typical_s=8.0),
    )
    assert (made.worst_case_microusd, made.official_microusd) == (7_000_000, 8_000_000)


def test_the_simulators_dollars_have_no_bonus(tmp_path: Path) -> None:
    made = plan(load_jobs(tmp_path, rows("a", "b")))

    assert made.with_bonus_microusd == made.worst_case_microusd == 70_000


# --- what there is to do -----------------------------------------------------------------------------------------


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
    (tmp_path / "rows.csv").write_text('title\na cat\n""\na dog\n')
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


# --- money and time ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("budget", "affordable"), [(None, True), (70_000, True), (69_999, False), (1_000_000, True)])
async def test_what_is_committed_counts_against_the_budget(
    tmp_path: Path, budget: int | None, affordable: bool
) -> None:
    await run(load_jobs(tmp_path, rows("a")), tmp_path, JobState.UNKNOWN)

    made = plan(load_jobs(tmp_path, rows("a", "b")), tmp_path, budget=budget)

    assert (made.committed_microusd, made.worst_case_microusd) == (35_000, 35_000)
    assert made.affordable is affordable


MADE = Plan(
    manifest="spring",
    edition="2026-11-23",
    jobs=14,
    new=8,
    changed=1,
    again=1,
    kept=2,
    held=1,
    unfit=1,
    models=(
        ModelCost(model=PRO, pictures=8, cost_microusd=280_000, official_microusd=320_000, typical_s=8.0),
        ModelCost(model=MAX, pictures=2, cost_microusd=140_000, official_microusd=160_000, typical_s=12.0),
    ),
    committed_microusd=70_000,
    budget_microusd=5_000_000,
    concurrency=4,
    credit_factor=Decimal("1.15"),
)


def test_the_plan_as_plain_values() -> None:
    assert MADE.as_json() == {
        "manifest": "spring",
        "edition": "2026-11-23",
        "jobs": 14,
        "to_buy": 10,
        "new": 8,
        "changed": 1,
        "again": 1,
        "kept": 2,
        "held": 1,
        "unfit": 1,
        "models": [
            {"model": PRO, "pictures": 8, "cost_usd": "0.280", "official_usd": "0.320"},
            {"model": MAX, "pictures": 2, "cost_usd": "0.140", "official_usd": "0.160"},
        ],
        "worst_case_usd": "0.420",
        "official_usd": "0.480",
        "saving_usd": "0.060",
        "saving_percent": 12.5,
        "with_bonus_usd": "0.365",
        "committed_usd": "0.070",
        "budget_usd": "5.00",
        "affordable": True,
        "estimate_s": 22.0,
    }


def test_without_an_official_price_there_is_no_saving() -> None:
    unpriced = replace(MADE.models[0], official_microusd=None)

    found = replace(MADE, models=(unpriced, MADE.models[1]), budget_microusd=None).as_json()

    assert found["official_usd"] is found["saving_usd"] is found["saving_percent"] is found["budget_usd"] is None
    assert found["models"][0]["official_usd"] is None


def test_no_estimate_is_shorter_than_one_picture_takes() -> None:
    assert replace(MADE, concurrency=512).estimate_s == 12.0


def test_nothing_saved_on_nothing() -> None:
    assert saving_percent(0, 0) == 0.0
    assert saving_percent(35, 40) == 12.5
