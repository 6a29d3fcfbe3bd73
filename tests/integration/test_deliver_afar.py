"""A store that is not on this machine: what waits for it is durable, and keeps neither other URLs nor memory."""

import math
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path

import anyio

from pipeline.deliver import Backlog, Disk, Purchase
from pipeline.deliver.keeper import Kept
from pipeline.deliver.shelf import Shelf, WaitingShelf
from pipeline.errors import StorageError
from tests.integration.deliver_doubles import PART, START, WINDOW_S, Bench, FakeDisk, Reply, picture, purchase, whole

PNG = picture()


class FakeAfar:
    """Takes pictures, or refuses them while it is ``away``."""

    afar = True

    def __init__(self, log: list[str]) -> None:
        self.away = False
        self.taken_in: dict[str, bytes] = {}
        self._log = log

    def shelf(self, output: Path, disk: Disk) -> Shelf:
        return WaitingShelf(output, disk)

    async def keep(self, part: Path, purchase: Purchase, kept: Kept) -> str:
        self._log.append("send")
        if self.away:
            raise StorageError("the bucket is away", remedy="run again")
        self.taken_in[f"{purchase.path}.png"] = await anyio.Path(part).read_bytes()
        return f"{purchase.path}.png"

    async def place(self, stored: str, wanted: str, *, sha256: str) -> str:
        raise NotImplementedError

    async def taken(self, wanted: Sequence[str]) -> list[str]:
        raise NotImplementedError


def bench(folder: Path, *replies: Reply) -> tuple[Bench, FakeAfar]:
    disk = FakeDisk()
    store = FakeAfar(disk.log)
    return Bench(folder, *replies, disk=disk, store=store), store


async def test_a_picture_is_durable_here_before_it_is_sent_and_goes_only_once_recorded(tmp_path: Path) -> None:
    made, store = bench(tmp_path, whole(PNG))
    assert await made.deliver() == "stored"
    assert made.log == [
        f"sync_folder {tmp_path.name}",
        f"write {PART}",
        f"sync {PART}",
        "sync_folder spring",
        "send",
        "record stored",
        f"remove {PART}",
    ]
    assert store.taken_in == {"spring/00001-cat.png": PNG}
    assert made.record.pictures[0].path == "spring/00001-cat.png"
    assert made.files() == {}


async def test_what_cannot_be_sent_waits_and_needs_no_url_any_more(tmp_path: Path) -> None:
    made, store = bench(tmp_path, whole(PNG), Reply(status=410))
    store.away = True
    assert await made.deliver() == "left"
    assert made.files() == {f"spring/{PART}": PNG}
    assert [str(error) for error in made.troubles] == ["the bucket is away; run again"]
    assert made.record.ends == []
    store.away = False
    made.clock.passed = 2 * WINDOW_S
    assert await made.deliver() == "stored"
    assert store.taken_in == {"spring/00001-cat.png": PNG}
    assert made.transport.asked == 1
    assert made.record.pictures[0].stored_at == START + 2 * WINDOW_S


class FakeWorker:
    def __init__(self, log: list[str]) -> None:
        self._log = log

    def rest(self, setback: str) -> AbstractAsyncContextManager[None]:
        return nullcontext()

    def came(self, size_bytes: int) -> None:
        pass

    def leave(self) -> None:
        self._log.append("leave")


async def test_a_picture_that_is_being_sent_holds_no_worker(tmp_path: Path) -> None:
    made, _ = bench(tmp_path, whole(PNG))
    made.backlog.adopt()
    await made.courier.deliver(purchase(), worker=FakeWorker(made.log))
    assert made.log.index("leave") == made.log.index("send") - 1


async def test_only_what_has_arrived_counts_for_the_rate(tmp_path: Path) -> None:
    """Else a bucket that stands still would let the pictures bought for it pile up."""
    made, _ = bench(tmp_path)
    drains: dict[bool, float] = {}
    for early in (True, False):
        books = Backlog(workers=2, window_s=WINDOW_S, clock=made.clock)
        books.adopt()
        books.finished(books.started(), measured=True)
        books.adopt()
        flight = books.started(early=early)
        for _ in range(20):  # what was measured before is long ago by then
            made.clock.passed += 1
            books.drain_s()
        flight.progress(900, 1000)
        drains[early] = books.drain_s() or 0.0
    assert drains[True] < math.inf
    assert drains[False] == math.inf
