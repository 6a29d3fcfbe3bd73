"""A summary and a snapshot, for the tests of what people see to change in one place or another."""

from dataclasses import replace
from typing import Any

from pipeline.errors import ExitCode
from pipeline.report import Snapshot, Summary


def summary(**changes: Any) -> Summary:
    """A run that stored all of eight pictures."""
    usual = Summary(
        run_id="20261123T020000-abcdef",
        manifest="spring",
        manifest_path="jobs/spring.yaml",
        edition="",
        stored=8,
        reused=0,
        failed=0,
        unknown=0,
        lost=0,
        spoiled=0,
        skipped=0,
        wrong_shape=0,
        unfetched=0,
        spend_microusd=280_000,
        unknown_microusd=0,
        manifest_spend_microusd=315_000,
        manifest_unknown_microusd=0,
        budget_microusd=5_000_000,
        elapsed_s=12.3,
        url_age_max_s=1.9,
        providers={"apiyi": (8, 280_000)},
        exit_code=ExitCode.OK,
        ledger="output/ledger.db",
        output="output",
        simulated=False,
    )
    return replace(usual, **changes)


def snapshot(**changes: Any) -> Snapshot:
    """A run half way through."""
    usual = Snapshot(
        elapsed_s=65.0,
        total=100,
        seen=100,
        to_buy=100,
        bought=52,
        stored=50,
        failed=0,
        unknown=0,
        in_flight=8,
        queued=2,
        spent_microusd=1_820_000,
        budget_microusd=5_000_000,
        waiting=None,
        stopping=False,
    )
    return replace(usual, **changes)
