"""Pictures: right, repeatable, and whatever text comes."""

import io
from dataclasses import replace

import pytest
from PIL import Image

from pipeline.simulator.drawing import ImageFormat, Recipe, draw_picture

RECIPE = Recipe(
    model="flux-kontext-pro",
    prompt="A beautiful sunset over mountains",
    ratio="3:2",
    seed=42,
    safety_tolerance=2,
    prompt_upsampling=False,
    width=156,
    height=104,
    image_format="jpeg",
)


def opened(picture: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(picture))
    image.load()
    return image


@pytest.mark.parametrize("image_format", ["jpeg", "png"])
def test_a_picture_has_the_format_and_size_of_its_recipe(image_format: ImageFormat) -> None:
    image = opened(draw_picture(replace(RECIPE, image_format=image_format)))
    assert (image.format, image.size, image.mode) == (image_format.upper(), (156, 104), "RGB")


def test_equal_recipes_give_equal_bytes() -> None:
    assert draw_picture(RECIPE) == draw_picture(replace(RECIPE))


@pytest.mark.parametrize(
    "other",
    [
        replace(RECIPE, seed=43),
        replace(RECIPE, prompt="A cat"),
        replace(RECIPE, model="flux-kontext-max"),
        replace(RECIPE, safety_tolerance=3),
        replace(RECIPE, prompt_upsampling=True),
    ],
)
def test_another_parameter_gives_another_picture(other: Recipe) -> None:
    assert draw_picture(other) != draw_picture(RECIPE)


@pytest.mark.parametrize("size", [(98, 42), (42, 98), (128, 128), (336, 784)])
@pytest.mark.parametrize(
    "prompt",
    [
        "x" * 700,
        "many words " * 200,
        "日本庭園の桜" * 40,
        "Café “naïve” — Ω",
        "\ud800 \x00\t\n",
        "a" * 30 + " b " + "c" * 90,
    ],
)
def test_any_text_is_drawn(prompt: str, size: tuple[int, int]) -> None:
    image = opened(draw_picture(replace(RECIPE, prompt=prompt, width=size[0], height=size[1])))
    assert image.size == size


def test_the_text_is_light_on_dark() -> None:
    """The letters reach white, and what surrounds them stays far from it."""
    image = opened(draw_picture(replace(RECIPE, width=624, height=416, image_format="png"))).convert("L")
    lower = image.crop((0, 208, 624, 416)).histogram()
    assert sum(lower[245:]) > 300
    assert sum(lower[:160]) > sum(lower) * 0.7


def test_scenes_vary_with_the_seed() -> None:
    """Above the text, too: the caption alone would tell seeds apart."""
    recipes = [replace(RECIPE, seed=seed, image_format="png") for seed in range(12)]
    skies = {opened(draw_picture(recipe)).crop((0, 0, 156, 20)).tobytes() for recipe in recipes}
    assert len(skies) == 12


@pytest.mark.parametrize("seed", [0, -1, 2**70])
def test_any_whole_number_is_a_seed(seed: int) -> None:
    opened(draw_picture(replace(RECIPE, seed=seed)))
