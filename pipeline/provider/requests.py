"""The only module that knows how a picture is asked for: a JSON body, or a form for an edit."""

import base64
import json
from collections.abc import Collection, Sequence
from typing import Any, assert_never

from pipeline.catalog import Answers, Sizes, Wire, models
from pipeline.job import InputImage, PictureRequest

#: Below the base URL.
GENERATIONS_PATH = "/images/generations"
#: Where an edit's form goes, with one image in it.
EDITS_PATH = "/images/edits"
#: The form's field, exactly: ``image[]`` is refused with "image is required" (wire facts).
IMAGE_FIELD = "image"


def request_body(
    request: PictureRequest,
    *,
    wire: Wire,
    sizes: Sizes = "size",
    ratio_models: Collection[str] = (),
    answers: Answers | None = None,
    images: Sequence[InputImage] = (),
) -> dict[str, Any]:
    """Write a request as the provider reads it; what is None is left out, ``output_format`` always there.

    Args:
        request: What is asked for: always one picture, for ``n`` above 1 is not honoured.
        wire: ``flat`` puts Flux parameters at the top level, where the provider reads them; ``extra_body`` inside a
            literal key of that name, for gateways that want it; ``both`` does both.
        sizes: How a size is written, for models that want one instead of a ratio.
        ratio_models: Models that take the ratio here all the same.
        answers: What to ask for as ``response_format``; None for nothing.
        images: The input images as they are sent: ``input_image``, ``input_image_2`` and so on, as ``data:`` URLs.

    Raises:
        ValueError: The request has input images and there are none, or the other way round. Leaving them out would pay
            for a picture nobody asked for.
    """
    _require_images(request, images)
    body: dict[str, Any] = {"model": request.model, "prompt": request.prompt, "n": 1}
    if answers is not None:
        body["response_format"] = "b64_json" if answers == "b64" else answers
    extras = flux_parameters(request, sizes=sizes, ratio_models=ratio_models)
    extras |= {name: _data_url(image) for name, image in _by_name(images).items()}
    match wire:
        case "flat":
            return body | extras
        case "extra_body":
            return body | {"extra_body": extras}
        case "both":
            return body | extras | {"extra_body": extras}
        case _:
            assert_never(wire)


def task_body(
    request: PictureRequest, *, sizes: Sizes, ratio_models: Collection[str], images: Sequence[InputImage] = ()
) -> dict[str, Any]:
    """Write a request as the vendor's own API reads it; the model stands in the address, images are plain base64.

    Raises:
        ValueError: As ``request_body``.
    """
    _require_images(request, images)
    parameters = flux_parameters(request, sizes=sizes, ratio_models=ratio_models)
    return {"prompt": request.prompt, **parameters, **{name: _base64(each) for name, each in _by_name(images).items()}}


def edit_form(request: PictureRequest, images: Sequence[InputImage], **more: Any) -> tuple[dict[str, str], InputImage]:
    """An edit as a form: its fields, and the one image that goes into IMAGE_FIELD.

    Args:
        request: What is asked for.
        images: Exactly one.
        more: As ``request_body``, without ``wire``: a form is flat.

    Raises:
        ValueError: There is not exactly one image.
    """
    if len(images) != 1:
        raise ValueError("a form has room for one input image")
    body = request_body(request, wire="flat", images=images, **more)
    del body["input_image"]
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in body.items()}, images[0]


def _require_images(request: PictureRequest, images: Sequence[InputImage]) -> None:
    wanted = 1 if request.stitch else len(request.inputs)
    if len(images) != wanted:
        raise ValueError(f"the request has {wanted} input images, not {len(images)}")


def _by_name(images: Sequence[InputImage]) -> dict[str, InputImage]:
    return {
        "input_image" if number == 1 else f"input_image_{number}": image for number, image in enumerate(images, start=1)
    }


def _data_url(image: InputImage) -> str:
    return f"data:{image.media};base64,{_base64(image)}"


def _base64(image: InputImage) -> str:
    return base64.b64encode(image.data).decode()


def flux_parameters(request: PictureRequest, *, sizes: Sizes, ratio_models: Collection[str]) -> dict[str, Any]:
    """Everything but model and prompt, as every API of these models names it; what is None is left out."""
    parameters = {
        **_shape(request, sizes, ratio_models),
        "seed": request.seed,
        "safety_tolerance": request.safety_tolerance,
        "output_format": request.output_format,
        "prompt_upsampling": request.prompt_upsampling,
    }
    return {name: value for name, value in parameters.items() if value is not None}


def _shape(request: PictureRequest, sizes: Sizes, ratio_models: Collection[str]) -> dict[str, Any]:
    """The ratio, or the nearest legal size for models that want one."""
    if request.ratio is None:
        return {}
    shape = models()[request.model].parameters.ratio if request.model in models() else None
    if shape is None or shape.step is None or request.model in ratio_models:
        return {"aspect_ratio": str(request.ratio)}
    width, height = request.ratio.size(step=shape.step, minimum=shape.minimum, maximum=shape.maximum)
    return {"width": width, "height": height} if sizes == "width_height" else {"size": f"{width}x{height}"}
