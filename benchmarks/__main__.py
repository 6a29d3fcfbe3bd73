"""``python -m benchmarks``: everybody side by side; ``--small`` only sees that all of them do it right."""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.contenders import contenders
from benchmarks.contest import Contest, Record
from benchmarks.measuring import provider
from benchmarks.pictures import Size, variant
from benchmarks.telling import machine, table
from pipeline.deliver import prove

_SMALL = {"pictures": 40, "rounds": 1}
_USUAL = {"pictures": 1000, "rounds": 5}


def main(words: Sequence[str] | None = None) -> int:
    """Run the contests, and print what they came to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--small", action="store_true", help="a few pictures, once: fails only on a wrong result")
    parser.add_argument("--pictures", type=int)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--latency", type=float, default=0.02, help="seconds the provider takes for a picture")
    parser.add_argument("--in-flight", type=int, default=0, help="the provider refuses more with 429; 0: no limit")
    parser.add_argument("--size", choices=("small", "large"), action="append")
    parser.add_argument("--folder", type=Path, help="where pictures go meanwhile; a disk, not memory")
    given = parser.parse_args(words)
    usual = _SMALL if given.small else _USUAL
    pictures, rounds = given.pictures or usual["pictures"], given.rounds or usual["rounds"]
    _say(f"{machine()}\n{pictures} pictures, {rounds} rounds, {given.concurrency} at once\n")
    for size in given.size or ["small", "large"]:
        with (
            TemporaryDirectory(prefix="bench-", dir=given.folder) as folder,
            provider(size, latency_s=given.latency, in_flight=given.in_flight) as base_url,
        ):
            contest = Contest(
                base_url=base_url,
                size=size,
                pictures=pictures,
                concurrency=given.concurrency,
                folder=Path(folder),
            )
            _tell(size, contest.run(contenders(), rounds=rounds))
    return 0


def _tell(size: Size, records: Sequence[Record]) -> None:
    _say(f"{size} pictures, {len(variant(size, 0)) / 1000:.0f} KB each\n\n{table(records)}\n")
    proof = (
        f"Proof by a full decode takes {_proof_ms(size):.2f} ms of CPU a picture, which is in the pipeline's figure."
    )
    longest = max((max(record.stretch_ms) for record in records if record.stretch_ms), default=0.0)
    _say(f"{proof}\nThe pipeline's event loop worked for at most {longest:.1f} ms without a look at its timers.\n")


def _proof_ms(size: Size, *, times: int = 20) -> float:
    """What proving one picture costs; the best of several turns, as other programs can only add to it."""
    turns = []
    for _ in range(5):
        began = time.thread_time()
        for number in range(times):
            prove(variant(size, number), None)
        turns.append(1000 * (time.thread_time() - began) / times)
    return min(turns)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
