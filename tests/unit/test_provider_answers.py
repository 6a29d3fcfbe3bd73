"""The picture in an answer, in every form servers use."""

import base64
import json
from typing import Any

import pytest

from pipeline.provider.answers import NoPictureError, read_picture

BASE = "https://api.example/v1"
PNG = b"\x89PNG\r\n\x1a\n\xfb\xff\xfe picture"
B64 = base64.b64encode(PNG).decode()
URL = "https://delivery.example/x.png?sig=a%2Bb"


def _read(item: Any, **more: Any) -> Any:
    return read_picture(json.dumps({"data": [item], **more}).encode(), base_url=BASE)


@pytest.mark.parametrize(
    ("item", "url"),
    [
        ({"url": URL}, URL),
        ({"url": f"  {URL}\n"}, URL),
        ({"url": URL, "b64_json": None}, URL),
        ({"url": URL, "b64_json": "", "revised_prompt": "x"}, URL),
        ({"url": URL, "b64_json": "not base64!"}, URL),
        ({"url": "/files/x.png?e=1"}, "https://api.example/files/x.png?e=1"),
        ({"url": "files/x.png"}, "https://api.example/v1/files/x.png"),
        ({"url": "//cdn.example/x.png"}, "https://cdn.example/x.png"),
        ({"url": "http://cdn.example/x.png"}, "http://cdn.example/x.png"),
    ],
)
def test_a_url_is_found_and_made_absolute(item: dict[str, Any], url: str) -> None:
    picture = _read(item)
    assert (picture.url, picture.image) == (url, None)


@pytest.mark.parametrize(
    "item",
    [
        {"b64_json": B64},
        {"b64_json": B64, "url": ""},
        {"b64_json": B64, "url": None},
        {"b64_json": B64, "url": URL},
        {"b64_json": f"data:image/png;base64,{B64}"},
        {"b64_json": f"DATA:image/png; BASE64,{B64}"},
        {"url": f"data:image/png;base64,{B64}"},
        {"url": f"data:image/png;base64,{B64}", "b64_json": ""},
        {"b64_json": "\n".join(B64[i : i + 8] for i in range(0, len(B64), 8))},
        {"b64_json": B64.rstrip("=")},
        {"b64_json": base64.urlsafe_b64encode(PNG).decode()},
        {"url": "data:image/png,%89PNG%0D%0A%1A%0A%FB%FF%FE picture"},
    ],
)
def test_an_inline_picture_is_decoded(item: dict[str, Any]) -> None:
    picture = _read(item)
    assert (picture.url, picture.image) == (None, PNG)


def test_a_single_object_for_data_is_read() -> None:
    assert read_picture(json.dumps({"data": {"url": URL}}).encode(), base_url=BASE).url == URL


def test_a_picture_beside_an_empty_error_counts() -> None:
    assert _read({"url": URL}, error=None, usage={"total": 1}, provider_specific_fields={}).url == URL


@pytest.mark.parametrize(
    "body", [b"\xef\xbb\xbf" + json.dumps({"data": [{"url": URL}]}).encode(), b"\n \n" + b'{"data":[{"url":"/x"}]}\n ']
)
def test_a_byte_order_mark_and_keep_alive_white_space_are_allowed(body: bytes) -> None:
    assert read_picture(body, base_url=BASE).url


@pytest.mark.parametrize(
    ("created", "read"),
    [(1_700_000_000, 1_700_000_000.0), (1.5, 1.5), ("now", None), (None, None), (10**400, None), (float("nan"), None)],
)
def test_created_is_a_number_or_nothing(created: object, read: float | None) -> None:
    assert _read({"url": URL}, created=created).created == read


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "unreadable"),
        (b"<html>welcome</html>", "unreadable"),
        (b'{"data": [{"url": "https://h/', "unreadable"),
        (b"\xff\xfe\x00", "unreadable"),
        (b"[" * 100_000, "unreadable"),
        (b"null", "no_picture"),
        (b"[]", "no_picture"),
        (b"{}", "no_picture"),
        (b'{"data": []}', "no_picture"),
        (b'{"data": null}', "no_picture"),
        (b'{"data": ["x"]}', "no_picture"),
        (b'{"data": [{}]}', "no_picture"),
        (b'{"data": [{"url": "", "b64_json": ""}]}', "no_picture"),
        (b'{"data": [{"url": 7}]}', "no_picture"),
        (b'{"id": "task-1", "status": "Pending"}', "no_picture"),
        (b'{"data": [{"b64_json": "not base64!"}]}', "undecodable"),
        (b'{"data": [{"b64_json": "A"}]}', "undecodable"),
        (b'{"data": [{"b64_json": "\\u00e9"}]}', "undecodable"),
        (b'{"data": [{"url": "data:image/png;base64,"}]}', "undecodable"),
        (b'{"data": [{"url": "ftp://h/x"}]}', "bad_url"),
        (b'{"data": [{"url": "file:///etc/passwd"}]}', "bad_url"),
        (b'{"data": [{"url": "https://[::1/x"}]}', "bad_url"),
        (b'{"data": [{"url": "http:///x"}]}', "bad_url"),
    ],
)
def test_anything_else_is_no_picture_and_says_why(body: bytes, kind: str) -> None:
    with pytest.raises(NoPictureError) as caught:
        read_picture(body, base_url=BASE)
    assert caught.value.kind == kind
