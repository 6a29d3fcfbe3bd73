"""The live page on a real socket: who gets in, what is told, and that nothing else can be had."""

import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest
from yarl import URL

from pipeline.ledger import JobState, Scope
from pipeline.report.page import FOLDER, Places
from pipeline.watch import Bounds, Feed, Watching
from tests.contract.ledger_scene import Scene, opened
from tests.integration.report_scene import build, stored

PATIENCE_S = 60.0


class Stage:
    """A page that is served, and what was asked of the run."""

    def __init__(self, feed: Feed, page: Watching, client: aiohttp.ClientSession, asked: list[str]) -> None:
        self.feed = feed
        self.page = page
        self.client = client
        self.asked = asked

    def url(self, path: str = "") -> URL:
        return URL(self.page.address + path, encoded=True)

    @property
    def origin(self) -> str:
        return str(self.url().origin())

    async def status(self, path: str = "", *, method: str = "GET", **headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.client.request(method, self.url(path), headers=named) as answer:
            return answer.status


@asynccontextmanager
async def served(output: Path, bounds: Bounds | None = None, **options: Any) -> AsyncIterator[Stage]:
    asked: list[str] = []

    def stop() -> bool:
        asked.append("stop")
        return True

    feed = Feed(Places(output / "ledger.db", output, output / "report.html"), Scope(), **options)
    with anyio.fail_after(PATIENCE_S):
        await feed.look()
        usual = Bounds(quiet_s=0.05)
        async with Watching(feed, stop=stop, bounds=bounds or usual) as page, aiohttp.ClientSession() as client:
            yield Stage(feed, page, client, asked)


async def events(answer: aiohttp.ClientResponse, *, until: str = "seen") -> list[tuple[str, Any]]:
    """Events up to and with one of that name."""
    told: list[tuple[str, Any]] = []
    name = ""
    async for line in answer.content:
        kind, _, value = line.decode().rstrip("\n").partition(": ")
        if kind == "event":
            name = value
        elif kind == "data":
            told.append((name, json.loads(value)))
            if name == until:
                return told
    raise AssertionError(f"it ended after {told}")


def indices(told: list[tuple[str, Any]]) -> list[int]:
    return sorted(row["index"] for name, rows in told if name == "rows" for row in rows)


# --- who gets in ----------------------------------------------------------------------------------------------------


async def test_only_the_right_token_opens_the_page(tmp_path: Path) -> None:
    build(tmp_path, stored(1))
    async with served(tmp_path) as stage:
        assert await stage.status() == 200
        good = stage.url()
        for path in ("/", "/events", "//", f"/{'x' * 32}/", f"/{good.parts[1][:-1]}/", f"/{good.parts[1]}x/", "/%ff/"):
            async with stage.client.get(URL(f"{stage.origin}{path}", encoded=True)) as answer:
                assert answer.status == 404, path
                assert "fluxbatch" not in await answer.text()


async def test_each_server_has_a_token_of_its_own(tmp_path: Path) -> None:
    build(tmp_path, [])
    async with served(tmp_path) as one, served(tmp_path) as other:
        tokens = {one.url().parts[1], other.url().parts[1]}
        assert len(tokens) == 2
        assert min(map(len, tokens)) >= 32


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "localhost", "[::1]:80", ""])
async def test_another_host_is_refused(tmp_path: Path, host: str) -> None:
    build(tmp_path, [])
    async with served(tmp_path) as stage:
        assert await stage.status(Host=host) in {400, 403}


async def test_another_origin_is_refused(tmp_path: Path) -> None:
    build(tmp_path, [])
    async with served(tmp_path) as stage:
        for origin in ("null", "http://evil.example", stage.origin.replace("http:", "https:"), stage.origin + "0"):
            assert await stage.status(Origin=origin) == 403
            assert await stage.status("stop", method="POST", Origin=origin) == 403
        assert await stage.status(Origin=stage.origin) == 200
        assert await stage.status("stop", method="POST") == 403
        assert stage.asked == []


async def test_it_is_only_to_be_read(tmp_path: Path) -> None:
    build(tmp_path, stored(1))
    async with served(tmp_path) as stage:
        for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"):
            for path in ("", "events", "picture/1"):
                assert await stage.status(path, method=method, Origin=stage.origin) == 404, (method, path)
        assert await stage.status("stop") == 404
        assert stage.asked == []


