"""A network namespace beside this one, for a worker that can be cut off from the database or from the provider.

Two ways lead out of it, a pair of virtual ends each. The database's is an ordinary address. The provider is on a
loopback address, the only one that plain http may go to: in the namespace that address is no loopback's any more, but
is led over the way. So nothing stands between, and a cut is what a cut is: packets go nowhere, and nobody says so.
"""

import asyncio
import contextlib
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import pytest
from psycopg.conninfo import conninfo_to_dict

#: Where the provider listens.
PROVIDER = "127.0.0.2"
_Way = Literal["database", "provider"]


@dataclass(slots=True)
class Outpost:
    """A namespace with its two ways out.

    Attributes:
        database_host: This side's address of the way to the database.
    """

    name: str
    subnet: str
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def database_host(self) -> str:
        return f"{self.subnet}.5"

    def cut(self, way: _Way) -> None:
        """Let nothing through any more."""
        _ip("link", "set", f"{self.name}{way[0]}", "down")

    def mend(self, way: _Way) -> None:
        """Let everything through again."""
        _ip("link", "set", f"{self.name}{way[0]}", "up")

    def break_off(self) -> None:
        """Reset the connections to the database, as a firewall on the way does, so that their loss is known at once."""
        for writer in self._writers:
            writer.transport.abort()

    def command(self, *words: str) -> list[str]:
        """A command inside."""
        return ["nsenter", f"--net=/run/netns/{self.name}", *words]

    @asynccontextmanager
    async def database(self, url: str) -> AsyncIterator[str]:
        """The address inside of a database that is reached from here."""
        said = conninfo_to_dict(url)
        host, port = str(said.get("host") or "localhost"), int(str(said.get("port") or 5432))

        async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                if host.startswith("/"):
                    far = await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
                else:
                    far = await asyncio.open_connection(host, port)
                self._writers.add(writer)
                try:
                    await asyncio.gather(_pour(reader, far[1]), _pour(far[0], writer))
                finally:
                    self._writers.discard(writer)
                    far[1].close()
            writer.close()

        relay = await asyncio.start_server(pass_on, self.database_host, 0)
        try:
            user, password = quote(str(said.get("user") or "postgres"), safe=""), said.get("password")
            user += f":{quote(str(password), safe='')}" if password else ""
            where = "{}:{}".format(*relay.sockets[0].getsockname())
            yield f"postgresql://{user}@{where}/{said['dbname']}"
        finally:
            self.break_off()
            relay.close()


@contextmanager
def outpost() -> Iterator[Outpost]:
    """A namespace, for as long as it is wanted. Skips the test, saying why, where there can be none."""
    if sys.platform != "linux" or not all(map(shutil.which, ("ip", "nsenter"))):
        pytest.skip("no network namespaces: they need Linux, iproute2 and util-linux")
    made = Outpost(f"fb{secrets.token_hex(4)}", f"198.18.{secrets.randbelow(256)}")
    try:
        _ip("netns", "add", made.name)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no network namespaces: {error.stderr.strip()}")
    try:
        _make(made)
        yield made
    finally:
        _ip("netns", "delete", made.name)


def _make(made: Outpost) -> None:
    name, inside = made.name, ("-n", made.name)
    for way, first in (("d", 5), ("p", 9)):
        _ip("link", "add", f"{name}{way}", "type", "veth", "peer", "name", f"{name}{way}i", "netns", name)
        _ip("address", "add", f"{made.subnet}.{first}/30", "dev", f"{name}{way}")
        _ip("link", "set", f"{name}{way}", "up")
        _ip(*inside, "address", "add", f"{made.subnet}.{first + 1}/30", "dev", f"{name}{way}i")
        _ip(*inside, "link", "set", f"{name}{way}i", "up")
    _ip(*inside, "link", "set", "lo", "up")
    _ip(*inside, "address", "delete", "127.0.0.1/8", "dev", "lo")
    _ip(*inside, "address", "add", "127.0.0.1/32", "dev", "lo")
    away = ("via", f"{made.subnet}.9", "dev", f"{name}pi", "src", f"{made.subnet}.10")
    _ip(*inside, "route", "add", f"{PROVIDER}/32", *away)
    setting = "/proc/sys/net/ipv4/conf/{}/route_localnet"
    try:
        Path(setting.format(f"{name}p")).write_text("1")
    except OSError as error:
        pytest.skip(f"no loopback address can be led over a way: {error.strerror}")
    _run(*made.command("sh", "-c", f"echo 1 > {setting.format(f'{name}pi')}"))


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


def _ip(*words: str) -> None:
    _run("ip", *words)


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, text=True, timeout=60, env=os.environ | {"LC_ALL": "C"})
