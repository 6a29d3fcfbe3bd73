"""What runs came to, as Prometheus reads it."""

import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pipeline.errors import ExitCode, OutputError
from pipeline.report import metrics
from pipeline.report.ending import Ending, code_of
from pipeline.report.metrics import write_metrics
from tests.unit.report_samples import summary

NOW = 1_795_000_000.0
Samples = dict[tuple[str, str, str], float]


def samples(path: Path) -> Samples:
    """Every sample by its name, manifest and state."""
    families = text_string_to_metric_families(path.read_text(encoding="utf-8"))
    return {
        (sample.name, sample.labels["manifest"], sample.labels.get("state", "")): sample.value
        for family in families
        for sample in family.samples
    }


def test_a_run_is_told_in_base_units(tmp_path: Path) -> None:
    done = summary(exit_code=ExitCode.MONEY_UNCLEAR, unknown=2, unknown_microusd=70_000, failed=1)
    path = tmp_path / "f.prom"
    write_metrics(path, [Ending(manifest="spring", exit_code=done.exit_code, summary=done)], now=NOW)
    told = samples(path)
    assert told["fluxbatch_run_exit_code", "spring", ""] == 5
    assert told["fluxbatch_run_end_timestamp_seconds", "spring", ""] == NOW
    assert told["fluxbatch_run_duration_seconds", "spring", ""] == 12.3
    assert told["fluxbatch_run_spend_dollars", "spring", ""] == 0.28
    assert told["fluxbatch_run_unknown_dollars", "spring", ""] == 0.07
    assert told["fluxbatch_manifest_spend_dollars", "spring", ""] == 0.315
    assert told["fluxbatch_manifest_budget_dollars", "spring", ""] == 5
    assert told["fluxbatch_run_url_age_max_seconds", "spring", ""] == 1.9
    jobs = {state: number for (name, _, state), number in told.items() if name == "fluxbatch_run_jobs"}
    assert (jobs["stored"], jobs["unknown"]) == (8, 2)
    assert sum(jobs.values()) == done.jobs


def test_a_run_that_broke_tells_its_code_and_nothing_it_does_not_know(tmp_path: Path) -> None:
    path = tmp_path / "f.prom"
    write_metrics(path, [Ending(manifest="spring", exit_code=ExitCode.CONFIGURATION)], now=NOW)
    assert samples(path) == {
        ("fluxbatch_run_exit_code", "spring", ""): 78,
        ("fluxbatch_run_end_timestamp_seconds", "spring", ""): NOW,
    }


def test_a_newer_file_takes_the_place_of_an_older_one_and_nothing_else_stays(tmp_path: Path) -> None:
    path = tmp_path / "f.prom"
    for name in ("one", "two"):
        write_metrics(path, [Ending(manifest=name, exit_code=ExitCode.OK)], now=NOW)
    assert {manifest for _, manifest, _ in samples(path)} == {"two"}
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_with_quotes_is_one_label(tmp_path: Path) -> None:
    path, name = tmp_path / "f.prom", 'a "b"\\ c'
    write_metrics(path, [Ending(manifest=name, exit_code=ExitCode.OK)], now=NOW)
    assert samples(path)["fluxbatch_run_exit_code", name, ""] == 0


def test_where_it_cannot_be_written_it_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "folder.prom").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        write_metrics(tmp_path / "folder.prom", [], now=NOW)
    with pytest.raises(OutputError, match="cannot be written"):
        write_metrics(tmp_path / "nowhere" / "f.prom", [], now=NOW)
    assert [file.name for file in tmp_path.iterdir()] == ["folder.prom"]


def test_names_follow_prometheus_conventions_and_are_documented(tmp_path: Path) -> None:
    names = [f"fluxbatch_{name}" for name in (*metrics._GAUGES, "run_jobs")]
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    units = ("_seconds", "_dollars", "_code", "_jobs")
    assert [name for name in names if not re.fullmatch("[a-z_]+", name) or not name.endswith(units)] == []
    assert [name for name in names if f"`{name}`" not in readme] == []


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OutputError("x"), ExitCode.CANNOT_CREATE),
        (ExceptionGroup("several", [ValueError("a"), OutputError("x")]), ExitCode.CANNOT_CREATE),
        (KeyboardInterrupt(), ExitCode.TEMPORARY),
        (ZeroDivisionError(), ExitCode.BUG),
    ],
)
def test_an_error_ends_a_run_with_its_own_code(error: BaseException, code: ExitCode) -> None:
    assert code_of(error) is code
