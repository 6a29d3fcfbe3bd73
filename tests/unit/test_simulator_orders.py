"""What a request may ask."""

import json
from fractions import Fraction
from typing import Any

import pytest

from pipeline.simulator.orders import SIZES, Order, read_order, size_of
from pipeline.simulator.refusals import RefusalError
from pipeline.simulator.settings import Wire


def read(wire: Wire = "flat", **asked: Any) -> Order:
    return read_order(json.dumps({"model": "flux-kontext-pro", "prompt": "a cat", **asked}).encode(), wire)


def param_of(refused: pytest.ExceptionInfo[RefusalError]) -> object:
    return refused.value.body["error"]["param"]


def test_the_defaults_are_the_documents() -> None:
    order = read()
    assert (order.aspect_ratio, order.seed, order.safety_tolerance) == ("1:1", None, 2)
    assert (order.output_format, order.prompt_upsampling, order.response_format) == ("jpeg", False, None)


def test_everything_can_be_asked() -> None:
    order = read(
        aspect_ratio="16:9",
        seed=-5,
        safety_tolerance=6,
        output_format="png",
        prompt_upsampling=True,
        n=1,
        response_format="b64_json",
    )
    assert (order.aspect_ratio, order.seed, order.safety_tolerance) == ("16:9", -5, 6)
    assert (order.output_format, order.prompt_upsampling, order.response_format) == ("png", True, "b64_json")


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b'{"seed": ' + b"9" * 5000 + b"}", b"[]", b"1"])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(RefusalError) as refused:
        read_order(body, "flat")
    assert refused.value.status == 400


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("prompt", ""),
        ("prompt", " \n"),
        ("prompt", 5),
        ("prompt", "a [fault:nonsense]"),
        ("model", None),
        ("n", 2),
        ("aspect_ratio", "16x9"),
        ("aspect_ratio", "3:8"),
        ("aspect_ratio", "7.01:3"),
        ("aspect_ratio", "1:0"),
        ("aspect_ratio", 1.5),
        ("aspect_ratio", "٣:٣"),
        ("size", "1024"),
        ("size", "1024x1000"),
        ("size", "48x1024"),
        ("size", [1024, 1024]),
        ("seed", "5"),
        ("seed", 5.0),
        ("seed", True),
        ("safety_tolerance", 7),
        ("safety_tolerance", -1),
        ("output_format", "webp"),
        ("output_format", []),
        ("prompt_upsampling", "yes"),
        ("response_format", "png"),
    ],
)
def test_a_parameter_that_is_off_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(RefusalError) as refused:
        read(**{name: value})
    assert refused.value.status == 400
    assert param_of(refused) == name


@pytest.mark.parametrize("ratio", ["3:7", "7:3", "21:9", "1.91:1"])
def test_the_range_of_ratios_includes_its_ends(ratio: str) -> None:
    assert read(aspect_ratio=ratio).aspect_ratio == ratio


@pytest.mark.parametrize(("wire", "seed"), [("flat", 1), ("extra_body", 2), ("both", 1)])
def test_flux_parameters_are_found_where_the_wire_says(wire: Wire, seed: int) -> None:
    assert read(wire, seed=1, extra_body={"seed": 2}).seed == seed


def test_a_literal_extra_body_is_ignored_without_a_word_by_a_flat_wire() -> None:
    assert read(extra_body={"aspect_ratio": "nonsense"}).aspect_ratio == "1:1"


def test_flat_parameters_are_ignored_without_a_word_by_a_nested_wire() -> None:
    assert read("extra_body", aspect_ratio="nonsense").aspect_ratio == "1:1"


def test_both_take_what_either_has() -> None:
    assert read("both", seed=None, extra_body={"seed": 2}).seed == 2


def test_an_extra_body_that_is_no_object_is_ignored() -> None:
    assert read("both", extra_body="seed").seed is None


def test_there_are_17_sizes_of_16_pixel_blocks() -> None:
    assert len(set(SIZES)) == 17
    assert all(wide % 16 == tall % 16 == 0 for wide, tall in SIZES)


@pytest.mark.parametrize(
    ("ratio", "size"),
    [
        ("1:1", (1024, 1024)),
        ("16:9", (1392, 752)),
        ("9:16", (752, 1392)),
        ("5:4", (1104, 944)),
        ("4:3", (1184, 880)),
        ("3:7", (672, 1568)),
        ("7:3", (1568, 672)),
        ("1.91:1", (1392, 752)),
    ],
)
def test_the_nearest_size_is_drawn(ratio: str, size: tuple[int, int]) -> None:
    assert size_of(ratio) == size


def test_every_size_is_within_8_percent_of_what_was_asked() -> None:
    for wide in range(30, 71):
        for tall in range(30, 71):
            got = Fraction(*size_of(f"{wide}:{tall}"))
            assert abs(got / Fraction(wide, tall) - 1) < Fraction(8, 100)


def test_a_size_can_be_asked_instead_of_a_ratio() -> None:
    assert read(size="1280x720").size == (1280, 720)
    assert read(width=736, height=1312).size == (736, 1312)
    assert read(width=1280).size == (1280, 1024)
    assert read().size is None
