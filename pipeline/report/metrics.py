"""What runs came to as Prometheus reads it: a text file for node_exporter (``*.prom``), and the live page's."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile
from prometheus_client.exposition import choose_encoder

from pipeline.errors import OutputError
from pipeline.ledger import Standing
from pipeline.report.ending import Ending
from pipeline.report.summary import Summary

#: Base units, as Prometheus wants them; what is per manifest counts over all runs of its edition.
_GAUGES = {
    "run_exit_code": "How the last run ended: 0 is well, 5 needs a person.",
    "run_end_timestamp_seconds": "When the last run ended.",
    "run_duration_seconds": "How long the last run took.",
    "run_spend_dollars": "What the last run spent.",
    "run_unknown_dollars": "What the last run may have spent besides: its answers were lost, or are still awaited.",
    "run_url_age_max_seconds": "The oldest a URL was when its picture was stored.",
    "manifest_spend_dollars": "What all runs of the manifest's edition have spent.",
    "manifest_unknown_dollars": "What they may have spent besides, until a person settles it.",
    "manifest_budget_dollars": "What they may spend at most.",
}
_JOBS = "Rows of the manifest, by what became of them."
_MICRO = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One manifest's samples.

    Attributes:
        values: By the gauge's name; a gauge without a value is None, and has no sample.
        jobs: Rows, by what became of them.
    """

    manifest: str
    values: dict[str, float | None]
    jobs: dict[str, int]


def families() -> Iterator[tuple[str, tuple[str, ...], str]]:
    """Every metric's name, its labels, and what it tells."""
    for name, told in _GAUGES.items():
        yield f"fluxbatch_{name}", ("manifest",), told
    yield "fluxbatch_run_jobs", ("manifest", "state"), _JOBS


def write_metrics(path: Path, endings: Iterable[Ending], *, now: float) -> None:
    """Write the file, over an older one, at once and whole.

    Args:
        now: Seconds since 1970.

    Raises:
        OutputError: It cannot be written.
    """
    registry = _registry(_of_ending(ending, now) for ending in endings)
    try:
        write_to_textfile(str(path), registry)
    except OSError as error:
        raise OutputError(
            f"{path}: the metrics cannot be written ({error.strerror})", remedy="name another place with --metrics-file"
        ) from error


def exposition(standings: Iterable[Standing], *, accept: str, now: float) -> tuple[bytes, str]:
    """The same of what the ledger says, and the content type that it has.

    Args:
        accept: What the scraper says it reads: the text format, unless it asks for OpenMetrics.
        now: Seconds since 1970.
    """
    encode, content_type = choose_encoder(accept)
    return encode(_registry(_of_standing(standing, now) for standing in standings)), content_type


def _registry(told: Iterable[Figures]) -> CollectorRegistry:
    """Every sample, with the label ``manifest``.

    None stands for the machine or the ledger as a whole: node_exporter refuses two files that have the same one.
    """
    registry = CollectorRegistry()
    made = {name: Gauge(name, help_, labels, registry=registry) for name, labels, help_ in families()}
    gauges = {name: made[f"fluxbatch_{name}"] for name in _GAUGES}
    jobs = made["fluxbatch_run_jobs"]
    for figures in told:
        for name, value in figures.values.items():
            if value is not None:
                gauges[name].labels(figures.manifest).set(value)
        for state, number in figures.jobs.items():
            jobs.labels(figures.manifest, state).set(number)
    return registry


def _of_ending(ending: Ending, now: float) -> Figures:
    values: dict[str, float | None] = {
        "run_exit_code": int(ending.exit_code),
        "run_end_timestamp_seconds": now,
    }
    if ending.summary is None:
        return Figures(manifest=ending.manifest, values=values, jobs={})
    return Figures(manifest=ending.manifest, values={**values, **_values(ending.summary)}, jobs=_jobs(ending.summary))


def _of_standing(standing: Standing, now: float) -> Figures:
    tally = standing.tally
    until = standing.ended_at if standing.ended_at is not None else now
    jobs = {name: getattr(tally, name) for name in ("stored", "reused", "failed", "unknown", "lost", "spoiled")}
    if standing.on:  # what is under way is neither unknown nor lost yet
        jobs |= {"unknown": tally.unknown - standing.buying, "lost": tally.lost - standing.fetching}
        jobs |= {"planned": tally.planned, "buying": standing.buying, "bought": standing.fetching}
    else:
        jobs["skipped"] = tally.planned
    return Figures(
        manifest=standing.manifest,
        values={
            "run_exit_code": standing.exit_code,
            "run_end_timestamp_seconds": standing.last_ended_at,
            "run_duration_seconds": max(0.0, until - standing.started_at) if standing.knows_duration else None,
            "run_spend_dollars": tally.spend_microusd / _MICRO,
            "run_unknown_dollars": tally.unknown_microusd / _MICRO,
            "run_url_age_max_seconds": tally.url_age_max_s,
            "manifest_spend_dollars": tally.batch_spend_microusd / _MICRO,
            "manifest_unknown_dollars": tally.batch_unknown_microusd / _MICRO,
            "manifest_budget_dollars": _dollars(standing.budget_microusd),
        },
        jobs=jobs,
    )


def _dollars(microusd: int | None) -> float | None:
    return None if microusd is None else microusd / _MICRO


def _values(summary: Summary) -> dict[str, float | None]:
    return {
        "run_duration_seconds": summary.elapsed_s,
        "run_spend_dollars": summary.spend_microusd / _MICRO,
        "run_unknown_dollars": summary.unknown_microusd / _MICRO,
        "run_url_age_max_seconds": summary.url_age_max_s,
        "manifest_spend_dollars": summary.manifest_spend_microusd / _MICRO,
        "manifest_unknown_dollars": summary.manifest_unknown_microusd / _MICRO,
        "manifest_budget_dollars": _dollars(summary.budget_microusd),
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
