"""The only module that makes a picture's bytes; a recipe says everything about them, so none need be kept."""

import io
import random
from dataclasses import dataclass
from typing import Literal

from PIL import Image

from pipeline.simulator.lettering import letter
from pipeline.simulator.scenes import paint_scene

ImageFormat = Literal["jpeg", "png"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """All that decides a picture's bytes: equal recipes give equal bytes.

    Attributes:
        ratio: As it was asked, for the caption.
        width: In pixels, as drawn.
        height: In pixels, as drawn.
        input_small: A small copy of the input image, which is then what the picture shows; empty: a scene is drawn.
    """

    model: str
    prompt: str
    ratio: str
    seed: int
    safety_tolerance: int
    prompt_upsampling: bool
    width: int
    height: int
    image_format: ImageFormat
    input_small: bytes = b""


def draw_picture(recipe: Recipe) -> bytes:
    """Draw and encode a picture: some milliseconds of work, more than 100 at full size, so not for an event loop."""
    # Text seeds a Random through SHA-512, so the scene is the same on every machine, and any integer is a seed.
    asked = (recipe.model, recipe.prompt, recipe.ratio, recipe.seed, recipe.safety_tolerance, recipe.prompt_upsampling)
    source = random.Random(ascii(asked))
    size = (recipe.width, recipe.height)
    scene = _input(recipe.input_small, size) if recipe.input_small else paint_scene(size, source)
    image = letter(scene, recipe.prompt, f"{recipe.model}, {recipe.ratio}, seed {recipe.seed}")
    encoded = io.BytesIO()
    if recipe.image_format == "png":
        image.save(encoded, "PNG", compress_level=3)
    else:
        image.save(encoded, "JPEG", quality=88)
    return encoded.getvalue()


def _input(small: bytes, size: tuple[int, int]) -> Image.Image:
    with Image.open(io.BytesIO(small)) as image:
        return image.convert("RGB").resize(size, Image.Resampling.BICUBIC)
