"""Inputs from URLs, over real sockets: guarded, bounded, fetched once, and known by what came."""

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from aiohttp import web
from PIL import Image

from pipeline.errors import OutputError
from pipeline.inputs import Finder, Found, InputError, Patience, Seen, Store
from pipeline.inputs.darkroom import Darkroom
from pipeline.job import Job, PictureRequest, Stitch, job_key
from pipeline.transport import DownloadTransport

PATIENCE_S = 40.0
CONDITIONS = ("If-None-Match", "If-Modified-Since")


def picture(colour: str, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (30, 20), colour).save(buffer, kind)
    return buffer.getvalue()


class Site:
    """A host of pictures, on loopback."""

    def __init__(self) -> None:
        self.bodies: dict[str, bytes] = {}
        self.asked: list[str] = []
        #: Headers that a name is answered with, and what is asked of it; who lies says 304 whatever it is asked.
        self.marks: dict[str, dict[str, str]] = {}
        self.conditions: list[dict[str, str]] = []
        self.liars: set[str] = set()
        self.forgetful = False
        self.busy, self.busy_s = 0, 0.0
        self.released = asyncio.Event()
        self.origin = self.led_to = ""

    async def get(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        self.asked.append(name)
        marks = self.marks.get(name, {})
        if self._is_same(request, name, marks):
            return web.Response(status=304, headers=marks)
        match name:
            case "moved" | "led" if to := request.query.get("to") or self.led_to:
                raise web.HTTPFound(to)
            case "endless":
                return await self._without_end(request, bytes(1_000_000), every_s=0)
            case "silent":
                await self.released.wait()
            case "trickle":
                return await self._without_end(request, b"x", every_s=0.02)
            case "busy" if self.busy:
                self.busy -= 1
                await asyncio.sleep(self.busy_s)
                raise web.HTTPServiceUnavailable
            case _ if name not in self.bodies:
                raise web.HTTPNotFound
        return web.Response(body=self.bodies[name], content_type="application/octet-stream", headers=marks)

    def _is_same(self, request: web.Request, name: str, marks: dict[str, str]) -> bool:
        self.conditions.append({each: request.headers[each] for each in CONDITIONS if each in request.headers})
        if self.forgetful or (name == "led" and self.led_to):
            return False
        return name in self.liars or any(value in marks.values() for value in self.conditions[-1].values())

    async def _without_end(self, request: web.Request, piece: bytes, *, every_s: float) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while not self.released.is_set():
            await response.write(piece)
            await asyncio.sleep(every_s)
        return response


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    made = Site()
    application = web.Application()
    application.router.add_get("/{name}", made.get)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield made
    finally:
        made.released.set()
        await runner.cleanup()


async def find(finder: Finder, *urls: str) -> dict[str, Seen | None]:
    with anyio.fail_after(PATIENCE_S):
        return await anyio.to_thread.run_sync(finder.find, urls)


@pytest.fixture
async def finder(site: Site, tmp_path: Path) -> AsyncIterator[Finder]:
    made = Finder(Store(tmp_path), allow_hosts=[site.origin.removeprefix("http://")])
    made.__enter__()
    yield made
    await anyio.to_thread.run_sync(lambda: made.__exit__(None, None, None))


async def test_a_url_is_fetched_once_and_known_by_its_bytes(site: Site, finder: Finder, tmp_path: Path) -> None:
    site.bodies |= {"a": picture("red"), "b": picture("red"), "c": picture("blue")}
    urls = [f"{site.origin}/{name}" for name in ("a", "b", "c", "a")]
    found = await find(finder, *urls)
    again = await find(finder, urls[0])
    one, same, other = (found[url] for url in urls[:3])
    assert isinstance(one, Found)
    assert isinstance(same, Found)
    assert isinstance(other, Found)
    assert one.sha256 == same.sha256 != other.sha256
    assert again[urls[0]] == one
    assert sorted(site.asked) == ["a", "b", "c"]
    kept = [path for path in (tmp_path / ".inputs").rglob("*") if path.is_file()]
    assert sorted(path.name for path in kept) == sorted({one.sha256, other.sha256})


async def test_what_is_no_picture_or_too_large_or_gone_is_told_and_leaves_nothing(
    site: Site, finder: Finder, tmp_path: Path
) -> None:
    site.bodies |= {"page": b"<!doctype html>", "cut": picture("red")[:-20], "large": bytes(30_000_000)}
    names = ("page", "cut", "large", "endless", "none")
    found = await find(finder, *(f"{site.origin}/{name}?sig=secret" for name in names))
    told = {url.rpartition("/")[2].partition("?")[0]: seen for url, seen in found.items()}
    for name, words in zip(names, ("a page", "cut off", "20,000,000", "20,000,000", "HTTP 404"), strict=True):
        error = told[name]
        assert isinstance(error, InputError)
        assert words in error.message
        assert "secret" not in error.message
    kept = [path for path in (tmp_path / ".inputs").rglob("*") if path.is_file()]
    assert max(path.stat().st_size for path in kept) < 1_000
    assert not [path for path in kept if path.suffix == ".part"]


@pytest.mark.parametrize("link", [False, True])
async def test_a_store_that_cannot_be_made_is_told_with_its_place(
    site: Site, finder: Finder, tmp_path: Path, *, link: bool
) -> None:
    site.bodies["a"] = picture("red")
    store = tmp_path / ".inputs"
    if link:
        store.symlink_to(tmp_path / "nowhere" / "at all")
    else:
        store.write_text("in the way")
    with pytest.raises(OutputError, match=r"\.inputs: input images cannot be kept there") as caught:
        await find(finder, f"{site.origin}/a")
    assert "--output" in (caught.value.remedy or "")


async def test_a_server_that_is_busy_is_asked_again(site: Site, finder: Finder) -> None:
    site.bodies["busy"], site.busy = picture("red"), 2
    found = await find(finder, f"{site.origin}/busy")
    assert isinstance(found[f"{site.origin}/busy"], Found)
    assert len(site.asked) == 3


async def test_what_never_comes_is_told_of_and_given_up(site: Site, tmp_path: Path) -> None:
    """The wait for one image is bounded whole, however the server spends it."""
    told: list[str] = []
    patience = Patience(within_s=1, told_after_s=0.1, tell=told.append)
    urls = [f"{site.origin}/{name}?sig=secret" for name in ("silent", "trickle")]
    with Finder(Store(tmp_path), [site.origin.removeprefix("http://")], patience) as finder:
        found = await find(finder, *urls)
    assert sorted(told) == [
        f"waiting for an input image, at most 1 s: {site.origin}/{name}" for name in ("silent", "trickle")
    ]
    for error in found.values():
        assert isinstance(error, InputError)
        assert (error.kind, error.passing) == ("input_unreachable", True)
        assert "is not here after 1 s; run again later, or fetch it yourself and name the file" in error.message
        assert "secret" not in error.message
    assert sorted(site.asked) == ["silent", "trickle"]


async def test_tries_have_one_wait_together(site: Site, tmp_path: Path) -> None:
    site.bodies["busy"], site.busy, site.busy_s = picture("red"), 100, 0.6
    with Finder(Store(tmp_path), [site.origin.removeprefix("http://")], Patience(within_s=1)) as finder:
        [seen] = (await find(finder, f"{site.origin}/busy")).values()
    assert isinstance(seen, InputError)
    assert "is not here after 1 s" in seen.message


async def test_what_comes_soon_is_not_told_of(site: Site, tmp_path: Path) -> None:
    told: list[str] = []
    site.bodies["a"] = picture("red")
    patience = Patience(told_after_s=PATIENCE_S, tell=told.append)
    with Finder(Store(tmp_path), [site.origin.removeprefix("http://")], patience) as finder:
        found = await find(finder, f"{site.origin}/a")
    assert isinstance(found[f"{site.origin}/a"], Found)
    assert told == []


async def rerun(site: Site, output: Path, name: str = "a") -> Seen | None:
    """What another run finds at a name, with what is kept in the output folder."""
    with Finder(Store(output), [site.origin.removeprefix("http://")]) as finder:
        [seen] = (await find(finder, f"{site.origin}/{name}?sig=secret")).values()
        return seen


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    ("marks", "condition"),
    [
        ({"ETag": '"1"'}, {"If-None-Match": '"1"'}),
        ({"ETag": 'W/"1"', "Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT"}, {"If-None-Match": 'W/"1"'}),
        (
            {"Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT"},
            {"If-Modified-Since": "Wed, 21 Oct 2015 07:28:00 GMT"},
        ),
    ],
)
async def test_a_rerun_asks_whether_it_is_still_the_same(
    site: Site, tmp_path: Path, marks: dict[str, str], condition: dict[str, str]
) -> None:
    site.bodies["a"], site.marks["a"] = picture("red"), marks
    first, again = await rerun(site, tmp_path), await rerun(site, tmp_path)
    assert isinstance(first, Found)
    assert again == first
    assert site.conditions == [{}, condition]
    files = [path for path in (tmp_path / ".inputs").rglob("*") if path.is_file()]
    assert len(files) == 2
    assert not [path for path in files if b"secret" in path.read_bytes() or "secret" in path.name]


