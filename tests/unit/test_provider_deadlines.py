"""When a URL dies."""

import pytest

from pipeline.provider.deadlines import deadline_of

ANSWERED = 1_750_000_000.0  # 2025-06-15T15:06:40Z
WINDOW = 600.0


def _deadline(query: str = "", *, created: float | None = None) -> float:
    return deadline_of(f"https://h/x.png?{query}", answered_at=ANSWERED, created=created, window_s=WINDOW) - ANSWERED


def test_by_itself_the_window_counts_from_the_answer() -> None:
    assert _deadline() == 600


@pytest.mark.parametrize(
    ("created", "left"),
    [
        (ANSWERED - 10, 590),
        (ANSWERED - 599, 1),
        (ANSWERED + 3600, 600),  # in the future
        (ANSWERED - 600, 600),  # would be dead on arrival
        (ANSWERED - 90_000, 600),  # older than a day
        (0.0, 600),
        (ANSWERED * 1000, 600),  # milliseconds
        (-1e14, 600),
    ],
)
def test_created_counts_unless_it_is_absurd(created: float, left: float) -> None:
    assert _deadline(created=created) == left


@pytest.mark.parametrize(
    ("query", "left"),
    [
        ("sv=1&se=2025-06-15T15%3A10%3A00Z&sig=x", 200),
        ("SE=2025-06-15T15:10:00Z", 200),
        ("se=2025-06-15T15:10:00", 200),
        ("X-Amz-Date=20250615T150640Z&X-Amz-Expires=300", 300),
        ("x-amz-date=20250615T150540Z&x-amz-expires=300", 240),
        ("X-Goog-Date=20250615T150640Z&X-Goog-Expires=120", 120),
        ("Expires=1750000100&Signature=x", 100),
        ("Expires=1750000100&se=2025-06-15T15:07:00Z", 20),
    ],
)
def test_a_signed_url_says_itself_when_it_dies(query: str, left: float) -> None:
    assert _deadline(query) == left


@pytest.mark.parametrize(
    "query",
    [
        "se=tomorrow",
        "se=",
        "se=2025-06-15T15:00:00Z",  # before the answer: a wrong clock, so the URL is tried
        "se=9999-12-31T23:59:59Z",
        "Expires=soon",
        "Expires=-1",
        "Expires=0",
        "Expires=1750000100000",  # milliseconds
        "X-Amz-Date=20250615T150640Z",
        "X-Amz-Expires=60",
        "X-Amz-Date=yesterday&X-Amz-Expires=60",
        "X-Amz-Date=20250615T150640Z&X-Amz-Expires=-60",
        "X-Goog-Date=20200615T150640Z&X-Goog-Expires=60",
    ],
)
def test_a_word_that_cannot_be_true_is_left_out(query: str) -> None:
    assert _deadline(query) == 600


def test_the_earliest_of_all_counts() -> None:
    assert _deadline("Expires=1750000100", created=ANSWERED - 550) == 50
    assert _deadline("Expires=1750000040", created=ANSWERED - 550) == 40
