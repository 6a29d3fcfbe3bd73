"""The official Python SDK, of whichever version runs this; speaks as ``sdk.cjs`` does, and takes ``asynchronous``.

A call's ``extra_body`` is what the SDK is told to merge into the body; a key of that name inside it travels as it is.
"""

import asyncio
import json
import sys
from typing import Any

import openai


def _outcome(error: openai.APIError) -> dict[str, Any]:
    status = error.status_code if isinstance(error, openai.APIStatusError) else None
    return {"error": type(error).__name__, "status": status, "code": error.code}


def _url(answer: Any) -> dict[str, Any]:
    return {"url": answer.data[0].url}


def _plainly(options: dict[str, Any], calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    outcomes = []
    with openai.OpenAI(**options) as client:
        for call in calls:
            try:
                outcomes.append(_url(client.images.generate(**call)))
            except openai.APIError as error:
                outcomes.append(_outcome(error))
    return outcomes


async def _asynchronously(options: dict[str, Any], calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    outcomes = []
    async with openai.AsyncOpenAI(**options) as client:
        for call in calls:
            try:
                outcomes.append(_url(await client.images.generate(**call)))
            except openai.APIError as error:
                outcomes.append(_outcome(error))
    return outcomes


def _main() -> None:
    asked = json.load(sys.stdin)
    options = {"base_url": asked["baseURL"], "api_key": asked["apiKey"], "max_retries": asked["maxRetries"]}
    if asked["asynchronous"]:
        outcomes = asyncio.run(_asynchronously(options, asked["calls"]))
    else:
        outcomes = _plainly(options, asked["calls"])
    json.dump(outcomes, sys.stdout)


if __name__ == "__main__":
    _main()
