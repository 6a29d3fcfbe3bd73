"""By what a picture can be asked for again."""

import pytest

from pipeline.inputs.validators import Validators

DATE = "Wed, 21 Oct 2015 07:29:00 GMT"
MINUTE_AGO = "Wed, 21 Oct 2015 07:28:00 GMT"
JUST_NOW = "Wed, 21 Oct 2015 07:28:59 GMT"


@pytest.mark.parametrize(
    ("headers", "conditions"),
    [
        ({"etag": '"a"'}, {"If-None-Match": '"a"'}),
        ({"etag": 'W/"a"', "last-modified": MINUTE_AGO, "date": DATE}, {"If-None-Match": 'W/"a"'}),
        ({"last-modified": MINUTE_AGO, "date": DATE}, {"If-Modified-Since": MINUTE_AGO}),
        ({"etag": "unquoted", "last-modified": MINUTE_AGO, "date": DATE}, {"If-Modified-Since": MINUTE_AGO}),
    ],
)
def test_marks_are_read(headers: dict[str, str], conditions: dict[str, str]) -> None:
    found = Validators.of(headers)
    assert found is not None
    assert found.conditions == conditions


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"etag": "a"},
        {"etag": '"a" "b"'},
        {"etag": f'"{"a" * 201}"'},
        {"etag": '"a"', "cache-control": "private, No-Store"},
        {"last-modified": MINUTE_AGO},
        {"last-modified": JUST_NOW, "date": DATE},
        {"last-modified": "yesterday", "date": DATE},
        {"last-modified": "Wed, 21 Oct 2015 07:28:00", "date": DATE},
    ],
)
def test_what_cannot_be_trusted_is_not_asked_by(headers: dict[str, str]) -> None:
    assert Validators.of(headers) is None


def test_a_304_may_name_the_mark_weakly_or_not_at_all() -> None:
    kept = Validators(etag='"a"')
    assert kept.meant_by({})
    assert kept.meant_by({"etag": 'W/"a"'})
    assert not kept.meant_by({"etag": '"b"'})
