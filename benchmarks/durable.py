"""The bare loop with every step durable and every picture proven, as simply as that can be done: what safety costs.

There is no pace, no deadline, no budget, no back-pressure, no second try, and nothing is taken up after a crash. What
it takes is about the least that any program takes in Python which keeps a ledger, decodes, and syncs what it keeps.
"""

import asyncio
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks import loops
from benchmarks.pictures import prompt
from pipeline.deliver import prove

_INSERT = "INSERT INTO pictures (number, prompt, state) VALUES (?, ?, 'asked')"
_ANSWERED = "UPDATE pictures SET state = 'bought', url = ? WHERE number = ?"
_STORED = "UPDATE pictures SET state = 'stored', sha256 = ?, bytes = ? WHERE number = ?"

_Statement = tuple[str, tuple[Any, ...]]


class _Ledger:
    """One table, written by one thread; what waits is committed together."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._loop = asyncio.get_running_loop()
        self._waiting: queue.SimpleQueue[tuple[_Statement, asyncio.Future[None]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    async def do(self, sql: str, *values: Any) -> None:
        """Run a statement, and wait until it is durable."""
        done: asyncio.Future[None] = self._loop.create_future()
        self._waiting.put(((sql, values), done))
        await done

    def close(self) -> None:
        self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        connection = sqlite3.connect(self._path, isolation_level=None)
        connection.executescript(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
            "CREATE TABLE pictures (number INTEGER PRIMARY KEY, prompt, state, url, sha256, bytes)"
        )
        while (first := self._waiting.get()) is not None:
            group = [first]
            while not self._waiting.empty() and (entry := self._waiting.get()) is not None:
                group.append(entry)
            connection.execute("BEGIN")
            for (sql, values), _ in group:
                connection.execute(sql, values)
            connection.execute("COMMIT")
            self._loop.call_soon_threadsafe(_resolve, [done for _, done in group])
        connection.close()


def _resolve(futures: list[asyncio.Future[None]]) -> None:
    for future in futures:
        future.set_result(None)


def _keep(data: bytes, path: Path) -> tuple[str, int]:
    """Prove a picture, and make it and its name durable; what is written down of it."""
    proof = prove(data, None)
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return proof.sha256, proof.size_bytes


async def _work(errand: loops.Errand) -> loops.Told:
    ages: list[float] = []
    ledger = _Ledger(errand.output.with_suffix(".db"))

    async def worker(session: aiohttp.ClientSession, numbers: Iterator[int]) -> None:
        for number in numbers:
            asked = {"model": "flux-kontext-pro", "prompt": prompt(number)}
            await ledger.do(_INSERT, number, asked["prompt"])
            async with session.post(f"{errand.base_url}/images/generations", json=asked) as response:
                response.raise_for_status()
                url = (await response.json())["data"][0]["url"]
                answered = time.monotonic()
            await ledger.do(_ANSWERED, url, number)
            async with session.get(url) as response:
                response.raise_for_status()
                data = await response.read()
            sha256, size = await asyncio.to_thread(_keep, data, errand.output / f"{number}.jpg")
            await ledger.do(_STORED, sha256, size, number)
            ages.append(time.monotonic() - answered)

    try:
        async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
            numbers = iter(range(errand.count))
            for _ in range(errand.concurrency):
                group.create_task(worker(session, numbers))
    finally:
        ledger.close()
    return loops.Told(ages_s=ages)


if __name__ == "__main__":
    told = loops.errand()
    loops.run(lambda: _work(told), uvloop=told.uvloop)
