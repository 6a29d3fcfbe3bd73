"""A fresh ledger for each test of its contract, on each kind of database."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pipeline.ledger import Server
from pipeline.ledger.postgres.opening import open_writing
from tests import postgres
from tests.contract.ledger_scene import Opens, Scene, opened
from tests.postgres import Postgres


@pytest.fixture(scope="session")
def shared_database(database_server: Postgres) -> Iterator[str]:
    """The address of a ledger that is there for all tests, one after the other."""
    with database_server.database() as url:
        open_writing(Server(url, Path())).close()
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def opens(request: pytest.FixtureRequest) -> Opens:
    """What opens a ledger of that kind; a server's is emptied first."""
    if request.param == "sqlite":
        return opened
    url: str = request.getfixturevalue("shared_database")

    @asynccontextmanager
    async def on_server(folder: Path) -> AsyncIterator[Scene]:
        postgres.empty(url)
        async with opened(folder, server=Server(url, folder)) as scene:
            yield scene

    return on_server


@pytest.fixture
async def scene(opens: Opens, tmp_path: Path) -> AsyncIterator[Scene]:
    async with opens(tmp_path) as scene:
        yield scene


@pytest.fixture
async def file_scene(tmp_path: Path) -> AsyncIterator[Scene]:
    """A ledger in a file, where the test is about that."""
    async with opened(tmp_path) as scene:
        yield scene
