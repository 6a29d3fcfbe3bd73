"""Downloads over real sockets: links that die, ranges, and each way a body can go wrong."""

import asyncio
import io
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import anyio
import pytest
from PIL import Image

from pipeline.simulator import Simulator, SimulatorSettings

PATIENCE_S = 10.0


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        yield session


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(SimulatorSettings(scale=8)) as running:
        yield running


async def buy(client: aiohttp.ClientSession, simulator: Simulator, fault: str = "") -> str:
    """The link of a new picture whose downloads have that fault."""
    prompt = f"a cat [fault:{fault}]" if fault else "a cat"
    body = {"model": "flux-kontext-pro", "prompt": prompt, "seed": 1}
    async with client.post(f"{simulator.base_url}/images/generations", json=body) as answer:
        link: str = (await answer.json())["data"][0]["url"]
        return link


async def get(client: aiohttp.ClientSession, url: str, **options: Any) -> tuple[int, bytes, Any]:
    with anyio.fail_after(PATIENCE_S):
        async with client.get(url, **options) as answer:
            return answer.status, await answer.read(), answer.headers


def is_picture(data: bytes) -> bool:
    try:
        Image.open(io.BytesIO(data)).load()
    except OSError:
        return False
    return True


async def test_a_picture_comes_with_true_headers(client: aiohttp.ClientSession, simulator: Simulator) -> None:
    status, picture, headers = await get(client, await buy(client, simulator))
    assert (status, is_picture(picture), headers["Content-Type"]) == (200, True, "image/jpeg")
    assert int(headers["Content-Length"]) == len(picture)
    assert headers["ETag"].startswith('"')
    assert "x-request-id" in headers


async def test_a_picture_is_the_same_each_time(client: aiohttp.ClientSession, simulator: Simulator) -> None:
    link = await buy(client, simulator)
    assert (await get(client, link))[1] == (await get(client, link))[1]
    assert simulator.bill.downloads == 2


@pytest.mark.parametrize(
    ("asked", "start", "stop"), [("bytes=0-99", 0, 100), ("bytes=100-", 100, None), ("bytes=-50", -50, None)]
)
async def test_a_range_gives_its_part(
    client: aiohttp.ClientSession, simulator: Simulator, asked: str, start: int, stop: int | None
) -> None:
    link = await buy(client, simulator)
    _, picture, _ = await get(client, link)
    status, part, headers = await get(client, link, headers={"Range": asked})
    assert (status, part) == (206, picture[start:stop])
    assert headers["Content-Range"].endswith(f"/{len(picture)}")
    assert simulator.bill.downloads == 1


async def test_a_range_past_the_end_is_refused(client: aiohttp.ClientSession, simulator: Simulator) -> None:
    status, _, headers = await get(client, await buy(client, simulator), headers={"Range": "bytes=999999-"})
    assert (status, headers["Content-Range"][:8]) == (416, "bytes */")


async def test_an_unreadable_range_is_ignored(client: aiohttp.ClientSession, simulator: Simulator) -> None:
    status, picture, _ = await get(client, await buy(client, simulator), headers={"Range": "lines=1-2"})
    assert (status, is_picture(picture)) == (200, True)


@pytest.mark.parametrize("expired_status", [404, 403, 410])
async def test_a_link_dies_with_its_window(client: aiohttp.ClientSession, expired_status: int) -> None:
    async with Simulator(SimulatorSettings(scale=8, window_s=0.3, expired_status=expired_status)) as simulator:
        link = await buy(client, simulator)
        assert (await get(client, link))[0] == 200
        await asyncio.sleep(0.3)
        assert (await get(client, link))[0] == expired_status


async def test_a_forged_link_is_refused(client: aiohttp.ClientSession, simulator: Simulator) -> None:
    link = await buy(client, simulator)
    assert (await get(client, link.replace("se=20", "se=21")))[0] == 403


async def test_a_picture_that_is_no_more_is_not_found(client: aiohttp.ClientSession, simulator: Simulator) -> None:
    link = await buy(client, simulator)
    simulator._downloads.gallery._exhibits.clear()
    assert (await get(client, link))[0] == 404


@pytest.mark.parametrize(("fault", "status"), [("dl_403", 403), ("dl_404", 404), ("dl_500", 500)])
async def test_a_download_may_be_refused(
    client: aiohttp.ClientSession, simulator: Simulator, fault: str, status: int
) -> None:
    link = await buy(client, simulator, f"{fault}*2")
    assert [(await get(client, link))[0] for _ in range(3)] == [status, status, 200]
    assert simulator.bill.downloads == 1


async def test_a_download_may_be_cut(client: aiohttp.ClientSession, simulator: Simulator) -> None:
    with pytest.raises(aiohttp.ClientPayloadError):
        await get(client, await buy(client, simulator, "dl_cut"))


async def test_a_download_may_promise_too_much(client: aiohttp.ClientSession, simulator: Simulator) -> None:
    with pytest.raises(aiohttp.ClientPayloadError):
        await get(client, await buy(client, simulator, "dl_wrong_length"))


async def test_a_download_may_end_early_as_if_whole(client: aiohttp.ClientSession, simulator: Simulator) -> None:
    status, data, headers = await get(client, await buy(client, simulator, "dl_short_no_length"))
    assert (status, is_picture(data), len(data) > 500) == (200, False, True)
    assert "Content-Length" not in headers
    assert "Transfer-Encoding" not in headers