async def test_it_listens_on_loopback_only(tmp_path: Path) -> None:
    build(tmp_path, [])
    async with served(tmp_path) as stage:
        port = stage.url().port
        assert stage.url().host == "127.0.0.1"
        with socket.socket() as other:
            other.bind(("127.0.0.2", port or 0))  # it would be taken if it listened everywhere


async def test_its_answers_tell_browsers_to_keep_to_themselves(tmp_path: Path) -> None:
    build(tmp_path, stored(1))
    async with served(tmp_path) as stage:
        for path in ("", "events", "picture/1", "picture/99"):
            async with stage.client.get(stage.url(path)) as answer:
                assert answer.headers["Referrer-Policy"] == "no-referrer"
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                assert answer.headers["Cache-Control"] == "no-store"
                assert "Set-Cookie" not in answer.headers
        async with stage.client.get(stage.url()) as answer:
            policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "connect-src 'self'" in policy
        assert "file:" not in policy


# --- what can be had ------------------------------------------------------------------------------------------------


async def test_pictures_are_had_by_number_and_small_ones_by_digest(tmp_path: Path) -> None:
    build(tmp_path, stored(2))
    async with served(tmp_path) as stage:
        [row, _] = stage.feed.page()["rows"]
        async with stage.client.get(stage.url(row["picture"])) as answer:
            assert answer.content_type == "image/jpeg"
            assert await answer.read() == (tmp_path / row["file"]).read_bytes()
        async with stage.client.get(stage.url(f"thumbnail/{row['sha256']}.webp")) as answer:
            assert answer.content_type == "image/webp"
            assert await answer.read() == (tmp_path / FOLDER / f"{row['sha256']}.webp").read_bytes()


async def test_nothing_else_can_be_had(tmp_path: Path) -> None:
    build(tmp_path, stored(3))
    (tmp_path / "pictures/00001.jpeg").write_bytes(b"of another size")
    second = tmp_path / "pictures/00002.jpeg"
    second.rename(tmp_path / "aside.jpeg")
    second.symlink_to(tmp_path / "aside.jpeg")
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / f"{'0' * 64}.webp").write_bytes(b"no row has this")
    async with served(tmp_path) as stage:
        paths = (
            "picture/1", "picture/2", "picture/99", "picture/-1", "picture/../ledger.db", "picture/%2e%2e%2fledger.db",
            "picture/999999999999999999999", f"thumbnail/{'0' * 64}.webp", "thumbnail/ledger.db", "ledger.db",
            "pictures/00003.jpeg", "..%2fledger.db", "report.html",
        )  # fmt: skip
        assert {path: await stage.status(path) for path in paths} == dict.fromkeys(paths, 404)


async def test_no_url_of_a_picture_that_is_bought_is_in_the_page(tmp_path: Path) -> None:
    async with opened(tmp_path) as scene:
        await scene.bring_to(JobState.BOUGHT, await scene.begin(), scene.job())
        async with served(tmp_path, clock=scene.clock) as stage:
            for path in ("", "events"):
                async with stage.client.get(stage.url(path)) as answer:
                    text = await answer.text() if not path else json.dumps(await events(answer))
                    assert "bought" in text
                    assert "images.example" not in text


# --- stopping -------------------------------------------------------------------------------------------------------


async def test_a_run_that_is_on_is_asked_to_stop_once(tmp_path: Path) -> None:
    async with opened(tmp_path) as scene:
        async with served(tmp_path) as stage:
            assert await stage.status("stop", method="POST", Origin=stage.origin) == 409
        run = await scene.begin()
        async with served(tmp_path) as stage:
            assert stage.feed.live()["may_stop"]
            answers = [await stage.status("stop", method="POST", Origin=stage.origin) for _ in range(2)]
            assert (answers, stage.asked) == ([204, 409], ["stop"])
            assert stage.feed.live()["stopping"]
            await scene.writer.end(run, exit_code=75)
            await stage.feed.look()
            live = stage.feed.live()
            assert (live["state"], live["stopping"], live["may_stop"], live["exit_code"]) == ("ended", False, False, 75)


async def test_a_run_that_died_is_told_as_that(tmp_path: Path) -> None:
    async with opened(tmp_path) as scene:
        await scene.begin()
    async with served(tmp_path) as stage:
        assert stage.feed.live()["state"] == "died"
        assert await stage.status("stop", method="POST", Origin=stage.origin) == 409