async def test_other_bytes_are_another_input_whatever_they_are_marked_with(site: Site, tmp_path: Path) -> None:
    site.bodies["a"], site.marks["a"] = picture("red"), {"ETag": '"1"'}
    await rerun(site, tmp_path)
    site.bodies["a"], site.marks["a"] = picture("blue"), {"ETag": '"2"'}
    changed = await rerun(site, tmp_path)
    assert isinstance(changed, Found)
    assert changed.sha256 == digest(picture("blue"))
    site.bodies["a"], site.forgetful = picture("green"), True  # marks all alike, and knows no conditions
    alike = await rerun(site, tmp_path)
    assert isinstance(alike, Found)
    assert alike.sha256 == digest(picture("green"))
    assert site.conditions == [{}, {"If-None-Match": '"1"'}, {"If-None-Match": '"2"'}]


async def test_the_same_is_believed_of_nothing_that_is_not_kept(site: Site, tmp_path: Path) -> None:
    site.liars.add("a")
    seen = await rerun(site, tmp_path)
    assert isinstance(seen, InputError)
    assert "HTTP 304" in seen.message


async def test_what_was_damaged_since_is_fetched_anew(site: Site, tmp_path: Path) -> None:
    site.bodies["a"], site.marks["a"] = picture("red"), {"ETag": '"1"'}
    first = await rerun(site, tmp_path)
    assert isinstance(first, Found)
    Store(tmp_path).path(first.sha256).write_bytes(picture("blue"))
    assert await rerun(site, tmp_path) == first
    [note] = (tmp_path / ".inputs" / "urls").iterdir()
    note.write_bytes(note.read_bytes()[:-9])
    assert await rerun(site, tmp_path) == first
    assert site.conditions == [{}, {}, {}]


