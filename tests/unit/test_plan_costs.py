"""What a run would cost, and how long it would take; the document's own figures."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from pipeline.ledger import JobState
from pipeline.money import saving_percent
from pipeline.plan import ModelCost, Plan
from tests.unit.manifest_writing import load, load_jobs
from tests.unit.plan_playing import MAX, PRO, REAL, plan, rows, run


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
        "problems": [],
        "models": [
            {"model": PRO, "pictures": 8, "cost_usd": "0.280", "official_usd": "0.320"},
            {"model": MAX, "pictures": 2, "cost_usd": "0.140", "official_usd": "0.160"},
        ],
        "resends_usd": "0.000",
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
