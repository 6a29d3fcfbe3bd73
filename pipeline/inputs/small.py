"""Small copies of input images, for the report: it knows inputs by their digests, and not where they were."""

import contextlib
import secrets
from pathlib import Path

from PIL import Image

#: In the output folder, with those of the pictures themselves: a copy is named by what it is of.
FOLDER = ".thumbnails"
#: The longer side of a small copy, in pixels: twice what a tile of the report's grid shows, for dense screens.
SIDE_PX = 480
QUALITY = 72


def keep_small(output: Path, sha256: str, image: Image.Image) -> None:
    """Keep a small copy of an image that is decoded already, if there is none; where that cannot be, there is none."""
    folder = output / FOLDER
    place = folder / f"{sha256}.webp"
    part = folder / f".{secrets.token_hex(8)}.webp"
    with contextlib.suppress(OSError, ValueError):
        if place.exists() or folder.is_symlink():  # nobody's way into another folder
            return
        folder.mkdir(parents=True, exist_ok=True)
        small = image.copy()
        small.thumbnail((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
        try:
            small.save(part, "WEBP", quality=QUALITY, method=2)
            part.replace(place)
        finally:
            part.unlink(missing_ok=True)