@pytest.mark.parametrize("fault", ["dl_stall", "dl_trickle"])
async def test_a_download_may_never_come_to_an_end(
    client: aiohttp.ClientSession, simulator: Simulator, fault: str
) -> None:
    link = await buy(client, simulator, fault)
    async with client.get(link) as answer:
        first = await answer.content.readany()
        with pytest.raises(TimeoutError), anyio.fail_after(0.4):
            await answer.read()
    assert 0 < len(first) < 3000
    assert simulator.bill.downloads == 0


async def test_a_trickle_is_whole_in_the_end(client: aiohttp.ClientSession) -> None:
    async with Simulator(SimulatorSettings(scale=8, trickle_bytes_per_s=30_000)) as simulator:
        _, picture, _ = await get(client, await buy(client, simulator, "dl_trickle"))
        assert is_picture(picture)


async def test_a_download_may_be_a_page(client: aiohttp.ClientSession, simulator: Simulator) -> None:
    status, page, headers = await get(client, await buy(client, simulator, "dl_html"))
    assert (status, headers["Content-Type"], b"<html>" in page) == (200, "text/html; charset=utf-8", True)


@pytest.mark.parametrize("fault", ["dl_garbage", "dl_empty", "dl_truncated_image"])
async def test_a_download_may_be_no_picture_though_its_length_is_right(
    client: aiohttp.ClientSession, simulator: Simulator, fault: str
) -> None:
    status, data, headers = await get(client, await buy(client, simulator, fault))
    assert (status, headers["Content-Type"], is_picture(data)) == (200, "image/jpeg", False)
    assert int(headers["Content-Length"]) == len(data)


async def test_a_download_may_lie_about_its_encoding(client: aiohttp.ClientSession, simulator: Simulator) -> None:
    status, data, headers = await get(client, await buy(client, simulator, "dl_gzip_lie"))
    assert (status, headers["Content-Encoding"], is_picture(data)) == (200, "gzip", True)


async def test_a_download_may_be_elsewhere(client: aiohttp.ClientSession, simulator: Simulator) -> None:
    link = await buy(client, simulator, "dl_redirect")
    with anyio.fail_after(PATIENCE_S):
        async with client.get(link) as answer:
            assert [past.status for past in answer.history] == [302]
            assert is_picture(await answer.read())
            assert answer.url.path.startswith("/moved/")


async def test_a_download_may_lead_to_itself(client: aiohttp.ClientSession, simulator: Simulator) -> None:
    link = await buy(client, simulator, "dl_redirect_loop")
    with pytest.raises(aiohttp.TooManyRedirects):
        await get(client, link)


async def test_a_download_may_lead_to_a_private_place(client: aiohttp.ClientSession, simulator: Simulator) -> None:
    link = await buy(client, simulator, "dl_redirect_private")
    status, _, headers = await get(client, link, allow_redirects=False)
    assert (status, headers["Location"]) == (302, "http://127.0.0.1:1/")


async def test_stopping_hangs_up_on_a_stalled_download(client: aiohttp.ClientSession) -> None:
    async with Simulator(SimulatorSettings(scale=8)) as simulator:
        answer = await client.get(await buy(client, simulator, "dl_stall"))
    with pytest.raises(aiohttp.ClientPayloadError), anyio.fail_after(PATIENCE_S):
        await answer.read()


async def test_a_range_is_given_only_for_the_picture_that_is_meant(
    client: aiohttp.ClientSession, simulator: Simulator
) -> None:
    link = await buy(client, simulator)
    _, picture, headers = await get(client, link)
    for tag, expected in ((headers["ETag"], 206), ('"another"', 200), (f"W/{headers['ETag']}", 200)):
        status, data, _ = await get(client, link, headers={"Range": "bytes=100-", "If-Range": tag})
        assert (status, data) == (expected, picture[100:] if expected == 206 else picture)
    assert simulator.bill.downloads == 4  # the rest makes a whole for who has the beginning


@pytest.mark.parametrize("fault", ["dl_cut", "dl_stall", "dl_changed"])
async def test_what_breaks_off_says_what_it_was(
    client: aiohttp.ClientSession, simulator: Simulator, fault: str
) -> None:
    link = await buy(client, simulator, f"{fault}*1")
    with anyio.fail_after(PATIENCE_S):
        async with client.get(link) as answer:
            broken = answer.headers["ETag"]
    _, _, headers = await get(client, link)
    assert (broken == headers["ETag"]) is (fault != "dl_changed")


async def test_a_range_may_be_wrong(client: aiohttp.ClientSession, simulator: Simulator) -> None:
    link = await buy(client, simulator, "dl_wrong_range")
    status, _, headers = await get(client, link, headers={"Range": "bytes=100-"})
    assert (status, headers["Content-Range"][:9]) == (206, "bytes 99-")
    with pytest.raises(aiohttp.ClientPayloadError):
        await get(client, link)


async def test_downloads_share_a_bandwidth_that_may_change(client: aiohttp.ClientSession) -> None:
    async with Simulator(SimulatorSettings(scale=8, download_bytes_per_s=40_000)) as simulator:
        link = await buy(client, simulator)
        began = anyio.current_time()
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(get, client, link)
        sent = 3 * len((await get(client, link))[1])
        assert anyio.current_time() - began >= sent / 40_000
        simulator.throttle(1)
        with pytest.raises(TimeoutError), anyio.fail_after(0.3):
            await get(client, link)
        async with anyio.create_task_group() as group:
            group.start_soon(get, client, link)
            await anyio.sleep(0.1)
            simulator.throttle(None)
