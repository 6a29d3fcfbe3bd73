"""How old paid URLs grow, and how full the link is kept, over a grid of providers, bandwidths and faults.

``python -m benchmarks.deadlines [WORD...]`` plays the scenarios whose names have all the words, or all scenarios, on a
virtual clock: ten minutes of a run take about a second. The same table comes of it on every machine.
"""

import sys

from tests.torture.deadlines.scenarios import scenarios
from tests.torture.deadlines.stage import WINDOW_S, Result, Scenario, play

HEADINGS = (
    "provider, bandwidth, fault",
    "bought",
    "died",
    "oldest s",
    "p99 s",
    "of the link",
    "held up",
    "most outstanding",
)


def main(words: list[str]) -> int:
    """Print the table; 1 where a target is missed."""
    chosen = [scenario for scenario in scenarios() if all(word in scenario.name for word in words)]
    _row(*HEADINGS)
    _row("---", *("---:" for _ in HEADINGS[1:]))
    missed = 0
    for scenario in chosen:
        result = play(scenario)
        missed += _misses(scenario, result)
        _row(
            scenario.name,
            str(result.bought),
            str(result.died),
            f"{result.oldest_s:.1f}",
            f"{result.p99_s:.1f}",
            f"{result.throughput:.1%}",
            f"{result.held_up:.0%}",
            str(result.peak),
        )
    sys.stdout.write(f"\n{len(chosen) - missed} of {len(chosen)} scenarios within their targets\n")
    return 1 if missed else 0


def _misses(scenario: Scenario, result: Result) -> bool:
    return (
        result.died > 0
        or result.oldest_s >= WINDOW_S / 2
        or (not scenario.narrow and result.p99_s >= WINDOW_S / 10)
        or (scenario.full and result.throughput < 0.95)
    )


def _row(*cells: str) -> None:
    sys.stdout.write(f"| {' | '.join(cells)} |\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
