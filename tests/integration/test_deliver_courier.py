"""One delivery on a real disk with a scripted network: what is stored, tried again, lost, spoiled or left."""

import errno
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from pipeline.deliver import EventKind, Limits
from pipeline.errors import ConfigurationError, OutputError, ProviderUnavailableError, StorageError
from pipeline.ratio import Ratio
from pipeline.transport import ForbiddenAddressError, LostError, NeverSentError
from tests.integration.deliver_doubles import (
    PART,
    START,
    WINDOW_S,
    Bench,
    FakeDisk,
    FakeTransport,
    Reply,
    fault,
    picture,
    purchase,
    whole,
)

PNG = picture()
HTML = b"<!doctype html><p>Sorry</p>"


@pytest.mark.parametrize(("image_format", "suffix"), [("jpeg", ".jpg"), ("png", ".png"), ("webp", ".webp")])
async def test_a_picture_is_stored_under_the_suffix_of_its_bytes(
    tmp_path: Path, image_format: str, suffix: str
) -> None:
    data = picture(image_format)
    bench = Bench(tmp_path, whole(data, content_type="image/whatever"))
    assert await bench.deliver() == "stored"
    assert bench.files() == {f"spring/00001-cat{suffix}": data}


async def test_the_record_gets_all_that_is_known(tmp_path: Path) -> None:
    bench = Bench(tmp_path, whole(PNG))
    bench.clock.passed = 7
    await bench.deliver()
    (stored,) = bench.record.pictures
    assert stored.path == "spring/00001-cat.png"
    assert stored.sha256 == hashlib.sha256(PNG).hexdigest()
    assert (stored.size_bytes, stored.width, stored.height) == (len(PNG), 24, 16)
    assert (stored.format, stored.verdict) == ("png", "ok")
    assert (stored.stored_at, stored.url_age_s) == (START + 7, 7)


async def test_a_picture_of_the_wrong_shape_is_kept_and_marked(tmp_path: Path) -> None:
    bench = Bench(tmp_path, whole(PNG))
    assert await bench.deliver(ratio=Ratio(9, 16)) == "stored"
    assert bench.record.pictures[0].verdict == "wrong_shape"


async def test_a_body_in_many_chunks_is_written_in_pieces(tmp_path: Path) -> None:
    chunks = [PNG[at : at + 7] for at in range(0, len(PNG), 7)]
    bench = Bench(tmp_path, Reply(body=chunks), limits=Limits(piece_bytes=20))
    assert await bench.deliver() == "stored"
    assert bench.files() == {"spring/00001-cat.png": PNG}


PASSING = {
    "not found": Reply(status=404),
    "forbidden": Reply(status=403),
    "gone": Reply(status=410),
    "server error": Reply(status=503),
    "throttled": Reply(status=429),
    "no content": Reply(status=204),
    "a redirect that leads nowhere": Reply(status=302),
    "never sent": Reply(error=NeverSentError("cdn.test: cannot connect", kind="connect")),
    "broken off": Reply(error=LostError("cdn.test: the connection broke", kind="disconnected")),
    "cut in the body": Reply(body=[PNG[:40]], cut=LostError("cdn.test: cut", kind="cut")),
    "shorter than announced": Reply(body=[PNG[:-1]], length=len(PNG)),
    "longer than announced": Reply(body=[PNG], length=len(PNG) - 1),
    "cut without a length": Reply(body=[PNG[:-1]]),
    "nothing without a length": Reply(),
    "a page": whole(HTML),
    "garbage": whole(b"\x00\x01garbage"),
    "packed although not asked for": whole(PNG, headers={"content-encoding": "gzip"}),
    "too large": Reply(body=[PNG], length=10**9),
    "empty": whole(b""),
}


@pytest.mark.parametrize("reply", PASSING.values(), ids=PASSING)
async def test_what_may_pass_is_tried_again(tmp_path: Path, reply: Reply) -> None:
    bench = Bench(tmp_path, reply, whole(PNG))
    assert await bench.deliver() == "stored"
    assert bench.transport.asked == 2
    assert bench.files() == {"spring/00001-cat.png": PNG}
    assert bench.kinds() == ["started", "retry", "stored"]


LASTING = [name for name in PASSING if name not in {"a page", "garbage", "empty", "too large"} and "packed" not in name]


@pytest.mark.parametrize("name", LASTING)
async def test_what_lasts_until_the_window_closes_is_lost(tmp_path: Path, name: str) -> None:
    bench = Bench(tmp_path, PASSING[name])
    assert await bench.deliver() == "lost"
    ((outcome, kind, message),) = bench.record.ends
    assert (outcome, kind) == ("lost", "window_closed")
    assert message
    assert bench.files() == {}
    assert WINDOW_S - 7 < bench.clock.passed <= WINDOW_S - 5


