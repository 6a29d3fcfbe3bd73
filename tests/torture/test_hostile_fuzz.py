"""A hundred thousand manifests that nobody wrote: sound, or refused in plain words, and never anything else."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import pytest

from pipeline.errors import FluxbatchError
from pipeline.job import Job, UnfitRow
from pipeline.manifest import load_manifest
from tests.torture.hostile.mutations import Mutant, corpus

#: Of a processor, by the best of three: a machine may be busy.
MOST_CPU_S = 1.0
TRIES = 3
#: What takes so much has no end.
ENDLESS_CPU_S = 20.0
LONGEST_LINE = 800
#: Variables multiply; so many jobs of each tell enough.
JOBS_LOOKED_AT = 100

CORPUS = corpus()


@pytest.mark.dose(300, 100_000)
def test_any_manifest_is_sound_or_refused_in_plain_words(seeds: range, tmp_path: Path) -> None:
    for seed in seeds:
        path = Mutant(seed, CORPUS).write(tmp_path)
        try:
            with _an_end():
                assert any(_tried(path) < MOST_CPU_S for _ in range(TRIES))
        except BaseException as error:
            error.add_note(f"seed {seed}: {path.read_bytes()[:3_000]!r}")
            raise


def test_mutants_are_of_every_kind(tmp_path: Path) -> None:
    """A fuzzer whose manifests are all refused, or all sound, tries little."""
    sound = 0
    for seed in range(200):
        try:
            load_manifest(Mutant(seed, CORPUS).write(tmp_path))
        except FluxbatchError:
            continue
        sound += 1
    assert 10 <= sound <= 150


@contextmanager
def _an_end() -> Iterator[None]:
    """Whatever goes on for ever fails."""

    def stop(*_: Any) -> None:
        raise AssertionError(f"it went on for {ENDLESS_CPU_S} s")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, ENDLESS_CPU_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _tried(path: Path) -> float:
    """Load it and make its jobs; the seconds that took."""
    before = time.process_time()
    try:
        for made in islice(load_manifest(path).jobs(), JOBS_LOOKED_AT):
            if isinstance(made, UnfitRow):
                _assert_plain(f"{made.source}: {made.message}")
            else:
                _assert_inside(made)
    except FluxbatchError as error:
        _assert_plain(str(error))
    return time.process_time() - before


def _assert_plain(told: str) -> None:
    assert told
    for line in told.split("\n"):
        assert len(line) <= LONGEST_LINE, line
        assert line.isprintable(), ascii(line)


def _assert_inside(job: Job) -> None:
    """The path stays in the output folder, on any system, and each part of it can be a name there."""
    for path in (PurePosixPath(job.path), PureWindowsPath(job.path)):
        assert not path.is_absolute()
        assert not path.drive
    assert not PureWindowsPath(job.path).is_reserved()
    for part in job.path.split("/"):
        assert part not in {"", ".", ".."}
        assert part.isprintable() or "\u200d" in part or "\u200c" in part, ascii(part)
        assert not part.endswith((".", " "))
        assert not set(part) & set('<>:"\\|?*')
        assert len(part.encode()) <= 210
