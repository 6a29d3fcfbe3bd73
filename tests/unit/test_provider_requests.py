"""The body of a request, row by row of the wire facts."""

from typing import Any

import pytest

from pipeline.catalog import Wire
from pipeline.job import PictureRequest
from pipeline.provider import request_body
from pipeline.ratio import Ratio

FULL = PictureRequest(
    model="flux-kontext-pro",
    prompt="A cat",
    ratio=Ratio(21, 9),
    seed=0,
    output_format="png",
    safety_tolerance=0,
    prompt_upsampling=False,
)
BARE = PictureRequest(model="flux-kontext-max", prompt="A cat", ratio=None)
EXTRAS: dict[str, Any] = {
    "aspect_ratio": "21:9",
    "seed": 0,
    "safety_tolerance": 0,
    "output_format": "png",
    "prompt_upsampling": False,
}
CORE: dict[str, Any] = {"model": "flux-kontext-pro", "prompt": "A cat", "n": 1}


@pytest.mark.parametrize(
    ("wire", "body"),
    [
        ("flat", CORE | EXTRAS),
        ("extra_body", CORE | {"extra_body": EXTRAS}),
        ("both", CORE | EXTRAS | {"extra_body": EXTRAS}),
    ],
)
def test_parameters_travel_where_the_provider_wants_them(wire: Wire, body: dict[str, Any]) -> None:
    assert request_body(FULL, wire=wire) == body


def test_what_is_none_is_left_out_and_the_format_is_always_there() -> None:
    assert request_body(BARE, wire="flat") == {
        "model": "flux-kontext-max",
        "prompt": "A cat",
        "n": 1,
        "output_format": "jpeg",
    }


def test_input_images_are_refused_rather_than_dropped() -> None:
    """Dropping them would pay for a picture nobody asked for."""
    request = PictureRequest(model="m", prompt="p", ratio=None, inputs=("0" * 64,))
    with pytest.raises(ValueError):
        request_body(request, wire="flat")
