"""How the clients' loops are told what to do, and how they tell what came of it."""

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import anyio


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """What every client is asked to do."""

    base_url: str
    count: int
    concurrency: int
    output: Path
    uvloop: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a client says of its work, on the last line of its output.

    Attributes:
        ages_s: From each answer to its picture's file; empty where the client does not know.
        longest_stretch_ms: The most processor time its loop took before it looked at its timers again.
        longest_wait_ms: The longest time, on the clock, that a timer of its loop was late.
    """

    ages_s: Sequence[float] = field(default_factory=tuple)
    longest_stretch_ms: float | None = None
    longest_wait_ms: float | None = None


def errand() -> Errand:
    """Read the words of a client's command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--concurrency", type=int, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--uvloop", action="store_true")
    words = parser.parse_args()
    words.output.mkdir(parents=True, exist_ok=True)
    return Errand(**vars(words))


def run(work: Callable[[], Coroutine[Any, Any, Told]], *, uvloop: bool) -> None:
    """Run a client, and tell what came of it."""
    tell(anyio.run(work, backend_options={"use_uvloop": uvloop}))


def tell(told: Told) -> None:
    """Say what came of it, on a line of its own."""
    sys.stdout.write(json.dumps(asdict(told)) + "\n")


def heard(output: str) -> Told:
    """What a client has told; nothing, of one that is not ours."""
    last = output.strip().rpartition("\n")[2]
    return Told(**json.loads(last)) if last.startswith('{"ages_s"') else Told()


def median(values: Sequence[float]) -> float | None:
    """The median; None of nothing."""
    return statistics.median(values) if values else None
