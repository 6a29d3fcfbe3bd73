"""Deliveries over real sockets: whatever the far side does, only a whole picture is stored."""

import asyncio
import contextlib
import gzip
import socket
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from pipeline.clock import SystemClock
from pipeline.deliver import Backlog, Courier, Crew, DeliveryEvent, DeliveryQueue, EventKind, Limits, run_pool
from pipeline.errors import ConfigurationError, FluxbatchError
from pipeline.transport import DownloadTransport
from tests.integration.deliver_doubles import FakeRecord, picture, purchase

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]
PNG = picture()
QUICK = Limits(grace_s=0.15, margin_s=0.1, first_try_s=5, shortest_try_s=0.02, backoff_base_s=0.005, backoff_cap_s=0.01)


def head(status: str = "200 OK", **headers: object) -> bytes:
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([f"HTTP/1.1 {status}", "Connection: close", *lines, "", ""]).encode()


def says(data: bytes) -> Answer:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()

    return answer


def good(data: bytes = PNG) -> Answer:
    return says(head(Content_Length=len(data), Content_Type="image/png") + data)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class FakeCdn:
    """Answers each connection with the next of ``answers``, the last one for ever."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.asked: list[str] = []
        self.origin = ""
        self.tasks: set[asyncio.Task[None] | None] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.tasks.add(asyncio.current_task())
        try:
            request = await reader.readuntil(b"\r\n\r\n")
            self.asked.append(request.split(b" ", 2)[1].decode())
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            await answer(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def open_cdn(*answers: Answer) -> AsyncIterator[FakeCdn]:
    cdn = FakeCdn()
    cdn.answers = list(answers)
    server = await asyncio.start_server(cdn.serve, "127.0.0.1", 0)
    cdn.origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield cdn
        open_tasks = [task for task in cdn.tasks if task is not None]
        for task in open_tasks:
            task.cancel()
        await asyncio.gather(*open_tasks, return_exceptions=True)


class Street:
    """A courier on a real network and a real clock."""

    def __init__(self, output: Path, transport: DownloadTransport, origin: str, limits: Limits = QUICK) -> None:
        self.output = output
        self.origin = origin
        self.record = FakeRecord()
        self.troubles: list[FluxbatchError] = []
        self.events: list[DeliveryEvent] = []
        clock = SystemClock()
        self.backlog = Backlog(workers=4, window_s=10, clock=clock)
        self.courier = Courier(
            output=output,
            transport=transport,
            record=self.record,
            clock=clock,
            backlog=self.backlog,
            on_trouble=self.troubles.append,
            on_event=self.events.append,
            limits=limits,
        )

    async def deliver(self, *, left_s: float = 5, **changes: Any) -> str:
        now = time.time()
        bought = purchase(**{"url": f"{self.origin}/a.png", "bought_at": now, "deadline": now + left_s, **changes})
        self.backlog.adopt()
        return (await self.courier.deliver(bought)).value

    def retries(self) -> list[str]:
        return [event.message.split(":")[0] for event in self.events if event.kind is EventKind.RETRY]


@asynccontextmanager
async def street(
    output: Path, *answers: Answer, read_s: float = 0.2, connect_s: float = 0.3, limits: Limits = QUICK
) -> AsyncIterator[tuple[Street, FakeCdn]]:
    with anyio.fail_after(60):
        async with (
            open_cdn(*answers) as cdn,
            DownloadTransport(own_origin=cdn.origin, connect_s=connect_s, read_s=read_s) as transport,
        ):
            yield Street(output, transport, cdn.origin, limits), cdn


def broken_off(data: bytes) -> Answer:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        raw = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    return answer


async def forever() -> None:
    with contextlib.suppress(asyncio.CancelledError):  # the server's end; asyncio would log it
        await asyncio.Event().wait()


def stalled(data: bytes) -> Answer:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        await forever()

    return answer


def trickled(data: bytes) -> Answer:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(head(Content_Length=len(data)))
        for byte in data:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.01)

    return answer


LENGTH = len(PNG)
#: A first answer, and the kind of the retry that must follow it.
FAULTS: dict[str, tuple[Answer, str]] = {
    "stall before the headers": (stalled(b""), "timeout"),
    "stall in the body": (stalled(head(Content_Length=LENGTH) + PNG[:50]), "too_slow"),
    "stall before the end mark": (stalled(head() + PNG[:-1]), "too_slow"),
    "trickle": (trickled(PNG * 9), "too_slow"),
    "reset in the body": (broken_off(head(Content_Length=LENGTH) + PNG[:50]), "cut"),
    "closed before the headers": (says(b""), ""),  # which a GET may ask again by itself
    "not HTTP": (says(b"SSH-2.0-OpenSSH\r\n\r\n"), "malformed"),
    "shorter than announced": (says(head(Content_Length=LENGTH) + PNG[:-1]), "cut"),
    "longer than announced": (says(head(Content_Length=LENGTH - 1) + PNG), ""),  # a piece too short, or no HTTP at all
    "no length and cut": (says(head() + PNG[:-1]), "short_body"),
    "chunks without their end": (says(head(Transfer_Encoding="chunked") + b"9\r\n" + PNG[:9] + b"\r\n"), "cut"),
    "a page": (says(head(Content_Type="text/html", Content_Length=15) + b"<!DOCTYPE html>"), "html"),
    "garbage": (says(head(Content_Length=4) + b"\1\2\3\4"), "not_an_image"),
    "gzip": (says(head(Content_Encoding="gzip") + gzip.compress(PNG)), "encoded"),
    "plain called gzip": (says(head(Content_Encoding="gzip", Content_Length=LENGTH) + PNG), "encoded"),
    "a length beyond the cap": (says(head(Content_Length=10**12) + PNG), "too_large"),
    "no content": (says(head("204 No Content")), "status"),
    "a part of it": (says(head("206 Partial Content", Content_Length=LENGTH) + PNG), "status"),
    "not found yet": (says(head("404 Not Found", Content_Length=0)), "gone"),
    "overloaded": (says(head("503 Service Unavailable", Content_Length=0)), "busy"),
    "a loop": (says(head("302 Found", Location="/a.png", Content_Length=0)), ""),  # which the next answer ends
}


@pytest.mark.parametrize(("answer", "kind"), FAULTS.values(), ids=FAULTS)
async def test_a_fault_stores_nothing_and_is_tried_again(tmp_path: Path, answer: Answer, kind: str) -> None:
    async with street(tmp_path, answer, good()) as (courier, _):
        assert await courier.deliver() == "stored"
        assert (tmp_path / "spring/00001-cat.png").read_bytes() == PNG
        if kind:
            assert courier.retries() == [kind]
        assert names(tmp_path / "spring") == ["00001-cat.png"]


async def test_an_answer_that_does_not_begin_is_given_up_long_before_the_window_is(tmp_path: Path) -> None:
    limits = replace(QUICK, answer_s=0.15)
    async with street(tmp_path, stalled(b""), good(), read_s=300, limits=limits) as (courier, _):
        assert await courier.deliver(left_s=300) == "stored"
        assert courier.retries() == ["timeout"]


@pytest.mark.parametrize("image_format", ["jpeg", "png", "webp"])
async def test_a_body_cut_at_any_byte_is_never_stored(tmp_path: Path, image_format: str) -> None:
    data = picture(image_format, size=(6, 4))
    answers = [says(head() + data[:length]) for length in range(len(data))]
    async with street(tmp_path, *answers, good(data), read_s=5, connect_s=5) as (courier, cdn):
        for length in range(len(data)):
            # The window has closed, so there is one try each.
            assert await courier.deliver(left_s=0) == "lost", f"cut after {length} bytes"
        assert len(cdn.asked) == len(data)
        assert await courier.deliver(left_s=0) == "stored"


@pytest.mark.parametrize("image_format", ["jpeg", "png", "webp"])
async def test_a_body_reset_anywhere_is_never_stored(tmp_path: Path, image_format: str) -> None:
    data = picture(image_format, size=(6, 4))
    lengths = range(0, len(data), 16)
    answers = [broken_off(head(Content_Length=len(data)) + data[:length]) for length in lengths]
    async with street(tmp_path, *answers) as (courier, _):
        for _length in lengths:
            assert await courier.deliver(left_s=0) == "lost"
        assert courier.record.pictures == []


async def test_a_redirect_to_a_good_place_is_followed(tmp_path: Path) -> None:
    moved = says(head("302 Found", Location="/real.png?sig=1", Content_Length=0))
    async with street(tmp_path, moved, good()) as (courier, cdn):
        assert await courier.deliver() == "stored"
        assert cdn.asked == ["/a.png", "/real.png?sig=1"]
        assert courier.retries() == []


async def test_a_picture_in_chunks_without_a_length_is_stored(tmp_path: Path) -> None:
    body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(PNG), PNG)
    async with street(tmp_path, says(head(Transfer_Encoding="chunked") + body)) as (courier, _):
        assert await courier.deliver() == "stored"


async def test_a_connection_kept_open_after_the_last_byte_does_not_hold_the_picture_up(tmp_path: Path) -> None:
    async with street(tmp_path, stalled(head(Content_Length=LENGTH) + PNG)) as (courier, _):
        assert await courier.deliver() == "stored"
        assert courier.retries() == []


async def test_nobody_listening_until_the_window_closes_is_lost(tmp_path: Path) -> None:
    with anyio.fail_after(20):
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        async with DownloadTransport(own_origin=f"http://127.0.0.1:{port}") as transport:
            lonely = Street(tmp_path, transport, f"http://127.0.0.1:{port}")
            assert await lonely.deliver(left_s=0.3) == "lost"
        ((outcome, kind, message),) = lonely.record.ends
        assert (outcome, kind) == ("lost", "window_closed")
        assert "cannot connect" in message
        assert len(lonely.retries()) > 1


async def test_a_stall_that_outlasts_the_window_is_lost_in_time(tmp_path: Path) -> None:
    async with street(tmp_path, stalled(head(Content_Length=LENGTH) + PNG[:50])) as (courier, _):
        began = time.monotonic()
        assert await courier.deliver(left_s=0.5) == "lost"
        assert time.monotonic() - began < 2


async def test_silence_ends_with_the_time_for_the_try(tmp_path: Path) -> None:
    async with street(tmp_path, good(), stalled(b""), read_s=30) as (courier, cdn):
        cdn.answers = [says(head("503 Busy", Content_Length=0)), stalled(b"")]
        assert await courier.deliver(left_s=0.4) == "lost"
        assert courier.record.ends[0][2].startswith("out_of_time")


async def test_a_picture_in_a_private_network_is_trouble(tmp_path: Path) -> None:
    async with street(tmp_path, good()) as (courier, cdn):
        elsewhere = cdn.origin.replace("127.0.0.1", "127.0.0.2")
        assert await courier.deliver(url=f"{elsewhere}/a.png") == "left"
        (error,) = courier.troubles
        assert isinstance(error, ConfigurationError)
        assert "allow_hosts: [127.0.0.2:" in error.remedy
        assert cdn.asked == []


async def test_no_message_tells_the_signature(tmp_path: Path) -> None:
    async with street(tmp_path, says(b"nonsense\r\n\r\n")) as (courier, cdn):
        await courier.deliver(url=f"{cdn.origin}/a.png?signature=s3cret", left_s=0.2)
        told = [event.message for event in courier.events] + [end[2] for end in courier.record.ends]
        assert len(told) > 2
        assert not any("s3cret" in message for message in told)


async def test_a_pool_fetches_everything_through_every_fault(tmp_path: Path) -> None:
    answers = [answer for answer, _ in FAULTS.values()]
    async with street(tmp_path, *answers, good()) as (courier, _):
        queue, now = DeliveryQueue(4), time.time()
        async with anyio.create_task_group() as group:
            group.start_soon(_run, queue, courier)
            for number in range(20):
                courier.backlog.adopt()
                changes: dict[str, Any] = {"job_key": f"{number:02x}" * 32, "path": f"cat-{number}"}
                url = f"{courier.origin}/{number}.png"
                await queue.put(purchase(url=url, bought_at=now, deadline=now + 5 + number, **changes))
            queue.close()
        assert courier.record.ends == [("stored", "", path) for _, _, path in courier.record.ends]
        assert names(tmp_path) == sorted(f"cat-{number}.png" for number in range(20))
        assert courier.backlog.outstanding == 0


async def _run(queue: DeliveryQueue, courier: Street) -> None:
    await run_pool(queue, courier.courier, crew=Crew(workers=4, clock=SystemClock()))