@pytest.mark.parametrize("code", [403, 404, 410])
async def test_gone_after_the_deadline_is_gone(tmp_path: Path, code: int) -> None:
    bench = Bench(tmp_path, Reply(status=code))
    bench.clock.passed = WINDOW_S + 60
    assert await bench.deliver() == "lost"
    assert bench.record.ends == [("lost", "gone", f"gone: HTTP {code}")]
    assert bench.transport.asked == 1


async def test_past_its_deadline_a_picture_is_tried_once_for_clocks_differ(tmp_path: Path) -> None:
    bench = Bench(tmp_path, whole(PNG))
    bench.clock.passed = WINDOW_S + 60
    assert await bench.deliver() == "stored"


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (whole(HTML, content_type="text/html"), "html"),
        (whole(b"\x00\x01garbage"), "not_an_image"),
        (whole(PNG[:-1]), "truncated"),
        (whole(b""), "empty"),
        (whole(PNG, headers={"content-encoding": "gzip"}), "encoded"),
        (Reply(body=[PNG], length=10**9), "too_large"),
    ],
    ids=["html", "garbage", "truncated", "empty", "encoded", "too large"],
)
async def test_bytes_that_come_whole_and_never_do_are_spoiled_after_three_tries(
    tmp_path: Path, reply: Reply, kind: str
) -> None:
    bench = Bench(tmp_path, reply)
    assert await bench.deliver() == "spoiled"
    assert bench.transport.asked == 3
    assert [end[:2] for end in bench.record.ends] == [("spoiled", kind)]
    assert bench.files() == {}


async def test_what_spoiled_is_described(tmp_path: Path) -> None:
    bench = Bench(tmp_path, whole(HTML, content_type="text/html"))
    await bench.deliver()
    message = bench.record.ends[0][2]
    assert "27 bytes" in message
    assert "<!doctype html>" in message
    assert "text/html" in message


async def test_a_body_over_the_cap_is_not_read_on(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Reply(body=[PNG] * 1000), limits=Limits(cap_bytes=len(PNG) * 3))
    assert await bench.deliver() == "spoiled"
    assert bench.record.ends[0][1] == "too_large"


async def test_a_trickle_below_the_floor_is_given_up_after_its_grace(tmp_path: Path) -> None:
    bench = Bench(tmp_path)

    def wait() -> None:
        bench.clock.passed += 2

    trickle = Reply(body=[PNG[at : at + 1] for at in range(len(PNG))], before_chunk=wait)
    bench.transport.replies[:] = [trickle, whole(PNG)]
    assert await bench.deliver() == "stored"
    retry = next(event for event in bench.events if event.kind is EventKind.RETRY)
    assert retry.message == "too_slow: 3 bytes in 6.0 s"


async def test_back_off_doubles_up_to_its_cap(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Reply(status=503))
    await bench.deliver()
    assert bench.clock.slept[:7] == [0.5, 1, 2, 4, 8, 15, 15]


async def test_a_status_that_speaks_of_us_waits_longer(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Reply(status=400))
    await bench.deliver()
    assert bench.clock.slept[:4] == [2, 4, 8, 15]


async def test_half_the_window_is_warned_of_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Reply(status=503))
    await bench.deliver()
    warnings = [event for event in bench.events if event.kind is EventKind.HALF_WINDOW]
    assert len(warnings) == 1
    assert WINDOW_S / 2 <= warnings[0].age_s < WINDOW_S / 2 + 16


async def test_a_forbidden_host_is_trouble_that_names_the_remedy(tmp_path: Path) -> None:
    refusal = ForbiddenAddressError("10.0.0.5: not public", host="10.0.0.5:8080", address="10.0.0.5")
    bench = Bench(tmp_path, Reply(error=refusal))
    assert await bench.deliver() == "left"
    (error,) = bench.troubles
    assert isinstance(error, ConfigurationError)
    assert "allow_hosts: [10.0.0.5:8080]" in error.remedy
    assert bench.record.ends == []
    assert bench.transport.asked == 1


async def test_a_full_disk_is_trouble_and_leaves_the_purchase(tmp_path: Path) -> None:
    disk = FakeDisk()
    disk.fail("full", None)
    bench = Bench(tmp_path, whole(PNG), disk=disk)
    assert await bench.deliver() == "left"
    (error,) = bench.troubles
    assert isinstance(error, StorageError)
    assert "free some space" in error.remedy
    assert bench.record.ends == []
    assert bench.kinds() == ["started", "left"]


