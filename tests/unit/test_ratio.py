"""Ratios: exact comparison, the range's two ends, and the size that is to be expected."""

from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline.ratio import LEAST_AREA, MEGAPIXEL, NARROWEST, SIZES, TOLERANCE, WIDEST, Ratio, parse_ratio

SIDES = st.integers(1, 999_999)


@st.composite
def ratios(draw: st.DrawFn) -> Ratio:
    """Any ratio of the range, however large its sides."""
    height = draw(SIDES)
    width = draw(st.integers(max(1, -(-3 * height // 7)), max(1, 7 * height // 3)))
    assume(width <= 999_999)
    ratio = Ratio(width, height)
    assume(NARROWEST <= ratio.value <= WIDEST)
    return ratio


@given(ratios())
def test_what_is_written_is_read_back_as_it_was_written(ratio: Ratio) -> None:
    read = parse_ratio(str(ratio))
    assert (read.width, read.height) == (ratio.width, ratio.height)


@given(SIDES, SIDES, SIDES, SIDES)
def test_comparison_is_exact(a: int, b: int, c: int, d: int) -> None:
    one, other = Ratio(a, b), Ratio(c, d)
    assert (one == other) is (a * d == c * b)
    assert (one < other) is (a * d < c * b)
    assert (one >= other) is (a * d >= c * b)


@given(SIDES, SIDES, st.integers(1, 1_000))
def test_equal_ratios_hash_alike_and_reduce_alike(width: int, height: int, factor: int) -> None:
    one, other = Ratio(width, height), Ratio(width * factor, height * factor)
    assert one == other
    assert hash(one) == hash(other)
    assert one.reduced == other.reduced


def test_ratios_that_floats_cannot_tell_apart_differ() -> None:
    one, other = Ratio(10**17 + 1, 10**17), Ratio(1, 1)
    assert one.width / one.height == 1.0
    assert one > other


@given(ratios())
def test_the_expected_size_always_fits(ratio: Ratio) -> None:
    assert ratio.expected_size in SIZES
    assert ratio.fits(*ratio.expected_size)


@given(ratios())
def test_no_size_is_nearer_than_the_expected_one(ratio: Ratio) -> None:
    nearest = min(abs(Fraction(*size) / ratio.value - 1) for size in SIZES)
    assert abs(Fraction(*ratio.expected_size) / ratio.value - 1) == nearest


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1:1", (1024, 1024)),
        ("16:9", (1392, 752)),
        ("9:16", (752, 1392)),
        ("4:3", (1184, 880)),
        ("5:4", (1104, 944)),
        ("3:7", (672, 1568)),
        ("21:9", (1568, 672)),
        ("2:3", (832, 1248)),
    ],
)
def test_the_sizes_that_the_provider_really_sends(text: str, size: tuple[int, int]) -> None:
    assert parse_ratio(text).expected_size == size


def test_the_sizes_are_the_models() -> None:
    assert len(set(SIZES)) == 17
    assert {(height, width) for width, height in SIZES} == set(SIZES)
    assert all(width % 16 == height % 16 == 0 for width, height in SIZES)
    assert list(SIZES) == sorted(SIZES)


def test_the_tolerance_is_inclusive_either_way() -> None:
    square = Ratio(1, 1)
    assert Fraction(8, 100) == TOLERANCE
    assert square.fits(108, 100)
    assert square.fits(92, 100)
    assert not square.fits(1081, 1000)
    assert not square.fits(919, 1000)


def test_a_picture_lying_on_its_side_does_not_fit() -> None:
    assert not Ratio(16, 9).fits(752, 1392)


def test_a_ratio_is_no_number() -> None:
    assert Ratio(1, 1) != 1
    assert Ratio(1, 1) != "1:1"


@pytest.mark.parametrize(
    ("text", "width", "height"),
    [("16:9", 16, 9), ("21:9", 21, 9), (" 1:1\n", 1, 1), ("1.91:1", 191, 100), ("2.0:1.0", 2, 1), ("3:7", 3, 7)],
)
def test_what_people_write_is_read(text: str, width: int, height: int) -> None:
    ratio = parse_ratio(text)
    assert (ratio.width, ratio.height) == (width, height)


@pytest.mark.parametrize("text", ["", "16", "16x9", "16/9", "16:9:1", "-16:9", "16: 9", "a:b", "1e3:1", ".5:1"])
def test_what_is_no_ratio_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a ratio"):
        parse_ratio(text)


@pytest.mark.parametrize("text", ["1234567:1", "1.23456:1", "2.3333333333:1", "1:1.00000"])
def test_more_digits_than_are_read_say_so(text: str) -> None:
    with pytest.raises(ValueError, match="has more than 4 decimals, or 6 digits before them"):
        parse_ratio(text)


@pytest.mark.parametrize("text", ["1:0", "1:0.0"])
def test_a_side_of_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="neither side may be 0"):
        parse_ratio(text)


@pytest.mark.parametrize("text", ["0:1", "2:5", "5:2", "299999:700000", "7.0001:3"])
def test_what_the_models_do_not_draw_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="outside the range"):
        parse_ratio(text)


@pytest.mark.parametrize("text", ["3:7", "7:3", "21:9", "9:21", "300000:700000"])
def test_both_ends_of_the_range_are_taken(text: str) -> None:
    assert parse_ratio(text).value in {NARROWEST, WIDEST}


@given(ratios(), st.sampled_from([(16, 64, 2048), (32, 256, 1440)]))
def test_a_size_is_legal_within_a_megapixel_and_of_the_shape(ratio: Ratio, rule: tuple[int, int, int]) -> None:
    step, minimum, maximum = rule
    width, height = ratio.size(step=step, minimum=minimum, maximum=maximum)
    assert width % step == height % step == 0
    assert min(width, height) >= minimum
    assert max(width, height) <= maximum
    assert LEAST_AREA <= width * height <= MEGAPIXEL
    assert ratio.fits(width, height)
    assert Ratio(ratio.height, ratio.width).size(step=step, minimum=minimum, maximum=maximum) == (height, width)
