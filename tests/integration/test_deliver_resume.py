"""A second try goes on where the first stopped, and only where that is surely the same picture."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from pipeline.deliver import Limits
from pipeline.transport import LostError
from tests.integration.deliver_doubles import PART, Bench, FakeDisk, Reply, fault, picture, whole

PNG = picture()
OTHER = picture(shade=99)
TAG = '"first"'
CUT = LostError("cdn.test: the body ended early", kind="cut")
FINAL = "spring/00001-cat.png"


def begun(size: int = 40, data: bytes = PNG, **changes: Any) -> Reply:
    """A body that breaks off after so many bytes."""
    return Reply(**{"body": [data[:size]], "length": len(data), "headers": {"etag": TAG}, "cut": CUT, **changes})


def rest(start: int = 40, data: bytes = PNG, **changes: Any) -> Reply:
    headers = {"etag": TAG, "content-range": f"bytes {start}-{len(data) - 1}/{len(data)}", **changes.pop("headers", {})}
    body = [data[start:]]
    return Reply(**{"status": 206, "body": body, "length": len(data) - start, "headers": headers, **changes})


def ranges(bench: Bench) -> list[str]:
    return [asked.get("Range", "") for asked in bench.transport.asked_with]


async def test_the_rest_is_asked_for_with_what_tells_the_body_and_joined(tmp_path: Path) -> None:
    bench = Bench(tmp_path, begun(), rest())
    assert await bench.deliver() == "stored"
    assert bench.transport.asked_with == [{}, {"Range": "bytes=40-", "If-Range": TAG}]
    assert bench.files() == {FINAL: PNG}
    (stored,) = bench.record.pictures
    assert (stored.sha256, stored.size_bytes) == (hashlib.sha256(PNG).hexdigest(), len(PNG))


async def test_it_may_break_off_again_and_again(tmp_path: Path) -> None:
    bench = Bench(
        tmp_path, begun(40), rest(40, body=[PNG[40:70]], cut=CUT), rest(70, body=[PNG[70:75]], cut=CUT), rest(75)
    )
    assert await bench.deliver() == "stored"
    assert ranges(bench) == ["", "bytes=40-", "bytes=70-", "bytes=75-"]
    assert bench.files() == {FINAL: PNG}


async def test_a_rest_that_ends_too_early_is_no_whole(tmp_path: Path) -> None:
    bench = Bench(tmp_path, begun(40), rest(40, body=[PNG[40:70]], length=None), whole(PNG))
    assert await bench.deliver() == "stored"
    assert bench.files() == {FINAL: PNG}


async def test_a_last_modified_that_is_old_enough_will_do(tmp_path: Path) -> None:
    modified = "Tue, 24 Nov 2026 10:00:00 GMT"
    headers = {"last-modified": modified, "date": "Tue, 24 Nov 2026 10:05:00 GMT"}
    bench = Bench(tmp_path, begun(headers=headers), rest())
    assert await bench.deliver() == "stored"
    assert bench.transport.asked_with[1]["If-Range"] == modified


@pytest.mark.parametrize(
    "changes",
    [
        {"headers": {"etag": 'W/"first"'}},
        {"headers": {}},
        {"length": None},
        {"headers": {"etag": TAG, "accept-ranges": "none"}},
    ],
    ids=["weak tag", "no tag", "no length", "no ranges"],
)
async def test_without_a_strong_validator_it_begins_anew(tmp_path: Path, changes: dict[str, Any]) -> None:
    bench = Bench(tmp_path, begun(**changes), whole(PNG))
    assert await bench.deliver() == "stored"
    assert bench.transport.asked_with == [{}, {}]
    assert bench.files() == {FINAL: PNG}


async def test_a_body_that_has_changed_comes_whole_and_replaces_the_beginning(tmp_path: Path) -> None:
    bench = Bench(tmp_path, begun(), whole(OTHER, headers={"etag": '"second"'}))
    assert await bench.deliver() == "stored"
    assert bench.transport.asked == 2
    assert bench.files() == {FINAL: OTHER}


WRONG = {
    "another start": rest(headers={"content-range": f"bytes 39-{len(PNG) - 1}/{len(PNG)}"}, body=[PNG[39:]]),
    "from the start": rest(headers={"content-range": f"bytes 0-{len(PNG) - 1}/{len(PNG)}"}, body=[PNG]),
    "another end": rest(headers={"content-range": f"bytes 40-{len(PNG) - 2}/{len(PNG)}"}, body=[PNG[40:-1]]),
    "another total": rest(headers={"content-range": f"bytes 40-{len(PNG) - 1}/{len(PNG) + 1}"}),
    "no Content-Range": rest(headers={"content-range": ""}),
    "several parts": rest(headers={"content-range": ""}, content_type="multipart/byteranges"),
    "another body's": rest(headers={"etag": '"second"'}, body=[OTHER[40:]]),
    "another length": rest(length=7),
    "none": Reply(status=416, headers={"content-range": f"bytes */{len(PNG)}"}),
}


@pytest.mark.parametrize("reply", WRONG.values(), ids=WRONG)
async def test_what_is_not_the_rest_is_refused_and_all_is_asked_for_anew(tmp_path: Path, reply: Reply) -> None:
    bench = Bench(tmp_path, begun(), reply, whole(PNG))
    assert await bench.deliver() == "stored"
    assert [event.message.split(":")[0] for event in bench.events if event.message][:-1] == ["cut", "bad_range"]
    assert ranges(bench) == ["", "bytes=40-", ""]
    assert bench.files() == {FINAL: PNG}


async def test_a_206_that_nobody_asked_for_is_no_picture(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rest(40), whole(PNG))
    assert await bench.deliver() == "stored"
    assert bench.files() == {FINAL: PNG}


async def test_a_joined_body_that_is_no_picture_speaks_of_the_joint(tmp_path: Path) -> None:
    bad = bytes(len(PNG))
    bench = Bench(tmp_path, *[begun(), rest(data=bad)] * 4, whole(PNG))
    assert await bench.deliver() == "stored"  # and is not spoiled after three of them
    assert bench.files() == {FINAL: PNG}


@pytest.mark.parametrize("status", [404, 500, 429])
async def test_a_refusal_between_says_nothing_of_the_beginning(tmp_path: Path, status: int) -> None:
    lost = Reply(error=LostError("cdn.test: nothing came in time", kind="timeout"))
    bench = Bench(tmp_path, begun(), Reply(status=status), lost, rest())
    assert await bench.deliver() == "stored"
    assert ranges(bench) == ["", "bytes=40-", "bytes=40-", "bytes=40-"]
    assert bench.files() == {FINAL: PNG}


async def test_a_part_that_somebody_changed_is_not_built_on(tmp_path: Path) -> None:
    bench = Bench(tmp_path, begun())
    bench.transport.replies += [rest(before_chunk=lambda: None), whole(PNG)]
    part = tmp_path / "spring" / PART
    original = bench.clock.sleep

    async def sleep(seconds: float) -> None:
        if part.exists() and bench.transport.asked == 1:
            part.write_bytes(PNG[:39])
        await original(seconds)

    bench.clock.sleep = sleep  # type: ignore[method-assign]
    assert await bench.deliver() == "stored"
    assert [event.message.split(":")[0] for event in bench.events if event.message][:-1] == ["cut", "vanished"]
    assert bench.files() == {FINAL: PNG}


async def test_the_rest_counts_against_the_largest_body(tmp_path: Path) -> None:
    endless = Reply(status=206, body=[PNG] * 99, length=None, headers=rest().headers)
    bench = Bench(tmp_path, begun(), endless, whole(PNG), limits=Limits(cap_bytes=len(PNG) * 3))
    assert await bench.deliver() == "stored"
    assert bench.files() == {FINAL: PNG}


async def test_a_full_disk_is_told_also_where_a_beginning_was_to_be_kept(tmp_path: Path) -> None:
    disk = FakeDisk()
    disk.fail("full", fault(28))
    bench = Bench(tmp_path, begun(), disk=disk)
    assert await bench.deliver() == "left"
    assert len(bench.troubles) == 1