@pytest.mark.parametrize(
    ("code", "error"),
    [(errno.ENOSPC, StorageError), (errno.EROFS, StorageError), (errno.EIO, StorageError), (errno.EACCES, OutputError)],
)
async def test_a_failing_link_is_trouble(tmp_path: Path, code: int, error: type[Exception]) -> None:
    disk = FakeDisk()
    disk.fail("link", fault(code))
    bench = Bench(tmp_path, whole(PNG), disk=disk)
    assert await bench.deliver() == "left"
    assert [type(trouble) for trouble in bench.troubles] == [error]
    assert list(bench.files()) == [f"spring/{PART}"]


async def test_a_folder_under_a_file_is_trouble(tmp_path: Path) -> None:
    (tmp_path / "spring").write_text("a file")
    bench = Bench(tmp_path, whole(PNG))
    assert await bench.deliver() == "left"
    assert isinstance(bench.troubles[0], OutputError)
    assert bench.transport.asked == 0


async def test_a_failing_ledger_is_trouble_and_the_evidence_stays(tmp_path: Path) -> None:
    bench = Bench(tmp_path, whole(PNG))
    bench.record.error = StorageError("the ledger cannot be written")
    assert await bench.deliver() == "left"
    assert bench.troubles == [bench.record.error]
    assert set(bench.files()) == {f"spring/{PART}", "spring/00001-cat.png"}


async def test_a_part_that_cannot_be_removed_afterwards_does_not_undo_the_outcome(tmp_path: Path) -> None:
    disk = FakeDisk()
    bench = Bench(tmp_path, whole(PNG), disk=disk)
    disk.fail("remove", None, fault(errno.EIO))
    assert await bench.deliver() == "stored"
    assert bench.troubles == []


async def test_many_pictures_lost_in_a_row_are_trouble(tmp_path: Path) -> None:
    bench = Bench(tmp_path, whole(HTML), limits=Limits(losses_in_a_row=2))
    await bench.deliver()
    assert bench.troubles == []
    await bench.deliver(deadline=START + WINDOW_S + bench.clock.passed)
    assert isinstance(bench.troubles[0], ProviderUnavailableError)


async def test_pictures_found_too_late_are_no_sign_of_failing_downloads(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Reply(status=404), limits=Limits(losses_in_a_row=1))
    bench.clock.passed = WINDOW_S + 1
    assert await bench.deliver() == "lost"
    assert bench.troubles == []


async def test_a_stored_picture_between_ends_the_row_of_losses(tmp_path: Path) -> None:
    replies = [whole(HTML)] * 3 + [whole(PNG)] + [whole(HTML)] * 3
    bench = Bench(tmp_path, *replies, limits=Limits(losses_in_a_row=2))
    assert [await bench.deliver(path=name) for name in "abc"] == ["spoiled", "stored", "spoiled"]
    assert bench.troubles == []


async def test_a_url_without_a_deadline_has_the_usual_window(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Reply(status=503))
    assert await bench.deliver(deadline=None) == "lost"
    assert 590 < bench.clock.passed <= 595


class FakeWorker:
    """Writes down what it is told."""

    def __init__(self, transport: FakeTransport) -> None:
        self.told: list[str] = []
        self.received = 0
        self._transport = transport

    @asynccontextmanager
    async def rest(self, setback: str) -> AsyncIterator[None]:
        self.told.append(f"rests, {setback} after {self._transport.asked}")
        yield
        self.told.append(f"back after {self._transport.asked}")

    def came(self, size_bytes: int) -> None:
        self.received += size_bytes

    def leave(self) -> None:
        self.told.append("leaves")


async def test_the_worker_is_lent_only_while_waiting_and_told_why(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Reply(status=503), whole(PNG))
    worker = FakeWorker(bench.transport)
    bench.backlog.adopt()
    await bench.courier.deliver(purchase(), worker=worker)
    assert worker.told == ["rests, busy after 1", "back after 1"]


async def test_the_worker_is_told_of_every_byte_that_came_also_of_those_in_vain(tmp_path: Path) -> None:
    cut = Reply(body=[PNG[:30], PNG[30:40]], cut=LostError("cdn.test: cut", kind="cut"))
    bench = Bench(tmp_path, cut, Reply(body=[PNG[:9], PNG[9:]], length=len(PNG)))
    worker = FakeWorker(bench.transport)
    bench.backlog.adopt()
    await bench.courier.deliver(purchase(), worker=worker)
    assert worker.received == 40 + len(PNG)


async def test_a_cancelled_delivery_leaves_nothing_but_the_part_and_gives_its_place_back(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    with anyio.fail_after(2):
        async with anyio.create_task_group() as group:

            def stop() -> None:
                group.cancel_scope.cancel()

            bench.transport.replies[:] = [Reply(body=[PNG[:9], PNG[9:]], before_chunk=stop)]
            group.start_soon(bench.deliver)
    assert set(bench.files()) <= {f"spring/{PART}"}
    assert bench.record.ends == []
    assert bench.backlog.outstanding == 0
