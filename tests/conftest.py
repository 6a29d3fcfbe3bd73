"""How long the long tests run: a few rounds in ``make test``, all of them in ``make torture``."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests import buckets, postgres
from tests.buckets import CREDENTIALS, Gate, Shop
from tests.postgres import Postgres

#: Seeds of one test item, so that thousands of them are not thousands of items.
SEEDS_AN_ITEM = 10


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("torture")
    group.addoption("--torture", action="store_true", help="The long versions: every test's second dose.")
    group.addoption("--seed", type=int, help="One seed only, to look at a failure again.")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "dose(usual, torture): how many seeds the test's ``seeds`` covers, in each of the two versions"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Hand a test that is marked with a dose its ``seeds``, some at a time."""
    if "seeds" not in metafunc.fixturenames:
        return
    mark = metafunc.definition.get_closest_marker("dose")
    assert mark is not None, f"{metafunc.definition.nodeid} takes seeds and is marked with no dose"
    metafunc.parametrize("seeds", list(_items(metafunc.config, *mark.args)), ids=_named)


def _items(config: pytest.Config, usual: int, torture: int) -> Iterator[range]:
    one = config.getoption("--seed")
    if one is not None:
        yield range(one, one + 1)
        return
    last = torture if config.getoption("--torture") else usual
    for first in range(0, last, SEEDS_AN_ITEM):
        yield range(first, min(first + SEEDS_AN_ITEM, last))


def _named(seeds: range) -> str:
    return f"{seeds.start}-{seeds.stop - 1}"


@pytest.fixture(scope="session")
def database_server() -> Iterator[Postgres]:
    """A PostgreSQL server, the same for all tests of this process; skips them where there can be none."""
    with postgres.running() as server:
        yield server


@pytest.fixture
def database(database_server: Postgres) -> Iterator[str]:
    """The address of a new database."""
    with database_server.database() as url:
        yield url


@pytest.fixture(scope="session")
def bucket_server() -> Iterator[int]:
    """The port of an S3 server, the same for all tests of this process."""
    with buckets.serve() as port:
        yield port


@pytest.fixture
async def shop(bucket_server: int) -> AsyncIterator[Shop]:
    """A new bucket."""
    async with buckets.shop(bucket_server) as made:
        yield made


@pytest.fixture
async def gate(bucket_server: int, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Gate]:
    """The way to the server, which the environment names, with credentials; requests are tried twice."""
    async with buckets.gate_before(bucket_server) as made:
        for name, value in {**CREDENTIALS, "AWS_MAX_ATTEMPTS": "2", "AWS_ENDPOINT_URL_S3": made.url}.items():
            monkeypatch.setenv(name, value)
        yield made


@pytest.fixture(scope="session")
def torture(request: pytest.FixtureRequest) -> bool:
    """Whether this is the long version."""
    return bool(request.config.getoption("--torture"))
