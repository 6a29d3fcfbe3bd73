"""Models: what each takes and costs. Reads ``models.toml``."""

import tomllib
from functools import cache
from importlib.resources import files
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from pipeline.catalog.amounts import Usd


class _Data(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class Choice(_Data):
    """A parameter with named values."""

    choices: tuple[Literal["jpeg", "png"], ...] = Field(strict=False)
    default: Literal["jpeg", "png"]


class WholeNumber(_Data):
    """A parameter that is a whole number, both bounds included."""

    minimum: int
    maximum: int
    default: int | None = None


class Switch(_Data):
    """A parameter that is on or off."""

    default: bool


class Shape(_Data):
    """The aspect ratio, within the range of ``pipeline.ratio``; with a step, it is asked for as a size.

    Attributes:
        step: Both sides are multiples of it, in pixels; None where the model takes the ratio itself.
        minimum: Of each side, in pixels.
        maximum: Of each side, in pixels.
    """

    default: str
    step: int | None = Field(None, ge=1, le=64)
    minimum: int = Field(64, ge=16, le=4096)
    maximum: int = Field(2048, ge=16, le=4096)


class Parameters(_Data):
    """What a model takes, by the manifest's key; None where it does not take it.

    Attributes:
        images: How many input images an edit may have; 0 where the model only draws.
        edit_safety_tolerance: The most an edit may ask for, where that is less than for a generation.
    """

    ratio: Shape | None = None
    seed: WholeNumber | None = None
    safety_tolerance: WholeNumber | None = None
    format: Choice
    prompt_upsampling: Switch | None = None
    images: int = Field(0, ge=0, le=8)
    edit_safety_tolerance: int | None = Field(None, ge=0)


class ModelSpec(_Data):
    """One model.

    Attributes:
        official_usd: Micro-dollars a picture at the model's vendor, or None where no price is published.
        first_byte_s: The longest wait, in seconds, for the first byte of an answer.
        typical_s: What a picture usually takes, in seconds; for estimates only.
    """

    id: str
    title: str
    official_usd: Usd | None = None
    best_for: str
    first_byte_s: float = Field(gt=0, strict=False)
    typical_s: float = Field(gt=0, strict=False)
    parameters: Parameters


@cache
def models() -> dict[str, ModelSpec]:
    """Every model of the catalog by its id, in the order of the file."""
    table = tomllib.loads(files("pipeline.catalog").joinpath("models.toml").read_text("utf-8"))
    return {name: ModelSpec.model_validate({"id": name, **entry}) for name, entry in table.items()}
