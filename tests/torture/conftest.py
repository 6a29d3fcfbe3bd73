"""Warm processes for tests that start, stop and kill hundreds of commands."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.acceptance.warm import Warm, warmed


@pytest.fixture(scope="session")
def crew() -> Iterator[list[Warm]]:
    """Three processes, each of which becomes one command after the other."""
    with ExitStack() as stack:
        yield [stack.enter_context(warmed()) for _ in range(3)]
