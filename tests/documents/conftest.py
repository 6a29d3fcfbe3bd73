"""A workspace for each page."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.stage import Workspace
from tests.acceptance.warm import Warm, warmed


@pytest.fixture(scope="module")
def warm() -> Iterator[Warm]:
    """A process that becomes one command after the other."""
    with warmed() as ready:
        yield ready


@pytest.fixture
def workspace(tmp_path: Path, warm: Warm) -> Workspace:
    """A folder to work in."""
    return Workspace(tmp_path, warm)
