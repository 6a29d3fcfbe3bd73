"""The only module that knows how a picture is asked for: the JSON body of ``POST /images/generations``."""

from collections.abc import Collection
from typing import Any, assert_never

from pipeline.catalog import Answers, Sizes, Wire, models
from pipeline.job import PictureRequest

#: Below the base URL.
GENERATIONS_PATH = "/images/generations"


def request_body(
    request: PictureRequest,
    *,
    wire: Wire,
    sizes: Sizes = "size",
    ratio_models: Collection[str] = (),
    answers: Answers | None = None,
) -> dict[str, Any]:
    """Write a request as the provider reads it; what is None is left out, ``output_format`` always there.

    Args:
        request: What is asked for: always one picture, for ``n`` above 1 is not honoured.
        wire: ``flat`` puts Flux parameters at the top level, where the provider reads them; ``extra_body`` inside a
            literal key of that name, for gateways that want it; ``both`` does both.
        sizes: How a size is written, for models that want one instead of a ratio.
        ratio_models: Models that take the ratio here all the same.
        answers: What to ask for as ``response_format``; None for nothing.

    Raises:
        ValueError: The request has input images. Leaving them out would pay for a picture nobody asked for.
    """
    if request.inputs:
        raise ValueError("a request with input images has no wire form yet")
    body: dict[str, Any] = {"model": request.model, "prompt": request.prompt, "n": 1}
    if answers is not None:
        body["response_format"] = "b64_json" if answers == "b64" else answers
    extras = flux_parameters(request, sizes=sizes, ratio_models=ratio_models)
    match wire:
        case "flat":
            return body | extras
        case "extra_body":
            return body | {"extra_body": extras}
        case "both":
            return body | extras | {"extra_body": extras}
        case _:
            assert_never(wire)


def task_body(request: PictureRequest, *, sizes: Sizes, ratio_models: Collection[str]) -> dict[str, Any]:
    """Write a request as the vendor's own API reads it; the model stands in the address.

    Raises:
        ValueError: The request has input images. Leaving them out would pay for a picture nobody asked for.
    """
    if request.inputs:
        raise ValueError("a request with input images has no wire form yet")
    return {"prompt": request.prompt, **flux_parameters(request, sizes=sizes, ratio_models=ratio_models)}


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