async def test_the_same_as_something_else_is_fetched_anew(site: Site, tmp_path: Path) -> None:
    """A 304 that names another mark speaks of another picture."""
    site.bodies["a"], site.marks["a"] = picture("red"), {"ETag": '"1"'}
    await rerun(site, tmp_path)
    site.liars.add("a")
    site.marks["a"] = {"ETag": '"2"'}
    seen = await rerun(site, tmp_path)
    assert isinstance(seen, InputError)
    assert site.conditions == [{}, {"If-None-Match": '"1"'}, {}]


async def test_marks_of_what_a_url_was_led_to_are_not_its_own(site: Site, tmp_path: Path) -> None:
    site.bodies |= {"a": picture("red"), "b": picture("blue")}
    site.marks |= {"a": {"ETag": '"1"'}, "b": {"ETag": '"1"'}}
    for name in ("a", "b"):
        site.led_to = f"{site.origin}/{name}"
        seen = await rerun(site, tmp_path, "led")
        assert isinstance(seen, Found)
        assert seen.sha256 == digest(site.bodies[name])
    assert site.conditions == [{}] * 4
    site.bodies["led"], site.marks["led"], site.led_to = picture("red"), {"ETag": '"1"'}, ""
    await rerun(site, tmp_path, "led")
    site.led_to = f"{site.origin}/b"
    seen = await rerun(site, tmp_path, "led")
    assert isinstance(seen, Found)
    assert seen.sha256 == digest(site.bodies["b"])


