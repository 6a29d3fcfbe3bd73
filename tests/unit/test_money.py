"""Amounts: exact both ways, and nothing else taken for one."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.money import MAX_MICROUSD, format_usd, parse_usd


@given(st.integers(0, MAX_MICROUSD), st.integers(0, 6))
def test_what_is_written_is_read_back(microusd: int, places: int) -> None:
    assert parse_usd(format_usd(microusd, places=places)) == microusd


@given(st.integers(0, MAX_MICROUSD))
def test_an_amount_is_read_exactly_whatever_its_form(microusd: int) -> None:
    amount = Decimal(microusd).scaleb(-6)
    assert parse_usd(amount) == parse_usd(str(amount)) == parse_usd(f" {amount:e}\n") == microusd


@given(st.integers(0, 1_000_000_000))
def test_whole_dollars_are_read(dollars: int) -> None:
    assert parse_usd(dollars) == dollars * 1_000_000


@given(st.integers(0, MAX_MICROUSD - 1), st.text("0123456789", min_size=1, max_size=60))
def test_what_is_finer_than_a_micro_dollar_is_refused_and_never_rounded(microusd: int, finer: str) -> None:
    text = f"{microusd // 1_000_000}.{microusd % 1_000_000:06d}{finer}"
    if finer.strip("0"):
        with pytest.raises(ValueError, match="finer than a millionth"):
            parse_usd(text)
    else:
        assert parse_usd(text) == microusd


@given(st.integers(-MAX_MICROUSD, MAX_MICROUSD))
def test_what_is_written_is_exact(microusd: int) -> None:
    assert Decimal(format_usd(microusd)) * 1_000_000 == microusd


@pytest.mark.parametrize(
    "text", ["", "five", "$5", "5,00", "-1", "-0.000001", "nan", "sNaN", "inf", "-Infinity", "5.0.0"]
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not an amount in dollars"):
        parse_usd(text)


@pytest.mark.parametrize("text", ["1000000000.000001", "1e10", "1e999999", 10**30])
def test_more_than_a_billion_is_refused(text: str | int) -> None:
    with pytest.raises(ValueError, match="more than a billion"):
        parse_usd(text)


@pytest.mark.parametrize("text", ["0.0000001", "1e-999999"])
def test_too_fine_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="finer"):
        parse_usd(text)


def test_a_billion_is_taken() -> None:
    assert parse_usd("1000000000") == MAX_MICROUSD


@pytest.mark.parametrize(
    ("microusd", "places", "text"),
    [
        (0, 3, "0.000"),
        (35_000, 3, "0.035"),
        (35_000, 2, "0.035"),
        (5_000_000, 2, "5.00"),
        (5_000_000, 0, "5"),
        (5_500_000, 0, "5.5"),
        (1, 3, "0.000001"),
        (-35_000, 3, "-0.035"),
    ],
)
def test_an_amount_is_written_with_as_many_places_as_it_needs(microusd: int, places: int, text: str) -> None:
    assert format_usd(microusd, places=places) == text
