"""When the rest of a body may be asked for, and what is taken for it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from pipeline.deliver.resume import Held, strong_validator
from pipeline.transport import Download

TAG = '"abc"'
MODIFIED = "Tue, 24 Nov 2026 10:00:00 GMT"
HELD = Held(received=40, total=100, validator=TAG)


async def nothing() -> AsyncIterator[bytes]:
    yield b""


def answered(status: int = 200, *, length: int | None = 100, **headers: str) -> Download:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Download(status=status, length=length, content_type="image/png", chunks=nothing(), headers=named)


@pytest.mark.parametrize(
    ("headers", "validator"),
    [
        ({"etag": TAG}, TAG),
        ({"etag": TAG, "accept-ranges": "bytes"}, TAG),
        ({"etag": 'W/"abc"'}, None),  # the same in meaning is not the same bytes
        ({"etag": "abc"}, None),
        ({"etag": '"a"b"'}, None),
        ({"etag": 'W/"abc"', "last-modified": MODIFIED, "date": "Tue, 24 Nov 2026 11:00:00 GMT"}, None),
        ({"etag": TAG, "accept-ranges": "none"}, None),
        ({"last-modified": MODIFIED, "date": "Tue, 24 Nov 2026 10:00:01 GMT"}, MODIFIED),
        ({"last-modified": MODIFIED, "date": MODIFIED}, None),  # it may have changed twice in that second
        ({"last-modified": MODIFIED}, None),
        ({"last-modified": "yesterday", "date": MODIFIED}, None),
        ({"last-modified": MODIFIED, "date": "Tue, 24 Nov 2026 10:00:01 -0000"}, None),
        ({}, None),
    ],
)
def test_only_what_is_strong_validates(headers: dict[str, str], validator: str | None) -> None:
    assert strong_validator(headers) == validator


def test_the_rest_is_asked_for_only_if_the_body_is_the_same() -> None:
    assert HELD.ask() == {"Range": "bytes=40-", "If-Range": TAG}


@pytest.mark.parametrize(
    ("received", "changes"),
    [(0, {}), (100, {}), (101, {}), (40, {"length": None}), (40, {"etag": 'W/"abc"'})],
)
def test_nothing_is_held_where_the_rest_could_not_be_told(received: int, changes: dict[str, Any]) -> None:
    assert Held.of(answered(**{"etag": TAG, **changes}), received) is None


def test_a_beginning_is_held_with_what_tells_it() -> None:
    assert Held.of(answered(etag=TAG), 40) == HELD
    assert HELD.grown(60) == Held(received=60, total=100, validator=TAG)
    assert HELD.grown(100) is None


@pytest.mark.parametrize(
    "changes",
    [{}, {"etag": TAG}, {"length": None}],
    ids=["no tag", "the same tag", "no length"],
)
def test_the_rest_is_taken(changes: dict[str, Any]) -> None:
    rest = answered(206, **{"length": 60, "content_range": "bytes 40-99/100", **changes})
    assert HELD.flaw(rest) == ""


@pytest.mark.parametrize(
    "changes",
    [
        {"content_range": "bytes 41-99/100"},
        {"content_range": "bytes 0-99/100"},
        {"content_range": "bytes 40-98/100"},
        {"content_range": "bytes 40-99/*"},
        {"content_range": "bytes 40-99/101"},
        {"content_range": "bytes */100"},
        {"content_range": "items 40-99/100"},
        {"content_range": "bytes 40-99/100, bytes 0-9/100"},
        {"content_range": ""},
        {"content_range": "bytes 40-99/100", "length": 59},
        {"content_range": "bytes 40-99/100", "length": 100},
        {"content_range": "bytes 40-99/100", "etag": '"other"'},
        {"content_range": "bytes 40-99/100", "etag": 'W/"abc"'},
    ],
)
def test_what_is_not_exactly_the_rest_is_refused(changes: dict[str, Any]) -> None:
    assert HELD.flaw(answered(206, **{"length": 60, **changes})) != ""


def test_a_date_that_validated_needs_no_tag() -> None:
    held = Held(received=40, total=100, validator=MODIFIED)
    assert held.flaw(answered(206, length=60, content_range="bytes 40-99/100", etag=TAG)) == ""
