"""Small copies of the pictures, made once for each digest and kept in a folder of their own."""

import base64
import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from pipeline.inputs import small
from pipeline.ledger import Shown
from pipeline.report.page.writing import put

#: The folder in the output folder.
FOLDER = small.FOLDER
#: A page carries its small copies within itself while they are few, so that it can be moved alone.
EMBEDDED_MOST = 240
EMBEDDED_BYTES = 6 * 1024 * 1024
#: Nothing larger was ever stored; a file that was changed since is not worth decoding.
_MOST_PIXELS = 50_000_000
_FORMATS = ("JPEG", "PNG", "WEBP")
_THREADS = min(4, os.cpu_count() or 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A picture to be made small."""

    sha256: str
    file: Path
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Thumbnails:
    """The small copies that are there.

    Attributes:
        made: The digests of their pictures, in no order.
        order: The same, as they came.
    """

    folder: Path
    order: tuple[str, ...] = ()
    made: frozenset[str] = field(default_factory=frozenset)

    def embedded(self) -> dict[str, str]:
        """Each as a ``data:`` address, by digest; none where they are many or large."""
        if len(self.order) > EMBEDDED_MOST:
            return {}
        found, total = {}, 0
        for sha256 in self.order:
            with suppress(OSError):
                data = (self.folder / f"{sha256}.webp").read_bytes()
                total += len(data)
                found[sha256] = f"data:image/webp;base64,{base64.b64encode(data).decode()}"
        return found if total <= EMBEDDED_BYTES else {}


def sources(rows: Iterable[Shown], file_of: Callable[[str], Path]) -> list[Source]:
    """Each stored picture once, in the order of the rows.

    Args:
        file_of: Where a recorded path is.
    """
    found = {
        row.sha256: Source(sha256=row.sha256, file=file_of(row.path), size_bytes=row.bytes or 0)
        for row in rows
        if row.state == "stored" and row.path is not None and row.sha256 is not None
    }
    return list(found.values())


def inputs_of(folder: Path, rows: Iterable[Shown]) -> Thumbnails:
    """The small copies of the rows' input images that are there; they were made when the images were sent."""
    try:
        there = {name.removesuffix(".webp") for name in os.listdir(folder)}  # noqa: PTH208 - names are what is wanted
    except OSError:
        return Thumbnails(folder=folder)
    order = tuple(dict.fromkeys(each for row in rows for each in row.asked.get("inputs", []) if each in there))
    return Thumbnails(folder=folder, order=order, made=frozenset(order))


def make_thumbnails(
    folder: Path, pictures: list[Source], *, within_s: float, monotonic: Callable[[], float] = time.monotonic
) -> Thumbnails:
    """Make what is missing, in threads, while there is time; what cannot be made is left out, and nothing is raised.

    Args:
        folder: Where they are kept; made if it is not there.
        within_s: No other is begun after that.
    """
    try:
        folder.mkdir(exist_ok=True)
        there = {name.removesuffix(".webp") for name in os.listdir(folder)}  # noqa: PTH208 - names are what is wanted
    except OSError:
        return Thumbnails(folder=folder)
    if folder.is_symlink():  # nobody's way into another folder
        return Thumbnails(folder=folder)
    until = monotonic() + within_s

    def have(picture: Source) -> bool:
        if picture.sha256 in there:
            return True
        return monotonic() < until and _make(picture, folder / f"{picture.sha256}.webp")

    with ThreadPoolExecutor(_THREADS, thread_name_prefix="thumbnails") as threads:
        made = [picture.sha256 for picture, had in zip(pictures, threads.map(have, pictures), strict=True) if had]
    return Thumbnails(folder=folder, order=tuple(made), made=frozenset(made))


def small_copy(picture: Source, side_px: int) -> Image.Image | None:
    """A picture, its longer side at most so long; None when its file is gone, changed in size or no picture."""
    try:
        if picture.file.stat().st_size != picture.size_bytes:
            return None
        with Image.open(picture.file, formats=_FORMATS) as image:
            if image.width * image.height > _MOST_PIXELS:
                return None
            image.draft("RGB", (side_px, side_px))
            image.thumbnail((side_px, side_px), Image.Resampling.LANCZOS)
            return image.convert("RGBA" if "A" in image.getbands() or "transparency" in image.info else "RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def make_one(folder: Path, picture: Source) -> Path | None:
    """The small copy of one picture, made if it is not there; None where it cannot be."""
    place = folder / f"{picture.sha256}.webp"
    try:
        folder.mkdir(exist_ok=True)
        if folder.is_symlink():
            return None
        return place if place.is_file() or _make(picture, place) else None
    except OSError:
        return None


def _make(picture: Source, place: Path) -> bool:
    made = small_copy(picture, small.SIDE_PX)
    if made is None:
        return False
    try:
        put(place, lambda spare: made.save(spare, "WEBP", quality=small.QUALITY, method=2))
    except (OSError, ValueError):
        return False
    return True
