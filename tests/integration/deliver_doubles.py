"""What the delivery tests share: a clock, a network, a record and a disk that do as they are told."""

import errno
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from pipeline.deliver import Backlog, Courier, DeliveryEvent, Disk, Limits, Purchase, Store, StoredPicture
from pipeline.ratio import Ratio
from pipeline.transport import Download

if TYPE_CHECKING:
    from pipeline.errors import FluxbatchError

START = 1_000_000.0
WINDOW_S = 600.0
KEY = "0123456789abcdef" * 4
PART = f".{KEY[:32]}.part"


def picture(image_format: str = "png", *, size: tuple[int, int] = (24, 16), shade: int = 0) -> bytes:
    image = Image.new("RGB", size)
    image.putdata([((x + shade) % 256, x * 5 % 256, x * 3 % 256) for x in range(size[0] * size[1])])
    buffer = BytesIO()
    image.save(buffer, image_format.upper())
    return buffer.getvalue()


def purchase(**changes: Any) -> Purchase:
    usual = Purchase(
        job_key=KEY,
        attempt=1,
        url="https://cdn.test/a.png?signature=s3cret",
        bought_at=START,
        deadline=START + WINDOW_S,
        path="spring/00001-cat",
        ratio=Ratio(3, 2),
    )
    return replace(usual, **changes)


class FakeClock:
    """Time passes only when somebody sleeps or a test says so."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return 50.0 + self.passed

    def wall(self) -> float:
        return START + self.passed

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.passed += seconds


@dataclass(kw_only=True)
class Reply:
    """One answer of the fake network; ``error`` is raised instead of an answer, or after the chunks with ``cut``."""

    body: Sequence[bytes] = ()
    status: int = 200
    length: int | None = None
    content_type: str = "image/png"
    headers: dict[str, str] = field(default_factory=dict)
    error: Exception | None = None
    cut: Exception | None = None
    before_chunk: Callable[[], None] = lambda: None


def whole(data: bytes, **changes: Any) -> Reply:
    return Reply(**{"body": [data], "length": len(data), **changes})


class FakeTransport:
    """Answers with the replies in order, the last one for ever."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.asked = 0
        self.asked_with: list[dict[str, str]] = []

    @asynccontextmanager
    async def get(self, url: str, headers: Mapping[str, str] | None = None) -> AsyncIterator[Download]:
        self.asked_with.append(dict(headers or {}))
        reply = self.replies[min(self.asked, len(self.replies) - 1)]
        self.asked += 1
        if reply.error is not None:
            raise reply.error
        yield Download(
            status=reply.status,
            length=reply.length,
            content_type=reply.content_type,
            chunks=self._chunks(reply),
            headers=reply.headers,
        )

    async def _chunks(self, reply: Reply) -> AsyncIterator[bytes]:
        for chunk in reply.body:
            reply.before_chunk()
            yield chunk
        if reply.cut is not None:
            raise reply.cut


class FakeRecord:
    """Remembers outcomes; ``error`` is raised instead."""

    def __init__(self, log: list[str] | None = None) -> None:
        self.pictures: list[StoredPicture] = []
        self.ends: list[tuple[str, str, str]] = []
        self.error: BaseException | None = None
        self._log = [] if log is None else log

    async def stored(self, purchase: Purchase, picture: StoredPicture) -> None:
        self._end("stored", "", picture.path)
        self.pictures.append(picture)

    async def lost(self, purchase: Purchase, kind: str, message: str) -> None:
        self._end("lost", kind, message)

    async def spoiled(self, purchase: Purchase, kind: str, message: str) -> None:
        self._end("spoiled", kind, message)

    def _end(self, outcome: str, kind: str, message: str) -> None:
        self._log.append(f"record {outcome}")
        if self.error is not None:
            raise self.error
        self.ends.append((outcome, kind, message))


class CrashError(BaseException):
    """The process dies here: nothing in the code under test may catch it."""


class FakeDisk(Disk):
    """The real disk, which logs the steps that matter and fails, or dies, where it is told to."""

    def __init__(self, log: list[str] | None = None) -> None:
        self.log = [] if log is None else log
        self.faults: dict[str, list[BaseException | None]] = {}
        self.free = 10**12
        self.has_links = True

    def fail(self, step: str, *errors: BaseException | None) -> None:
        """Let the next calls of a step raise these, in order; None lets one pass."""
        self.faults[step] = list(errors)

    def step(self, name: str, path: Path) -> None:
        self.log.append(f"{name} {path.name}")
        pending = self.faults.get(name, [])
        error = pending.pop(0) if pending else None
        if error is not None:
            raise error

    def create(self, path: str, flags: int) -> int:
        if self.faults.get("full"):
            return os.open("/dev/full", os.O_WRONLY)
        return super().create(path, flags)

    def write_new(self, path: Path, data: bytes) -> None:
        self.step("write", path)
        super().write_new(path, data)

    def copy_new(self, source: Path, target: Path) -> None:
        self.step("write", target)
        super().copy_new(source, target)

    def sync(self, path: Path) -> None:
        self.step("sync", path)
        super().sync(path)

    def sync_folder(self, folder: Path) -> None:
        self.step("sync_folder", folder)
        super().sync_folder(folder)

    def link(self, source: Path, target: Path) -> None:
        self.step("link", target)
        if not self.has_links:
            raise fault(errno.EPERM)
        super().link(source, target)

    def replace(self, source: Path, target: Path) -> None:
        self.step("replace", target)
        super().replace(source, target)

    def remove(self, path: Path) -> None:
        self.step("remove", path)
        super().remove(path)

    def free_bytes(self, folder: Path) -> int:
        return self.free


def fault(code: int, name: str = "") -> OSError:
    return OSError(code, os.strerror(code), name) if name else OSError(code, os.strerror(code))


class Bench:
    """A courier with doubles around it, on a real folder."""

    def __init__(
        self,
        output: Path,
        *replies: Reply,
        disk: Disk | None = None,
        limits: Limits | None = None,
        store: Store | None = None,
    ) -> None:
        self.output = output
        self.clock = FakeClock()
        self.transport = FakeTransport(*replies)
        self.log = disk.log if isinstance(disk, FakeDisk) else []
        self.record = FakeRecord(self.log)
        self.backlog = Backlog(workers=2, window_s=WINDOW_S, clock=self.clock)
        self.troubles: list[FluxbatchError] = []
        self.events: list[DeliveryEvent] = []
        self.courier = Courier(
            output=output,
            transport=self.transport,
            record=self.record,
            clock=self.clock,
            backlog=self.backlog,
            on_trouble=self.troubles.append,
            on_event=self.events.append,
            limits=limits,
            disk=disk,
            draw=lambda _low, high: high,
            store=store,
        )

    async def deliver(self, **changes: Any) -> str:
        self.backlog.adopt()
        outcome = await self.courier.deliver(purchase(**changes))
        assert self.backlog.outstanding == 0
        return outcome.value

    def files(self) -> dict[str, bytes]:
        found = (path for path in self.output.rglob("*") if path.is_file())
        return {path.relative_to(self.output).as_posix(): path.read_bytes() for path in found}

    def kinds(self) -> list[str]:
        return [event.kind.value for event in self.events]
