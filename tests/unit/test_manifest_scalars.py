"""YAML 1.2's core schema, word by word."""

from decimal import Decimal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pipeline.manifest.complaints import nearest, path_text, shown
from pipeline.manifest.scalars import Plain, resolve


@pytest.mark.parametrize(
    "text", ["16:9", "no", "yes", "on", "off", "1_000", "0b1", "1e", "2026-01-01", "1:2:3", "Y", "0x", "0o8"]
)
def test_what_only_yaml_1_1_reads_stays_text(text: str) -> None:
    assert resolve(text) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("012", 12),
        ("0o17", 15),
        ("0x1F", 31),
        ("-7", -7),
        ("+7", 7),
        ("0", 0),
        ("1.10", Decimal("1.10")),
        (".5", Decimal("0.5")),
        ("1e3", Decimal(1000)),
        ("5.", Decimal(5)),
        ("-.inf", Decimal("-Infinity")),
        (".INF", Decimal("Infinity")),
    ],
)
def test_numbers(text: str, value: object) -> None:
    assert resolve(text) == value
    assert type(resolve(text)) is type(value)


def test_nan_is_a_number_that_is_none() -> None:
    value = resolve(".nan")
    assert isinstance(value, Decimal)
    assert value.is_nan()


@pytest.mark.parametrize("text", ["", "~", "null", "Null", "NULL"])
def test_nulls(text: str) -> None:
    assert resolve(text) is None
    assert Plain(text).is_null


@pytest.mark.parametrize(("text", "value"), [("true", True), ("TRUE", True), ("False", False)])
def test_switches(text: str, value: bool) -> None:
    assert resolve(text) is value


def test_a_number_of_5000_digits_stays_text() -> None:
    assert resolve("9" * 5000) == "9" * 5000


@given(st.integers(min_value=-(10**38), max_value=10**38))
def test_any_whole_number_reads_back(number: int) -> None:
    assert resolve(str(number)) == number


@given(st.text(max_size=50))
def test_any_text_resolves_to_something_and_never_fails(text: str) -> None:
    value = Plain(text).value
    assert value is None or isinstance(value, bool | int | Decimal) or value == text


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-1000, max_value=1000))
def test_a_decimal_keeps_its_digits(number: Decimal) -> None:
    assert resolve(f"{number:f}") == number
    assert yaml.safe_load(f"{number:f}") == float(number)


def test_paths_are_written_as_people_do() -> None:
    assert path_text(("jobs", 3, "vars", "a")) == "jobs[3].vars.a"


def test_the_nearest_word_is_named_only_when_it_is_near() -> None:
    assert nearest("modle", ["model", "ratio"]) == "did you mean 'model'?"
    assert nearest("zzz", ["model", "ratio"]) == ""


def test_what_is_quoted_is_short() -> None:
    assert len(shown("x" * 1_000_000)) < 70
