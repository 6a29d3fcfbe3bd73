"""How close the pace of buying comes to a provider's hidden limits, and what that costs in refusals.

``python -m benchmarks.pace`` prints the table of docs/performance.md. Everything runs on a clock of events, so the
figures are the same on every machine.
"""

import argparse
import sys
from statistics import median

from benchmarks.pace_gates import FixedWindow, InFlight, Provider
from benchmarks.pace_grid import by_chance, grid
from benchmarks.pace_trial import Trial, oracle

#: What is promised: the throughput of one who knows the limits, and the share of requests that are refused.
LEAST_RATIO, MOST_REFUSED = 0.95, 0.02
#: Jobs: enough for learning to be a small part of the whole; and the most in flight the manifest allows.
JOBS, CEILING = 5_000, 128
SEEDS = 3

Figures = tuple[float, float]


def measure(provider: Provider, *, jobs: int = JOBS, ceiling: int = CEILING, seed: int = 0) -> Figures:
    """The throughput as a share of the oracle's, and the share of requests refused."""
    best = oracle(provider, jobs=jobs, ceiling=ceiling, seed=seed)
    ours = Trial(provider, jobs, ceiling, seed).run()
    return best.elapsed_s / ours.elapsed_s, ours.refused_share


def meets(figures: Figures) -> bool:
    """Whether they are as promised."""
    ratio, refused = figures
    return ratio >= LEAST_RATIO and refused < MOST_REFUSED


def _worst(provider: Provider, *, jobs: int, seeds: range) -> Figures:
    runs = [measure(provider, jobs=jobs, seed=seed) for seed in seeds]
    return min(ratio for ratio, _ in runs), max(refused for _, refused in runs)


def _others() -> list[Provider]:
    """Outside of what is promised: shown because they are the hardest."""
    return [
        Provider(name="no limit but the manifest's 128", gate=lambda: InFlight(((0.0, 10_000),))),
        Provider(name="300 in each minute", gate=lambda: FixedWindow(((0.0, 300),), begun_s=23.0)),
        Provider(name="24 in flight, free 200 ms late", gate=lambda: InFlight(((0.0, 24),)), late_s=0.2),
    ]


def main(words: list[str]) -> int:
    """Measure, and print; 1 when a provider of the grid misses what is promised."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pace")
    parser.add_argument("--jobs", type=int, default=JOBS)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--only", default="", help="those whose name has this in it")
    parser.add_argument(
        "--by-chance", action="store_true", help="those that refuse by chance, which nothing is promised of"
    )
    asked = parser.parse_args(words)
    seeds = range(asked.first, asked.first + asked.seeds)
    if asked.by_chance:
        _say("| provider | of the oracle's throughput | refused |\n|---|---|---|")
        for provider in by_chance():
            _row(provider, _worst(provider, jobs=asked.jobs, seeds=seeds))
        return 0
    rows = []
    _say("| provider | of the oracle's throughput | refused |\n|---|---|---|")
    for provider in grid(asked.jobs):
        if asked.only not in provider.name:
            continue
        figures = _worst(provider, jobs=asked.jobs, seeds=seeds)
        rows.append(figures)
        _row(provider, figures)
    ratios, refusals = zip(*rows, strict=True)
    _say(f"| **median of {len(rows)}** | {median(ratios):.3f} | {median(refusals):.2%} |")
    _say(f"| **worst** | {min(ratios):.3f} | {max(refusals):.2%} |")
    if not asked.only:
        for provider in _others():
            _row(provider, _worst(provider, jobs=asked.jobs, seeds=seeds))
    return 0 if all(map(meets, rows)) else 1


def _row(provider: Provider, figures: Figures) -> None:
    ratio, refused = figures
    _say(f"| {provider.name} | {ratio:.3f} | {refused:.2%} |")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
