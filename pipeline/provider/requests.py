"""The only module that knows how a picture is asked for: the JSON body of ``POST /images/generations``."""

from typing import Any, assert_never

from pipeline.catalog import Wire
from pipeline.job import PictureRequest

#: Below the base URL.
GENERATIONS_PATH = "/images/generations"


def request_body(request: PictureRequest, *, wire: Wire) -> dict[str, Any]:
    """Write a request as the provider reads it; what is None is left out, ``output_format`` always there.

    Args:
        request: What is asked for: always one picture, for ``n`` above 1 is not honoured.
        wire: ``flat`` puts Flux parameters at the top level, where the provider reads them; ``extra_body`` inside a
            literal key of that name, for gateways that want it; ``both`` does both.

    Raises:
        ValueError: The request has input images. Leaving them out would pay for a picture nobody asked for.
    """
    if request.inputs:
        raise ValueError("a request with input images has no wire form yet")
    body: dict[str, Any] = {"model": request.model, "prompt": request.prompt, "n": 1}
    extras = _flux_parameters(request)
    match wire:
        case "flat":
            return body | extras
        case "extra_body":
            return body | {"extra_body": extras}
        case "both":
            return body | extras | {"extra_body": extras}
        case _:
            assert_never(wire)


def _flux_parameters(request: PictureRequest) -> dict[str, Any]:
    parameters = {
        "aspect_ratio": str(request.ratio) if request.ratio else None,
        "seed": request.seed,
        "safety_tolerance": request.safety_tolerance,
        "output_format": request.output_format,
        "prompt_upsampling": request.prompt_upsampling,
    }
    return {name: value for name, value in parameters.items() if value is not None}
