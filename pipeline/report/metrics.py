"""What runs came to as metrics: a text file that Prometheus' node_exporter picks up (``*.prom``)."""

from collections.abc import Iterable
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

from pipeline.errors import OutputError
from pipeline.report.ending import Ending
from pipeline.report.summary import Summary

#: Base units, as Prometheus wants them; what is per manifest counts over all runs of its edition.
_GAUGES = {
    "run_exit_code": "How the last run ended: 0 is well, 5 needs a person.",
    "run_end_timestamp_seconds": "When the last run ended.",
    "run_duration_seconds": "How long the last run took.",
    "run_spend_dollars": "What the last run spent.",
    "run_unknown_dollars": "What the last run may have spent besides: its answers were lost.",
    "run_url_age_max_seconds": "The oldest a URL was when its picture was stored.",
    "manifest_spend_dollars": "What all runs of the manifest's edition have spent.",
    "manifest_unknown_dollars": "What they may have spent besides, until a person settles it.",
    "manifest_budget_dollars": "What they may spend at most.",
}
_MICRO = 1_000_000


def write_metrics(path: Path, endings: Iterable[Ending], *, now: float) -> None:
    """Write the file, over an older one, at once and whole.

    Every sample has the label ``manifest``, and none stands for the machine or the ledger as a whole: node_exporter
    refuses two files that have the same one.

    Args:
        now: Seconds since 1970.

    Raises:
        OutputError: It cannot be written.
    """
    registry = CollectorRegistry()
    gauges = {name: Gauge(f"fluxbatch_{name}", told, ["manifest"], registry=registry) for name, told in _GAUGES.items()}
    jobs = Gauge(
        "fluxbatch_run_jobs", "Rows of the manifest, by what became of them.", ["manifest", "state"], registry=registry
    )
    for ending in endings:
        gauges["run_exit_code"].labels(ending.manifest).set(int(ending.exit_code))
        gauges["run_end_timestamp_seconds"].labels(ending.manifest).set(now)
        if ending.summary is None:
            continue
        for name, value in _values(ending.summary).items():
            if value is not None:
                gauges[name].labels(ending.manifest).set(value)
        for state, number in _jobs(ending.summary).items():
            jobs.labels(ending.manifest, state).set(number)
    try:
        write_to_textfile(str(path), registry)
    except OSError as error:
        raise OutputError(
            f"{path}: the metrics cannot be written ({error.strerror})", remedy="name another place with --metrics-file"
        ) from error


def _values(summary: Summary) -> dict[str, float | None]:
    budget = summary.budget_microusd
    return {
        "run_duration_seconds": summary.elapsed_s,
        "run_spend_dollars": summary.spend_microusd / _MICRO,
        "run_unknown_dollars": summary.unknown_microusd / _MICRO,
        "run_url_age_max_seconds": summary.url_age_max_s,
        "manifest_spend_dollars": summary.manifest_spend_microusd / _MICRO,
        "manifest_unknown_dollars": summary.manifest_unknown_microusd / _MICRO,
        "manifest_budget_dollars": None if budget is None else budget / _MICRO,
    }


def _jobs(summary: Summary) -> dict[str, int]:
    return {
        "stored": summary.stored,
        "reused": summary.reused,
        "failed": summary.failed,
        "unknown": summary.unknown,
        "lost": summary.lost,
        "spoiled": summary.spoiled,
        "skipped": summary.skipped,
    }
