"""The simulator's log of charges, asked as a person would with curl."""

from typing import Any

import aiohttp
import anyio
import pytest

from pipeline.simulator import Simulator, SimulatorSettings

TOKEN = {"Authorization": "log-token"}


async def ask(simulator: Simulator, headers: dict[str, str] | None = None, **query: str | int) -> tuple[int, Any]:
    url = simulator.base_url.removesuffix("/v1") + "/api/log/self"
    with anyio.fail_after(20):
        async with (
            aiohttp.ClientSession() as session,
            session.get(url, params=query, headers=TOKEN if headers is None else headers) as response,
        ):
            return response.status, await response.json()


async def buy(simulator: Simulator, count: int, model: str = "flux-kontext-pro") -> None:
    with anyio.fail_after(20):
        async with aiohttp.ClientSession() as session:
            for number in range(count):
                body = {"model": model, "prompt": str(number)}
                async with session.post(simulator.base_url + "/images/generations", json=body) as response:
                    assert response.status == 200


@pytest.mark.parametrize(("form", "first"), [("list", 0), ("items", 1)])
async def test_pages_hold_ten_and_count_from_the_forms_own_first(form: Any, first: int) -> None:
    async with Simulator(SimulatorSettings(log_form=form, scale=16)) as simulator:
        await buy(simulator, 12)
        pages = [(await ask(simulator, p=number, page_size=100, type=2))[1]["data"] for number in range(4)]
    found = [page if form == "list" else page["items"] for page in pages]
    assert [len(page) for page in found[first:]] == [10, 2, 0, 0][: 4 - first]
    assert found[0] == found[first]
    assert [each["id"] for each in found[first]] == list(range(13, 3, -1))


async def test_an_entry_says_what_was_charged_for_which_request() -> None:
    async with Simulator(SimulatorSettings(scale=16)) as simulator:
        await buy(simulator, 1, "flux-kontext-max")
        _, told = await ask(simulator, type=2)
        (charge,) = simulator.bill.charges
    (entry,) = told["data"]
    assert (entry["quota"], entry["model_name"], entry["type"]) == (35_000, "flux-kontext-max", 2)
    assert (entry["request_id"], entry["created_at"]) == (charge.request_id, int(charge.time))
    assert isinstance(entry["other"], str)


async def test_a_log_without_names_has_none() -> None:
    async with Simulator(SimulatorSettings(log_request_ids=False, scale=16)) as simulator:
        await buy(simulator, 1)
        _, told = await ask(simulator, type=2)
    assert "request_id" not in told["data"][0]


async def test_without_a_type_top_ups_come_too_and_what_is_asked_for_narrows() -> None:
    async with Simulator(SimulatorSettings(scale=16)) as simulator:
        await buy(simulator, 2)
        await buy(simulator, 1, "flux-kontext-max")
        counts = [
            len((await ask(simulator, **query))[1]["data"])
            for query in (
                {},
                {"type": 1},
                {"type": 2},
                {"type": 2, "model_name": "flux-kontext-max"},
                {"type": 2, "token_name": "default"},
                {"type": 2, "token_name": "other"},
                {"type": 2, "end_timestamp": 1},
                {"type": 2, "start_timestamp": 4_000_000_000},
            )
        ]
    assert counts == [4, 1, 3, 1, 3, 0, 0, 0]


async def test_the_log_is_shown_to_its_own_token_only() -> None:
    settings = SimulatorSettings(keys=frozenset({"sk-key"}), log_tokens=frozenset({"log-token"}))
    async with Simulator(settings) as simulator:
        assert (await ask(simulator))[0] == 200
        for headers in ({}, {"Authorization": "sk-key"}, {"Authorization": "Bearer log-token"}):
            status, told = await ask(simulator, headers)
            assert (status, told["success"]) == (401, False)
    async with Simulator() as open_to_any:
        assert (await ask(open_to_any))[0] == 200
        assert (await ask(open_to_any, {}))[0] == 401


async def test_what_is_no_number_is_refused_in_a_200() -> None:
    async with Simulator() as simulator:
        status, told = await ask(simulator, p="one")
    assert (status, told["success"]) == (200, False)