# --- events ---------------------------------------------------------------------------------------------------------


async def played(scene: Scene) -> Callable[[int, JobState], Awaitable[object]]:
    """A run with three rows, one of them stored; what brings another to a state."""
    run = await scene.begin()
    jobs = [scene.job(f"picture {index}", index=index) for index in (1, 2, 3)]
    rows = await scene.see(run, *jobs)

    async def bring(index: int, state: JobState) -> object:
        return await scene.bring_to(state, run, jobs[index - 1], placement=rows[index - 1].placement)

    await bring(1, JobState.STORED)
    return bring


async def test_changes_come_as_events_and_only_they(tmp_path: Path) -> None:
    async with opened(tmp_path) as scene:
        bring = await played(scene)
        async with served(tmp_path, clock=scene.clock) as stage, stage.client.get(stage.url("events")) as answer:
            assert indices(await events(answer)) == [1, 2, 3]
            await bring(2, JobState.STORED)
            await stage.feed.look()
            told = await events(answer)
            assert indices(told) == [2]
            assert [row["state"] for name, rows in told if name == "rows" for row in rows] == ["stored"]
            figures = dict(told)["figures"]
            assert sum(line["spent_microusd"] for line in figures["money"]) == 70_000
            live = dict(told)["live"]
            assert (live["state"], live["there"], live["seen"], live["pace"]) == ("on", 2, 3, 2)


async def test_whoever_comes_back_is_told_what_was_missed(tmp_path: Path) -> None:
    async with opened(tmp_path) as scene:
        bring = await played(scene)
        async with served(tmp_path, clock=scene.clock) as stage:
            async with stage.client.get(stage.url("events")) as answer:
                seen = dict(await events(answer))["seen"]
            await bring(3, JobState.LOST)
            await stage.feed.look()
            for path, headers in ((f"events?since={seen}", {}), ("events?since=0", {"Last-Event-ID": str(seen)})):
                async with stage.client.get(stage.url(path), headers=headers) as answer:
                    assert indices(await events(answer)) == [3]
            for number in ("", "0", "nonsense", "-1", str(seen + 1_000), "9" * 30):  # of no use, or another server's
                async with stage.client.get(stage.url("events"), headers={"Last-Event-ID": number}) as answer:
                    assert indices(await events(answer)) == [1, 2, 3]


async def test_silence_is_broken(tmp_path: Path) -> None:
    build(tmp_path, stored(1))
    bounds = Bounds(heartbeat_s=0.05, quiet_s=0.05)
    async with served(tmp_path, bounds) as stage, stage.client.get(stage.url("events")) as answer:
        await events(answer)
        assert [name for name, _ in await events(answer)] == ["live", "seen"]


async def test_readers_are_bounded_and_leave_their_place(tmp_path: Path) -> None:
    build(tmp_path, [])
    async with served(tmp_path, Bounds(readers=1, heartbeat_s=0.05, quiet_s=0.05)) as stage:
        async with stage.client.get(stage.url("events")) as answer:
            await events(answer)
            assert await stage.status("events") == 503
        with anyio.fail_after(PATIENCE_S):
            while await stage.status("events") == 503:  # noqa: ASYNC110 - another task lets go, and sends no event
                await anyio.sleep(0.05)


async def test_the_end_is_told_and_the_last_pictures_can_still_be_had(tmp_path: Path) -> None:
    build(tmp_path, stored(1))
    async with (
        served(tmp_path, Bounds(quiet_s=1.0)) as stage,
        anyio.create_task_group() as group,
        stage.client.get(stage.url("events")) as answer,
    ):
        await events(answer)
        group.start_soon(stage.page.__aexit__, None, None, None)
        assert [name for name, _ in await events(answer, until="left")] == ["live", "left"]
        assert await stage.status("picture/1") == 200


async def test_a_ledger_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    async with served(tmp_path) as stage:
        assert stage.feed.live()["state"] == "idle"
        build(tmp_path, stored(2))
        await stage.feed.look()
        assert len(stage.feed.page()["rows"]) == 2


async def test_beyond_its_bound_the_oldest_rows_leave(tmp_path: Path) -> None:
    build(tmp_path, stored(9))
    async with served(tmp_path, most_rows=4) as stage:
        page = stage.feed.page()
        assert sorted(row["index"] for row in page["rows"]) == [6, 7, 8, 9]
        assert page["total"] == 9
