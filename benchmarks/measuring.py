"""The only module that starts processes and says what they cost: processor time, memory, time on the clock."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import TemporaryFile

import aiohttp
import anyio

#: No contender takes this long, even on a busy machine.
PATIENCE_S = 900.0


class FailedError(Exception):
    """A process ended as it should not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a process came to, its children included.

    Attributes:
        peak_mib: The most memory it held.
        output: What it wrote to standard output.
    """

    cpu_s: float
    wall_s: float
    peak_mib: float
    output: str


def measured(words: Sequence[str]) -> Cost:
    """Run a process to its end.

    Raises:
        FailedError: It ended with another code than 0.
    """
    with TemporaryFile() as output, TemporaryFile() as errors:
        began = time.monotonic()
        process = subprocess.Popen(words, stdout=output, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        if process.returncode:
            raise FailedError(f"{' '.join(words)}: {process.returncode}\n{errors.read().decode()[-4000:]}")
        return Cost(
            cpu_s=usage.ru_utime + usage.ru_stime,
            wall_s=wall_s,
            peak_mib=usage.ru_maxrss / 1024,
            output=output.read().decode(),
        )


@contextmanager
def provider(size: str, *, latency_s: float, in_flight: int = 0) -> Iterator[str]:
    """A provider in a process of its own; its base URL."""
    words = [sys.executable, "-m", "benchmarks.provider", "--size", size]
    words += ["--latency", str(latency_s), "--in-flight", str(in_flight)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None  # noqa: S101 - asked for above
        yield process.stdout.readline().decode().strip()
    finally:
        process.kill()
        process.communicate()


def till(base_url: str) -> dict[str, float]:
    """What the provider has counted since it was asked last."""

    async def ask() -> dict[str, float]:
        async with aiohttp.ClientSession() as session, session.get(base_url.removesuffix("/v1") + "/till") as answer:
            counts: dict[str, float] = await answer.json()
            return counts

    return anyio.run(ask)
