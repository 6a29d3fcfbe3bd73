"""The body of a request, row by row of the wire facts."""

from dataclasses import replace
from typing import Any

import pytest

from pipeline.catalog import Wire
from pipeline.job import InputImage, PictureRequest, Stitch
from pipeline.provider import request_body
from pipeline.provider.requests import edit_form, task_body
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


IMAGE = InputImage(data=b"one", media="image/png")
EDIT = replace(BARE, inputs=("0" * 64, "1" * 64))


def test_input_images_are_data_urls_and_are_numbered_from_the_second() -> None:
    body = request_body(EDIT, wire="flat", images=(IMAGE, InputImage(data=b"two", media="image/jpeg")))
    assert body["input_image"] == "data:image/png;base64,b25l"
    assert body["input_image_2"] == "data:image/jpeg;base64,dHdv"
    assert "input_image_1" not in body


def test_the_vendors_own_api_has_images_as_plain_base64() -> None:
    request = replace(EDIT, inputs=EDIT.inputs[:1])
    assert task_body(request, sizes="size", ratio_models=(), images=[IMAGE])["input_image"] == "b25l"
    with pytest.raises(ValueError):
        task_body(request, sizes="size", ratio_models=())


def test_a_form_has_texts_and_one_image() -> None:
    request = replace(FULL, inputs=EDIT.inputs, stitch=Stitch())
    fields, image = edit_form(request, [IMAGE])
    assert image is IMAGE
    assert fields["prompt_upsampling"] == "false"
    assert fields["seed"] == "0"
    assert fields["prompt"] == "A cat"
    assert "input_image" not in fields
    with pytest.raises(ValueError):
        edit_form(EDIT, [IMAGE, IMAGE])


@pytest.mark.parametrize(("request_", "images"), [(EDIT, ()), (EDIT, (IMAGE,)), (BARE, (IMAGE,))])
def test_input_images_are_never_dropped(request_: PictureRequest, images: tuple[InputImage, ...]) -> None:
    """Dropping them would pay for a picture nobody asked for."""
    with pytest.raises(ValueError):
        request_body(request_, wire="flat", images=images)


def _shaped(model: str, **more: Any) -> dict[str, Any]:
    request = PictureRequest(model=model, prompt="A cat", ratio=Ratio(16, 9))
    body = request_body(request, wire="flat", **more)
    return {name: value for name, value in body.items() if name in {"aspect_ratio", "size", "width", "height"}}


def test_a_model_that_wants_a_size_is_asked_for_the_nearest_legal_one() -> None:
    assert _shaped("flux-2-pro") == {"size": "1280x720"}
    assert _shaped("flux-pro-1.1") == {"size": "1312x736"}
    assert _shaped("flux-2-pro", sizes="width_height") == {"width": 1280, "height": 720}


def test_a_provider_may_take_the_ratio_where_others_want_a_size() -> None:
    assert _shaped("flux-pro-1.1-ultra", ratio_models={"flux-pro-1.1-ultra"}) == {"aspect_ratio": "16:9"}
    assert _shaped("flux-kontext-pro", sizes="width_height") == {"aspect_ratio": "16:9"}


def test_a_provider_may_be_asked_for_a_form_of_answer() -> None:
    assert request_body(BARE, wire="extra_body", answers="b64")["response_format"] == "b64_json"
