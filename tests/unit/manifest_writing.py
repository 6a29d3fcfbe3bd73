"""What the manifest's tests share: writing a manifest to disk, loading it, and reading its problems."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from pipeline.errors import ManifestError, Problem
from pipeline.job import Job, UnfitRow
from pipeline.manifest import Manifest, load_manifest

NOON = datetime(2026, 11, 23, 12, 30)  # noqa: DTZ001  (a local time, whatever the place)
HEAD = "version: 1\nname: test\nprovider: simulator\n"

Loads = Callable[[str], Manifest]


def load(folder: Path, text: str | bytes, name: str = "m.yaml") -> Manifest:
    """Write a manifest and load it."""
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_manifest(path, now=NOON)


def load_jobs(folder: Path, jobs: str, head: str = HEAD) -> Manifest:
    """Load a manifest that has these jobs, as lines of YAML."""
    return load(folder, f"{head}jobs:\n{jobs}")


def made(manifest: Manifest) -> list[Job]:
    """The manifest's jobs, all of which fit."""
    jobs = list(manifest.jobs())
    assert not [job for job in jobs if isinstance(job, UnfitRow)]
    return [job for job in jobs if isinstance(job, Job)]


def problems(folder: Path, text: str | bytes) -> list[Problem]:
    """The problems of a manifest that has some."""
    with pytest.raises(ManifestError) as caught:
        load(folder, text)
    return list(caught.value.problems)


def only_problem(folder: Path, text: str | bytes) -> Problem:
    """The one problem of a manifest."""
    found = problems(folder, text)
    assert len(found) == 1, [str(problem) for problem in found]
    return found[0]
