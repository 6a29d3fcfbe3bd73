"""How long a provider wants to be left alone."""

import pytest

from pipeline.provider.waits import Allowance, allowance, retry_after_s, should_retry

WALL = 1_750_000_000.0  # Sun, 15 Jun 2025 15:06:40 GMT


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "Sun, 15 Jun 2025 15:07:10 GMT"}, 30.0),
        ({"retry-after": "Sun, 15 Jun 2025 15:00:00 GMT"}, 0.0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
    ],
)
def test_the_wait_is_read_as_seconds_milliseconds_or_a_date(headers: dict[str, str], wait_s: float | None) -> None:
    assert retry_after_s(headers, wall=WALL) == wait_s


@pytest.mark.parametrize(
    ("value", "said"), [("true", True), ("false", False), (" True ", True), ("maybe", None), ("", None)]
)
def test_x_should_retry_is_true_false_or_nothing(value: str, said: bool | None) -> None:
    assert should_retry({"x-should-retry": value}) is said


@pytest.mark.parametrize(
    ("reset", "reset_s"),
    [
        ("6m0s", 360.0),
        ("12ms", 0.012),
        ("1s", 1.0),
        ("1h2m3.5s", 3723.5),
        ("1d", 86_400.0),
        (" 20S ", 20.0),
        ("59", 59.0),
        ("", None),
        ("soon", None),
        ("6m and more", None),
        ("-1s", None),
    ],
)
def test_a_reset_is_read_as_a_span(reset: str, reset_s: float | None) -> None:
    headers = {"x-ratelimit-limit-requests": "60", "x-ratelimit-reset-requests": reset}
    assert allowance(headers) == Allowance(limit=60.0, remaining=None, reset_s=reset_s)


@pytest.mark.parametrize("limit", ["", "0", "-5", "nan", "many"])
def test_an_allowance_without_a_limit_is_none(limit: str) -> None:
    assert allowance({"x-ratelimit-limit-requests": limit, "x-ratelimit-remaining-requests": "3"}) is None
    assert allowance({}) is None


def test_what_is_left_is_read() -> None:
    headers = {"x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": "59"}
    assert allowance(headers) == Allowance(limit=60.0, remaining=59.0)
