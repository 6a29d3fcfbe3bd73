"""Whatever comes over the wire, and whatever lies in the way on the disk: only a whole picture is ever stored.

A raw server, so that every byte of an answer is the test's own; the real transport, courier and disk. The clock stands
still unless somebody waits, so that thousands of deliveries take seconds.
"""

import asyncio
import gzip
import hashlib
import os
import re
import socket
import stat
import struct
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, chdir
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

import anyio
import pytest
from PIL import Image

from pipeline.deliver import Limits
from pipeline.deliver.limits import CAP_BYTES
from pipeline.errors import ConfigurationError, OutputError
from pipeline.ratio import Ratio
from pipeline.transport import DownloadTransport
from tests.integration.deliver_doubles import PART, FakeClock
from tests.torture.canary import Answer, Server, redirects, says
from tests.torture.receiving import Receiving

#: One look at bytes that came whole is enough here; three is the courier's own patience.
ONCE = Limits(fruitless_tries=1)
SUFFIXES = {"png": ".png", "jpeg": ".jpg", "webp": ".webp"}


def noise(size: tuple[int, int], mode: str = "RGB") -> Image.Image:
    return Image.frombytes(mode, size, Random(7).randbytes(len(mode) * size[0] * size[1]))


def drawn(image_format: str, size: tuple[int, int] = (12, 8), **options: Any) -> bytes:
    buffer = BytesIO()
    noise(size).save(buffer, image_format, **options)
    return buffer.getvalue()


