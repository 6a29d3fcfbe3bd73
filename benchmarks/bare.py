"""The bare loop: ask, download, write, as anybody would with aiohttp. No ledger, no check, nothing made durable."""

import asyncio
import time
from collections.abc import Iterator

import aiohttp

from benchmarks import loops
from benchmarks.pictures import prompt


async def _work(errand: loops.Errand) -> loops.Told:
    ages: list[float] = []

    async def worker(session: aiohttp.ClientSession, numbers: Iterator[int]) -> None:
        for number in numbers:
            asked = {"model": "flux-kontext-pro", "prompt": prompt(number)}
            async with session.post(f"{errand.base_url}/images/generations", json=asked) as response:
                response.raise_for_status()
                url = (await response.json())["data"][0]["url"]
                answered = time.monotonic()
            async with session.get(url) as response:
                response.raise_for_status()
                data = await response.read()
            (errand.output / f"{number}.jpg").write_bytes(data)
            ages.append(time.monotonic() - answered)

    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
        numbers = iter(range(errand.count))
        for _ in range(errand.concurrency):
            group.create_task(worker(session, numbers))
    return loops.Told(ages_s=ages)


if __name__ == "__main__":
    told = loops.errand()
    loops.run(lambda: _work(told), uvloop=told.uvloop)
