"""A fresh ledger for each test of its contract, on each kind of database."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pipeline.ledger import Server
from pipeline.ledger.postgres.connection import Connection
from pipeline.ledger.postgres.opening import open_writing
from tests import postgres
from tests.contract.ledger_scene import Opens, Scene, opened


@pytest.fixture(scope="session")
def emptied() -> Iterator[Connection]:
    """A connection to a server's ledger that is there for all tests, one after the other."""
    with postgres.running() as server, server.database() as url:
        connection = open_writing(Server(url, Path()))
        yield connection
        connection.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def opens(request: pytest.FixtureRequest) -> Opens:
    """What opens a ledger of that kind; a server's is emptied first."""
    if request.param == "sqlite":
        return opened
    connection: Connection = request.getfixturevalue("emptied")

    @asynccontextmanager
    async def on_server(folder: Path) -> AsyncIterator[Scene]:
        postgres.empty(connection)
        async with opened(folder, server=postgres.of(connection, folder)) as scene:
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