def chunk(name: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


#: By name: one small file of each format; the others are for the long version.
PICTURES: dict[str, bytes] = {
    "png": drawn("png"),
    "jpeg": drawn("jpeg", optimize=True, quality=20),
    "webp": drawn("webp", quality=50),
    "progressive jpeg": drawn("jpeg", (40, 24), progressive=True),
    "jpeg with restart marks": drawn("jpeg", (40, 24), restart_marker_rows=1),
    "png of 2 KB": drawn("png", (30, 20)),
    "webp without loss": drawn("webp", (30, 20), lossless=True),
}
USUAL = ("png", "jpeg", "webp")
PNG = PICTURES["png"]


def head(status: str = "200 OK", **headers: object) -> bytes:
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([f"HTTP/1.1 {status}", "Connection: close", *lines, "", ""]).encode()


def good(data: bytes = PNG) -> bytes:
    return head(Content_Length=len(data), Content_Type="image/png") + data


def chunked(data: bytes) -> bytes:
    return head(Transfer_Encoding="chunked") + (b"%x\r\n%s\r\n" % (len(data), data) if data else b"")


def reset(data: bytes) -> Answer:
    async def answer(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        raw = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    return answer


@asynccontextmanager
async def receiving(
    folder: Path, *, limits: Limits | None = None, clock: FakeClock | None = None, read_s: float = 5
) -> AsyncIterator[tuple[Receiving, Server]]:
    """Somebody who receives, and the server that answers."""
    with anyio.fail_after(300):
        async with (
            Server(says(good())).listening("127.0.0.1") as server,
            DownloadTransport(own_origin=server.origin, connect_s=1.5 + read_s, read_s=read_s) as transport,
        ):
            yield Receiving(folder, transport, limits=limits, clock=clock), server


def in_turn(*answers: Answer) -> Answer:
    """Each answer once, the last one for ever."""
    left = list(answers)

    async def answer(asked: bytes, writer: asyncio.StreamWriter) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(asked, writer)

    return answer


# --- cut at every byte -------------------------------------------------------------------------------------------

#: How a cut body may come, and how a try must end then. A cut that nothing announced looks like an end.
FRAMINGS: dict[str, tuple[Callable[[bytes, int], Answer], set[str]]] = {
    "length": (lambda data, n: says(head(Content_Length=len(data)) + data[:n]), {"cut"}),
    "length, reset": (lambda data, n: reset(head(Content_Length=len(data)) + data[:n]), {"cut", "disconnected"}),
    "no length": (lambda data, n: says(head() + data[:n]), {"short_body"}),
    "no length, reset": (lambda data, n: reset(head() + data[:n]), {"short_body", "cut", "disconnected"}),
    "chunks without an end": (lambda data, n: says(chunked(data[:n])), {"cut"}),
    "chunks with an end": (lambda data, n: says(chunked(data[:n]) + b"0\r\n\r\n"), {"short_body"}),
}


@pytest.fixture(params=range(len(USUAL)), ids=USUAL)
def dose(request: pytest.FixtureRequest, torture: bool) -> list[bytes]:
    """One of the usual pictures; in the long version others, too."""
    return list(PICTURES.values())[request.param :: len(USUAL) if torture else len(PICTURES)]


@pytest.mark.parametrize("framing", FRAMINGS)
async def test_a_body_cut_at_any_byte_is_tried_again_and_never_stored(
    tmp_path: Path, dose: list[bytes], framing: str
) -> None:
    for number, data in enumerate(dose):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        await cut_at_every_byte(folder, data, *FRAMINGS[framing])


async def cut_at_every_byte(folder: Path, data: bytes, cut_at: Callable[[bytes, int], Answer], kinds: set[str]) -> None:
    async with receiving(folder) as (courier, server):
        for length in range(len(data)):
            server.answer = cut_at(data, length)
            end = await courier.deliver(f"{server.origin}/a.png", late=True)
            assert (end.outcome, end.kind) == ("lost", "window_closed"), f"{length} bytes: {end}"
            assert end.message.partition(":")[0] in kinds, f"{length} bytes: {end}"
            assert courier.files() == {}, f"{length} bytes"
        assert courier.record.pictures == []
        # The same cut, and then all of it, within the window.
        server.answer = in_turn(cut_at(data, len(data) // 2), says(good(data)))
        assert (await courier.deliver(f"{server.origin}/a.png")).outcome == "stored"
        assert courier.record.pictures[0].sha256 == hashlib.sha256(data).hexdigest()
        assert list(courier.files().values()) == [data]


async def test_a_cut_that_is_sold_as_the_whole_is_spoiled(tmp_path: Path, dose: list[bytes]) -> None:
    async with receiving(tmp_path, limits=ONCE) as (courier, server):
        for data in dose:
            for length in range(len(data)):
                server.answer = says(good(data[:length]))
                end = await courier.deliver(f"{server.origin}/a.png")
                assert (end.outcome, end.kind) == ("spoiled", "truncated" if length else "empty"), f"{length}: {end}"
                assert courier.files() == {}


@pytest.mark.parametrize("name", USUAL)
async def test_a_part_that_a_dead_run_left_is_taken_only_when_it_is_whole(tmp_path: Path, name: str) -> None:
    data = PICTURES[name]
    async with receiving(tmp_path) as (courier, server):
        server.answer = says(good(data))
        for length in range(len(data) + 1):
            folder = tmp_path / f"{length}"
            folder.mkdir()
            (folder / PART).write_bytes(data[:length])
            end = await courier.deliver(f"{server.origin}/a.png", path=f"{length}/cat")
            assert end.outcome == "stored"
            assert {file.name: file.read_bytes() for file in folder.iterdir()} == {f"cat{SUFFIXES[name]}": data}
        assert server.connections == len(data)  # the whole one was not asked for
        assert {found.sha256 for found in courier.record.pictures} == {hashlib.sha256(data).hexdigest()}


@pytest.mark.parametrize("name", USUAL)
async def test_a_cut_part_is_not_taken_where_nothing_else_can_be_had(tmp_path: Path, name: str) -> None:
    data = PICTURES[name]
    async with receiving(tmp_path) as (courier, server):
        server.answer = says(head("404 Not Found", Content_Length=0))
        for length in range(0, len(data), 7):
            (tmp_path / PART).write_bytes(data[:length])
            end = await courier.deliver(f"{server.origin}/a.png", path="cat", late=True)
            assert (end.outcome, end.kind) == ("lost", "gone")
            assert courier.files() == {}


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize(
    "framed",
    [good, lambda data: head() + data, lambda data: chunked(data) + b"0\r\n\r\n"],
    ids=["length", "no length", "chunks"],
)
async def test_the_whole_is_stored_however_it_comes(tmp_path: Path, name: str, framed: Callable[..., bytes]) -> None:
    data = PICTURES[name]
    async with receiving(tmp_path) as (courier, server):
        server.answer = says(framed(data))
        assert (await courier.deliver(f"{server.origin}/a.png")).outcome == "stored"
        (stored,) = courier.record.pictures
        assert (stored.sha256, stored.size_bytes) == (hashlib.sha256(data).hexdigest(), len(data))
        assert (tmp_path / stored.path).read_bytes() == data
        assert courier.retries() == []


# --- too slow ----------------------------------------------------------------------------------------------------


class WatchedClock(FakeClock):
    """Knows when it was last looked at, so that time can pass between two chunks and at no other moment."""

    def __init__(self) -> None:
        super().__init__()
        self.looked = asyncio.Event()

    def monotonic(self) -> float:
        self.looked.set()
        return super().monotonic()

    def pours(self, data: bytes, a_second: int, begin: bytes) -> Answer:
        """Send so many bytes a second, by this clock."""

        async def answer(_head: bytes, writer: asyncio.StreamWriter) -> None:
            writer.write(begin)
            for at in range(0, len(data), a_second):
                self.looked.clear()
                writer.write(data[at : at + a_second])
                await writer.drain()
                await self.looked.wait()
                self.passed += 1

        return answer


@pytest.mark.parametrize("framing", ["length", "no length"])
@pytest.mark.parametrize("bytes_a_second", [1, 1_000, 5_000, 9_000])
async def test_less_than_ten_kilobytes_a_second_are_abandoned_by_the_clock(
    tmp_path: Path, bytes_a_second: int, framing: str
) -> None:
    data, clock = drawn("png", (600, 400)), WatchedClock()
    async with receiving(tmp_path, clock=clock) as (courier, server):
        begin = head(Content_Length=len(data)) if framing == "length" else head()
        server.answer = in_turn(clock.pours(data, bytes_a_second, begin), says(good()))
        assert (await courier.deliver(f"{server.origin}/a.png")).outcome == "stored"
        assert courier.retries() == ["too_slow"]
        (told,) = [event.message for event in courier.events if event.message.startswith("too_slow")]
        found = re.fullmatch(r"too_slow: (\d+) bytes in (\d+\.\d) s", told)
        assert found is not None
        # As soon as it has been looked at for 5 s; each look at this clock may cost some.
        assert 4 <= float(found[2]) <= 15, told


async def test_more_than_ten_kilobytes_a_second_are_enough(tmp_path: Path) -> None:
    data, clock = drawn("png", (1000, 800)), WatchedClock()
    async with receiving(tmp_path, clock=clock) as (courier, server):
        # Several times as many, since this clock goes on while what was sent is still on its way.
        server.answer = clock.pours(data, 60_000, head(Content_Length=len(data)))
        assert (await courier.deliver(f"{server.origin}/a.png")).outcome == "stored"
        assert courier.retries() == []
        assert clock.passed >= len(data) // 60_000


def hangs(data: bytes) -> Answer:
    async def answer(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        await asyncio.Event().wait()

    return answer


@pytest.mark.parametrize(
    "begin",
    [
        b"",
        b"HTTP/1.1 200",
        head()[:-2],
        head(Content_Length=len(PNG)),
        head(Content_Length=len(PNG)) + PNG[:-1],
        chunked(PNG),
    ],
    ids=["nothing", "half a status", "half the headers", "headers", "all but a byte", "all but the end"],
)
async def test_what_hangs_is_let_go_and_tried_again(tmp_path: Path, begin: bytes) -> None:
    async with receiving(tmp_path, read_s=0.3) as (courier, server):
        server.answer = in_turn(hangs(begin), says(good()))
        assert (await courier.deliver(f"{server.origin}/a.png")).outcome == "stored"
        assert set(courier.retries()) == {
            "timeout"
        }  # more than one where this machine is so busy that a good one hangs
        assert list(courier.files().values()) == [PNG]


# --- not what it says it is --------------------------------------------------------------------------------------

BOMB = gzip.compress(bytes(1 << 24))
TWO = PNG + PNG
HUGE = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0))
HUGE += chunk(b"IDAT", zlib.compress(bytes(1 << 20))) + chunk(b"IEND")
JPEG = PICTURES["jpeg"]
INFLATED = b"a\0\0" + zlib.compress(bytes(1 << 24))

#: What comes for ever, and what is written down in the end.
SPOILED: dict[str, tuple[bytes, str]] = {
    "garbage of the right length": (good(Random(1).randbytes(len(PNG))), "not_an_image"),
    "zeros of the right length": (good(bytes(len(PNG))), "not_an_image"),
    "the head of a picture and garbage": (good(PNG[:60] + bytes(100) + PNG[-12:]), "truncated"),
    "a page called a picture": (good(b"<!DOCTYPE html><title>Expired</title>"), "html"),
    "a page of XML": (good(b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>"), "html"),
    "JSON": (good(b'{"error": {"message": "expired"}}'), "not_an_image"),
    "nothing": (head(Content_Length=0), "empty"),
    "gzip, and says so": (head(Content_Encoding="gzip", Content_Length=len(BOMB)) + BOMB, "encoded"),
    "gzip, and does not say so": (good(gzip.compress(PNG)), "not_an_image"),
    "a gzip bomb that does not say so": (good(BOMB), "not_an_image"),
    "a picture called gzip": (head(Content_Encoding="gzip", Content_Length=len(PNG)) + PNG, "encoded"),
    "a picture called br": (head(Content_Encoding="br", Content_Length=len(PNG)) + PNG, "encoded"),
    "chunks called gzip": (
        chunked(PNG).replace(b"\r\n\r\n", b"\r\nContent-Encoding: GZip\r\n\r\n", 1) + b"0\r\n\r\n",
        "encoded",
    ),
    "50 GiB, it says": (head(Content_Length=50 << 30) + PNG, "too_large"),
    "a byte too much, it says": (head(Content_Length=CAP_BYTES + 1) + PNG, "too_large"),
    "a bomb of pixels": (good(HUGE), "too_many_pixels"),
    "a bomb of text": (good(PNG[:33] + chunk(b"zTXt", INFLATED) + PNG[33:]), "undecodable"),
    "a bomb of colours": (good(PNG[:33] + chunk(b"iCCP", INFLATED) + PNG[33:]), "undecodable"),
    "a bomb of chunks": (good(PNG[:33] + chunk(b"teSt") * 100_000 + PNG[33:]), "too_many_parts"),
    "garbage after a picture": (good(PNG + b"PK\3\4"), "trailing"),
    "two pictures": (good(TWO), "trailing"),
    "two pictures in chunks": (chunked(TWO) + b"0\r\n\r\n", "trailing"),
    "another format inside": (good(PNG[:8] + JPEG), "truncated"),
    "a JPEG without its end mark": (good(JPEG[:-2]), "truncated"),
    "a JPEG without its last pixels": (good(JPEG[:-20] + JPEG[-2:]), "torn"),
    "a GIF": (good(b"GIF89a\1\0\1\0\0\0\0;"), "not_an_image"),
    "SVG": (good(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), "not_an_image"),
    "a PDF": (good(b"%PDF-1.7\n%%EOF"), "not_an_image"),
    "a program": (good(b"\x7fELF" + bytes(60)), "not_an_image"),
}


@pytest.mark.parametrize(("answer", "kind"), SPOILED.values(), ids=SPOILED)
async def test_what_is_no_picture_is_spoiled_after_three_looks(tmp_path: Path, answer: bytes, kind: str) -> None:
    async with receiving(tmp_path) as (courier, server):
        server.answer = says(answer)
        end = await courier.deliver(f"{server.origin}/a.png?signature=s3cret")
        assert (end.outcome, end.kind) == ("spoiled", kind), end
        assert courier.retries() == [kind, kind]
        assert server.connections == 3
        assert courier.files() == {}
        assert "s3cret" not in f"{end}{courier.events}".replace(f"{courier.events[0].purchase}", "")


LOST: dict[str, tuple[bytes, str]] = {
    "shorter than it says": (head(Content_Length=len(PNG) + 1) + PNG, "cut"),
    "two lengths": (head(Content_Length=len(PNG))[:-2] + b"Content-Length: 5\r\n\r\n" + PNG, "malformed"),
    "a negative length": (head(Content_Length=-5) + PNG, "malformed"),
    "a length in words": (head(Content_Length="many") + PNG, "malformed"),
    "chunks of no size": (head(Transfer_Encoding="chunked") + b"zz\r\n" + PNG, "malformed"),
    "no HTTP": (PNG, "malformed"),
    "no content": (head("204 No Content"), "status"),
    "a part of it": (
        head("206 Partial Content", Content_Length=len(PNG), Content_Range="bytes 0-9/10") + PNG,
        "status",
    ),
    "a picture with a 404": (head("404 Not Found", Content_Length=len(PNG)) + PNG, "gone"),
    "a picture with a 500": (head("500 Oops", Content_Length=len(PNG)) + PNG, "status"),
    "a redirect to itself": (redirects("/a.png"), "redirects"),
    "a redirect in a circle": (redirects("b.png"), "redirects"),
    "a redirect to a file": (redirects("file:///etc/passwd"), "bad_url"),
    "a redirect to FTP": (redirects("ftp://127.0.0.1/a.png"), "bad_url"),
    "a redirect to nowhere": (head("302 Found", Content_Length=0), "status"),
}


@pytest.mark.parametrize(("answer", "kind"), LOST.values(), ids=LOST)
async def test_no_answer_at_all_is_asked_for_until_the_window_closes(tmp_path: Path, answer: bytes, kind: str) -> None:
    async with receiving(tmp_path) as (courier, server):
        server.answer = says(answer)
        end = await courier.deliver(f"{server.origin}/a.png")
        assert (end.outcome, end.kind) == ("lost", "window_closed"), end
        assert set(courier.retries()) == {kind} == {end.message.partition(":")[0]}
        assert 590 < courier.clock.passed <= 595
        assert server.connections == (1 + len(courier.retries())) * (4 if kind == "redirects" else 1)
        assert courier.files() == {}


async def test_a_redirect_to_plain_http_elsewhere_stops_the_buying(tmp_path: Path) -> None:
    async with receiving(tmp_path) as (courier, server):
        server.answer = says(redirects("http://cdn.example/a.png"))
        end = await courier.deliver(f"{server.origin}/a.png")
        assert (end.outcome, server.connections) == ("left", 1)
        assert isinstance(courier.troubles[0], ConfigurationError)


async def test_more_bytes_than_announced_never_get_into_the_picture(tmp_path: Path) -> None:
    async with receiving(tmp_path) as (courier, server):
        server.answer = says(good() + b"garbage")
        end = await courier.deliver(f"{server.origin}/a.png", late=True)
        assert end.outcome in {"stored", "lost"}  # what follows the body is no HTTP, and may be seen before its end
        assert set(courier.files().values()) <= {PNG}


# --- without end -------------------------------------------------------------------------------------------------


class Flood:
    """An answer without end, and how much of it was sent before the other side had enough."""

    def __init__(self, begin: bytes, piece: bytes) -> None:
        self.begin, self.piece, self.sent = begin, piece, 0

    async def __call__(self, _head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(self.begin)
        while self.sent < 4 * CAP_BYTES:
            writer.write(self.piece)
            await writer.drain()
            self.sent += len(self.piece)


MIB = bytes(1 << 20)


@pytest.mark.parametrize(
    ("begin", "piece"),
    [(head(), MIB), (head(Transfer_Encoding="chunked"), b"100000\r\n" + MIB + b"\r\n"), (head() + PNG, MIB)],
    ids=["no length", "chunks", "a picture first"],
)
async def test_a_body_without_end_is_left_at_the_cap(tmp_path: Path, begin: bytes, piece: bytes) -> None:
    async with receiving(tmp_path, limits=ONCE) as (courier, server):
        flood = server.answer = Flood(begin, piece)
        end = await courier.deliver(f"{server.origin}/a.png")
        assert (end.outcome, end.kind) == ("spoiled", "too_large")
        assert CAP_BYTES < flood.sent < CAP_BYTES * 1.5
        assert courier.files() == {}


@pytest.mark.parametrize(
    "piece",
    [b"x" * (1 << 16), b"X-Y: " + b"z" * 90 + b"\r\n", b"X-Y: " + b"z" * 60_000 + b"\r\n"],
    ids=["one without end", "many short ones", "many long ones"],
)
async def test_headers_without_end_are_not_read_on(tmp_path: Path, piece: bytes) -> None:
    async with receiving(tmp_path) as (courier, server):
        flood = server.answer = Flood(b"HTTP/1.1 200 OK\r\nX-Long: ", piece)
        end = await courier.deliver(f"{server.origin}/a.png", late=True)
        assert (end.outcome, end.message.partition(":")[0]) == ("lost", "malformed")
        assert flood.sent < 100_000_000  # of which most lies in the sockets' buffers


# --- not what was asked for, and yet a picture -------------------------------------------------------------------


@pytest.mark.parametrize("name", USUAL)
async def test_the_format_is_that_of_the_bytes_whatever_the_header_says(tmp_path: Path, name: str) -> None:
    data = PICTURES[name]
    async with receiving(tmp_path) as (courier, server):
        for said in ("image/png", "image/jpeg", "text/html", "application/octet-stream", ""):
            server.answer = says(head(Content_Length=len(data), Content_Type=said) + data)
            assert (await courier.deliver(f"{server.origin}/a.exe", path=f"a{len(said)}")).outcome == "stored"
        assert {Path(found.path).suffix for found in courier.record.pictures} == {SUFFIXES[name]}
        assert {found.format for found in courier.record.pictures} == {name}


async def test_a_picture_of_another_shape_is_kept_and_marked(tmp_path: Path) -> None:
    async with receiving(tmp_path) as (courier, server):
        assert (await courier.deliver(f"{server.origin}/a.png", ratio=Ratio(9, 16))).outcome == "stored"
        assert courier.record.pictures[0].verdict == "wrong_shape"
        assert list(courier.files().values()) == [PNG]


async def test_a_picture_that_moves_is_kept_when_each_of_its_frames_is_whole(tmp_path: Path) -> None:
    buffer = BytesIO()
    noise((12, 8)).save(buffer, "png", save_all=True, append_images=[Image.new("RGB", (12, 8))])
    data = buffer.getvalue()
    place = data.index(b"fdAT") + 10
    async with receiving(tmp_path, limits=ONCE) as (courier, server):
        server.answer = in_turn(says(good(data[:place] + bytes(4) + data[place + 4 :])), says(good(data)))
        assert (await courier.deliver(f"{server.origin}/a.png")).outcome == "spoiled"
        assert (await courier.deliver(f"{server.origin}/a.png")).outcome == "stored"


# --- what lies in the way ----------------------------------------------------------------------------------------

#: Things that are not ours, planted at a name.
PLANTED: dict[str, Callable[[Path, Path], object]] = {
    "a link to a file": lambda place, other: place.symlink_to(other),
    "a link to nothing": lambda place, other: place.symlink_to(other.parent / "new"),
    "a link to itself": lambda place, _: place.symlink_to(place.name),
    "a link to a device": lambda place, _: place.symlink_to("/dev/zero"),
    "a hard link to a file": lambda place, other: place.hardlink_to(other),
    "a pipe": lambda place, _: os.mkfifo(place),
    "a socket": lambda place, _: _bind(place),
    "a whole picture, linked": lambda place, other: place.symlink_to(_whole(other)),
}


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def _bind(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made, chdir(place.parent):  # its name may be 107 bytes long
        made.bind(place.name)


def _whole(other: Path) -> Path:
    picture = other.with_name("other.png")
    picture.write_bytes(drawn("png", (30, 20)))
    return picture


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Path]:
    """A file outside the output folder that nothing may touch."""
    file = tmp_path / "other"
    file.write_bytes(b"not yours")
    before = file.stat().st_mtime_ns
    yield file
    assert (file.read_bytes(), file.stat().st_mtime_ns) == (b"not yours", before)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("plant", PLANTED.values(), ids=PLANTED)
async def test_what_is_planted_at_the_part_is_neither_followed_nor_believed(
    tmp_path: Path, other: Path, plant: Callable[[Path, Path], object]
) -> None:
    output = tmp_path / "output"
    output.mkdir()
    plant(output / PART, other)
    async with receiving(output) as (courier, server):
        assert (await courier.deliver(f"{server.origin}/a.png", path="cat")).outcome == "stored"
        assert server.connections == 1
    assert names(output) == ["cat.png"]
    assert stat.S_ISREG((output / "cat.png").lstat().st_mode)
    assert (output / "cat.png").read_bytes() == PNG


@pytest.mark.parametrize("plant", PLANTED.values(), ids=PLANTED)
async def test_what_is_planted_at_the_final_name_keeps_it_and_is_not_written_through(
    tmp_path: Path, other: Path, plant: Callable[[Path, Path], object]
) -> None:
    output = tmp_path / "output"
    output.mkdir()
    plant(output / "cat.png", other)
    before = (output / "cat.png").lstat()
    async with receiving(output) as (courier, server):
        assert (await courier.deliver(f"{server.origin}/a.png", path="cat")).outcome == "stored"
        assert courier.record.pictures[0].path == "cat-2.png"
    assert names(output) == ["cat-2.png", "cat.png"]
    assert (output / "cat-2.png").read_bytes() == PNG
    assert os.path.samestat((output / "cat.png").lstat(), before)


@pytest.mark.parametrize("name", [PART, "cat.png"])
async def test_a_folder_in_the_way_is_left_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    async with receiving(tmp_path) as (courier, server):
        end = await courier.deliver(f"{server.origin}/a.png", path="cat")
        if name == PART:
            assert end.outcome == "left"
            assert isinstance(courier.troubles[0], OutputError)
        else:
            assert (end.outcome, courier.record.pictures[0].path) == ("stored", "cat-2.png")
    assert (tmp_path / name).is_dir()


async def test_a_folder_that_leads_outside_is_not_followed(tmp_path: Path, other: Path) -> None:
    output = tmp_path / "output"
    output.mkdir()
    (output / "spring").symlink_to(tmp_path)
    async with receiving(output) as (courier, server):
        assert (await courier.deliver(f"{server.origin}/a.png")).outcome == "left"
        assert isinstance(courier.troubles[0], OutputError)
        assert server.connections == 0
    assert names(tmp_path) == ["other", "output"]
