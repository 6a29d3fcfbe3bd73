"""What a request may ask: the body of a generation, checked as the provider's document says."""

import json
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from pipeline.simulator.drawing import ImageFormat
from pipeline.simulator.edits import MAX_TOLERANCE, inputs_in
from pipeline.simulator.faults import Marker, read_markers
from pipeline.simulator.refusals import RefusalError, invalid
from pipeline.simulator.settings import Wire

_NARROWEST, _WIDEST = Fraction(3, 7), Fraction(7, 3)
_RATIO = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,4})?):([0-9]{1,6}(?:\.[0-9]{1,4})?)")
_UPRIGHT = ((672, 1568), (688, 1504), (720, 1456), (752, 1392), (800, 1328), (832, 1248), (880, 1184), (944, 1104))

#: The 17 sizes the open model draws, in pixels.
SIZES: tuple[tuple[int, int], ...] = (*_UPRIGHT, (1024, 1024), *((tall, wide) for wide, tall in _UPRIGHT))

ResponseFormat = Literal["url", "b64_json"]
_FLUX = ("aspect_ratio", "size", "width", "height", "seed", "safety_tolerance", "output_format", "prompt_upsampling")
_IMAGES = ("input_image", *(f"input_image_{number}" for number in range(2, 9)))
_SIZE = re.compile(r"([1-9][0-9]{1,3})x([1-9][0-9]{1,3})")
#: A side of a picture that is asked for by its size, in pixels.
_LEAST_SIDE, _MOST_SIDE, _STEP = 64, 2048, 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One picture, as it was asked.

    Attributes:
        aspect_ratio: As written, within 3:7 to 7:3; empty where an edit follows its input.
        size: Width and height in pixels, where that was asked for instead.
        seed: None where the provider may choose.
        response_format: None where the provider may choose.
        markers: The faults the prompt asks for.
        inputs: The input images of an edit, as data or other URLs; a form's image is not among them.
    """

    model: str
    prompt: str
    aspect_ratio: str
    size: tuple[int, int] | None
    seed: int | None
    safety_tolerance: int
    output_format: ImageFormat
    prompt_upsampling: bool
    response_format: ResponseFormat | None
    markers: tuple[Marker, ...]
    inputs: tuple[str, ...] = ()


def read_order(body: bytes, wire: Wire) -> Order:
    """Read the body of a generation.

    Args:
        body: JSON, in UTF-8.
        wire: Where the Flux parameters are looked for.

    Raises:
        RefusalError: It is not JSON, or not as the document says.
    """
    return order_of(_read_object(body), wire)


def order_of(asked: dict[str, Any], wire: Wire, *, edit: bool = False) -> Order:
    """Take what was read of a body, or of a form with an image in it (``edit``).

    Raises:
        RefusalError: It is not as the document says.
    """
    if asked.get("n", 1) not in (1, None):
        raise invalid("n must be 1: one request, one image", "n")
    flux = _flux_parameters(asked, wire)
    prompt = _text(asked, "prompt")
    output_format: ImageFormat = _choice(flux, "output_format", ("jpeg", "png")) or "jpeg"
    response_format: ResponseFormat | None = _choice(asked, "response_format", ("url", "b64_json"))
    inputs = inputs_in({"model": asked.get("model"), **flux})
    tolerance = _whole_number(flux, "safety_tolerance")
    if (inputs or edit) and tolerance is not None and tolerance > MAX_TOLERANCE:
        raise invalid(f"safety_tolerance must be from 0 to {MAX_TOLERANCE} with an input image", "safety_tolerance")
    if tolerance is not None and not 0 <= tolerance <= 6:
        raise invalid("safety_tolerance must be from 0 to 6", "safety_tolerance")
    return Order(
        model=_text(asked, "model"),
        prompt=prompt,
        aspect_ratio="" if (inputs or edit) and "aspect_ratio" not in flux else _ratio(flux),
        inputs=tuple(inputs),
        size=_size(flux),
        seed=_whole_number(flux, "seed"),
        safety_tolerance=2 if tolerance is None else tolerance,
        output_format=output_format,
        prompt_upsampling=_switch(flux, "prompt_upsampling"),
        response_format=response_format,
        markers=_markers(prompt),
    )


def size_of(aspect_ratio: str) -> tuple[int, int]:
    """The nearest of SIZES to a ratio that has been checked; width and height in pixels."""
    wide, _, tall = aspect_ratio.partition(":")
    value = Fraction(wide) / Fraction(tall)
    return min(SIZES, key=lambda size: abs(Fraction(*size) / value - 1))


def _read_object(body: bytes) -> dict[str, Any]:
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        raise RefusalError(400, "We could not parse the JSON body of your request") from None
    if not isinstance(asked, dict):
        raise RefusalError(400, "The JSON body of the request must be an object")
    return asked


def _flux_parameters(asked: dict[str, Any], wire: Wire) -> dict[str, Any]:
    """Those that are set, from where this provider looks for them; null is as good as absent."""
    nested = asked.get("extra_body")
    inside = nested if isinstance(nested, dict) and wire != "flat" else {}
    outside = asked if wire != "extra_body" else {}
    merged = inside | {name: value for name, value in outside.items() if value is not None}
    return {name: merged[name] for name in (*_FLUX, *_IMAGES) if merged.get(name) is not None}


def _text(asked: dict[str, Any], name: str) -> str:
    value = asked.get(name)
    if not isinstance(value, str) or not value.strip():
        raise invalid(f"{name} is required and must be a text that is not empty", name)
    return value


def _ratio(flux: dict[str, Any]) -> str:
    text = flux.get("aspect_ratio", "1:1")
    match = _RATIO.fullmatch(text) if isinstance(text, str) else None
    if match is None or Fraction(match[2]) == 0:
        raise invalid("aspect_ratio must be of the form W:H", "aspect_ratio")
    if not _NARROWEST <= Fraction(match[1]) / Fraction(match[2]) <= _WIDEST:
        raise invalid("aspect_ratio must be from 3:7 to 7:3", "aspect_ratio")
    return match[0]


def _size(flux: dict[str, Any]) -> tuple[int, int] | None:
    """What ``size``, or ``width`` and ``height``, ask for; None where neither is there."""
    text = flux.get("size")
    if text is not None:
        match = _SIZE.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            raise invalid("size must be of the form WIDTHxHEIGHT", "size")
        sides = int(match[1]), int(match[2])
    else:
        width, height = _whole_number(flux, "width"), _whole_number(flux, "height")
        if width is None and height is None:
            return None
        sides = width or 1024, height or 1024
    if any(not _LEAST_SIDE <= side <= _MOST_SIDE or side % _STEP for side in sides):
        raise invalid(f"sizes must be multiples of {_STEP} from {_LEAST_SIDE} to {_MOST_SIDE}", "size")
    return sides


def _whole_number(flux: dict[str, Any], name: str) -> int | None:
    value = flux.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise invalid(f"{name} must be an integer", name)
    return value


def _choice(asked: dict[str, Any], name: str, choices: tuple[str, ...]) -> Any:
    value = asked.get(name)
    if value is not None and value not in choices:
        raise invalid(f"{name} must be one of {', '.join(choices)}", name)
    return value


def _switch(flux: dict[str, Any], name: str) -> bool:
    value = flux.get(name, False)
    if not isinstance(value, bool):
        raise invalid(f"{name} must be true or false", name)
    return value


def _markers(prompt: str) -> tuple[Marker, ...]:
    try:
        return read_markers(prompt)
    except ValueError as exc:
        raise invalid(str(exc), "prompt") from None
