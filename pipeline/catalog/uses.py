"""Named uses: a word for a ratio. Reads ``uses.toml``."""

import tomllib
from functools import cache
from importlib.resources import files

from pipeline.ratio import Ratio, parse_ratio


@cache
def uses() -> dict[str, Ratio]:
    """Every named use and its ratio, in the order of the file: the document's first."""
    table = tomllib.loads(files("pipeline.catalog").joinpath("uses.toml").read_text("utf-8"))
    return {name: parse_ratio(text) for name, text in table.items()}
