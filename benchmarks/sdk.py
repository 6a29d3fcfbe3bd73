"""The OpenAI SDK with a semaphore, and its HTTP library for the downloads: the usual script."""

import asyncio
import time

import httpx2
import openai

from benchmarks import loops
from benchmarks.pictures import prompt


async def _work(errand: loops.Errand) -> loops.Told:
    ages: list[float] = []
    slots = asyncio.Semaphore(errand.concurrency)
    async with openai.AsyncOpenAI(base_url=errand.base_url, api_key="none") as client, httpx2.AsyncClient() as web:

        async def one(number: int) -> None:
            async with slots:
                answer = await client.images.generate(model="flux-kontext-pro", prompt=prompt(number))
                answered = time.monotonic()
                response = await web.get((answer.data or [])[0].url or "")
                response.raise_for_status()
                (errand.output / f"{number}.jpg").write_bytes(response.content)
                ages.append(time.monotonic() - answered)

        async with asyncio.TaskGroup() as group:
            for number in range(errand.count):
                group.create_task(one(number))
    return loops.Told(ages_s=ages)


if __name__ == "__main__":
    told = loops.errand()
    loops.run(lambda: _work(told), uvloop=told.uvloop)