async def test_private_addresses_are_not_reached_and_redirects_do_not_lead_there(site: Site, tmp_path: Path) -> None:
    site.bodies["a"] = picture("red")
    port = site.origin.rpartition(":")[2]
    with Finder(Store(tmp_path)) as guarded:
        urls = [f"https://127.0.0.1:{port}/a", f"https://[::ffff:127.0.0.1]:{port}/a", f"http://127.0.0.1:{port}/a"]
        found = await find(guarded, *urls, "https://169.254.169.254/latest")
    for seen in found.values():
        assert isinstance(seen, InputError)
        assert seen.kind == "input_forbidden"
    assert site.asked == []
    with Finder(Store(tmp_path), allow_hosts=[f"localhost:{port}"]) as half:
        url = f"http://localhost:{port}/moved?to=https://127.0.0.1:{port}/a"
        seen = (await find(half, url))[url]
    assert isinstance(seen, InputError)
    assert seen.kind == "input_forbidden"
    assert site.asked == ["moved"]


def job_with(*inputs: tuple[str, str], stitch: Stitch | None = None) -> Job:
    request = PictureRequest(
        model="flux-kontext-pro",
        prompt="p",
        ratio=None,
        inputs=tuple(sha256 for sha256, _ in inputs),
        stitch=stitch,
        background="#ffffff",
    )
    key = job_key(request, repeat=1, edition="", simulated=False)
    found_at = tuple(at for _, at in inputs)
    return Job(index=1, key=key, request=request, repeat=1, path="b/00001", source="m.yaml:1", found_at=found_at)


async def test_what_the_store_let_go_of_is_fetched_again_and_must_be_the_same(
    site: Site, finder: Finder, tmp_path: Path
) -> None:
    site.bodies["a"] = picture("red")
    url = f"{site.origin}/a"
    found = (await find(finder, url))[url]
    assert isinstance(found, Found)
    store = Store(tmp_path)
    with anyio.fail_after(PATIENCE_S):
        async with DownloadTransport(own_origin=None, allow_hosts=finder.allow_hosts) as transport:
            darkroom = Darkroom(output=tmp_path, store=store, transport=transport)
            job = job_with((found.sha256, url), (found.sha256, url), stitch=Stitch())
            store.path(found.sha256).unlink()
            [ready] = await darkroom.prepare(job)
            [image] = await darkroom.load([ready])
            assert Image.open(io.BytesIO(image.data)).size == (60, 20)
            assert Path(ready.path).parent == tmp_path / "b"
            store.path(found.sha256).unlink()
            site.bodies["a"] = picture("blue")
            with pytest.raises(InputError, match="changed"):
                await darkroom.prepare(job)
            await anyio.Path(ready.path).write_bytes(b"other")
            with pytest.raises(InputError, match="changed"):
                await darkroom.load([ready])


def test_the_store_is_bounded_and_lets_the_oldest_go(tmp_path: Path) -> None:
    store = Store(tmp_path, limit_bytes=1_000)
    for number in range(20):
        part = store.spare()
        part.write_bytes(bytes(100))
        kept = store.take(part, f"{number:064x}")
        assert kept.exists()
    held = [path for path in (tmp_path / ".inputs").rglob("*") if path.is_file()]
    assert 1 <= len(held) <= 10
    assert store.path(f"{19:064x}") in held


async def test_leaving_waits_for_no_fetch(tmp_path: Path) -> None:
    """A second signal leaves at once, whatever a server does."""
    asked = asyncio.Event()
    done: list[Callable[[], None]] = []

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        done.append(writer.close)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    with anyio.fail_after(PATIENCE_S):
        async with server, anyio.create_task_group() as group:
            finder = Finder(Store(tmp_path), allow_hosts=[host])
            finder.__enter__()
            group.start_soon(
                lambda: anyio.to_thread.run_sync(finder.find, [f"http://{host}/x"], abandon_on_cancel=True)
            )
            await asked.wait()
            group.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(lambda: finder.__exit__(None, None, None))
