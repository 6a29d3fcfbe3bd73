"""What the options of a run replace in its manifest."""

import os
from pathlib import Path

from pipeline.ledger import Caps
from pipeline.runner import RunOptions
from tests.unit.manifest_writing import load

LIMITS = "version: 1\nname: t\nprovider: simulator\nlimits: {concurrency: 3%s}\njobs: [[a, 1:1, flux-kontext-pro]]\n"
ALL = ", budget_usd: 1, daily_usd: 2, monthly_usd: 3, total_usd: 4"


def test_the_ledger_is_in_the_output_folder_unless_it_is_named() -> None:
    assert RunOptions(output=Path("pictures")).ledger_path == Path("pictures/ledger.db")
    assert RunOptions(output=Path("pictures"), ledger=Path("books/l.db")).ledger_path == Path("books/l.db")


def test_the_manifests_own_limits_hold(tmp_path: Path) -> None:
    manifest, options = load(tmp_path, LIMITS % ALL), RunOptions()

    assert options.concurrency_of(manifest) == 3
    assert options.budget_of(manifest) == 1_000_000
    assert options.caps_of(manifest) == Caps(batch=1_000_000, daily=2_000_000, monthly=3_000_000, total=4_000_000)


def test_options_replace_the_manifests_own_budget_and_concurrency_and_no_other_limit(tmp_path: Path) -> None:
    manifest = load(tmp_path, LIMITS % ALL)
    options = RunOptions(budget_microusd=0, concurrency=1)

    assert options.concurrency_of(manifest) == 1
    assert options.caps_of(manifest) == Caps(batch=0, daily=2_000_000, monthly=3_000_000, total=4_000_000)


def test_without_limits_there_is_no_cap(tmp_path: Path) -> None:
    assert RunOptions().caps_of(load(tmp_path, LIMITS % "")) == Caps()


def test_the_environment_is_the_processs_own_unless_another_is_given() -> None:
    assert RunOptions().environment is os.environ
    assert RunOptions(environment={}).environment == {}


def test_nobody_is_told_anything_unless_somebody_listens() -> None:
    RunOptions().notice("heard by nobody")
