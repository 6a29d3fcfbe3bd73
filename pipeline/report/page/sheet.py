"""The contact sheet: one picture, to be printed, of all that were stored."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from pipeline.errors import UsageError
from pipeline.ledger import Ledger, Scope, Shown
from pipeline.report.page.document import Places
from pipeline.report.page.making import MOST_PROMPTS
from pipeline.report.page.thumbnails import Source, small_copy, sources
from pipeline.report.page.writing import put, unwritten

#: A4 at 200 dots an inch.
_PAGE_PX = (1654, 2339)
_DPI = 200
_MARGIN_PX = 90
_HEAD_PX = 110
_GAP_PX = 18
#: Beyond that the pictures are too small to be told apart; the sheet says how many it leaves out.
MOST_PICTURES = 400
_ASKED_ROWS = 5_000
_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".pdf": "PDF"}
_PAPER, _INK, _SOFT = "#ffffff", "#1d1e20", "#5a5c60"
#: Fonts with the letters of many languages, where a system has them; Pillow's own has Latin ones.
_FONTS = ("NotoSansCJK-Regular.ttc", "NotoSansSC-Regular.otf", "DejaVuSans.ttf", "Arial Unicode.ttf", "msyh.ttc")

_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True, slots=True)
class _Cells:
    """How a sheet is divided."""

    columns: int
    wide: int
    high: int


def write_sheet(places: Places, scope: Scope, *, to: Path) -> int:
    """Draw the contact sheet; how many pictures it holds. Blocks; call from a thread.

    Args:
        to: Its file; the suffix says the format.

    Raises:
        UsageError: The suffix is none of a format's, or the file is one of the ledger's own.
        NotFoundError: There is no such ledger, or no such run or manifest in it.
        OutputError: It cannot be written.
        StorageError: The disk is full; the ledger is damaged.
    """
    form = _FORMATS.get(to.suffix.lower())
    if form is None:
        raise UsageError(f"{to}: no contact sheet has that suffix", remedy=f"one of {', '.join(_FORMATS)}")
    with Ledger(places.ledger) as ledger:
        ledger.refuse_ours(to)
        survey = ledger.survey(scope, limit=_ASKED_ROWS, prompts=MOST_PROMPTS)
    rows = sorted(survey.rows, key=lambda row: (row.manifest, row.edition, row.index, row.id))
    found = sources(rows, places.picture_file)
    pictures = found[:MOST_PICTURES]
    by_digest = {row.sha256: row for row in rows}
    sheet = Image.new("RGB", _PAGE_PX, _PAPER)
    drawn = _draw(sheet, [(picture, by_digest[picture.sha256]) for picture in pictures])
    _head(sheet, scope.manifest or scope.run or "All pictures", drawn, left_out=len(found) - len(pictures))
    try:
        put(to, lambda spare: sheet.save(spare, form, dpi=(_DPI, _DPI), quality=92))
    except OSError as error:
        raise unwritten(to, error) from error
    return drawn


def _divide(number: int) -> _Cells:
    """The fewest columns whose cells, as wide as high, all fit the page."""
    wide, high = _PAGE_PX[0] - 2 * _MARGIN_PX, _PAGE_PX[1] - 2 * _MARGIN_PX - _HEAD_PX
    for columns in range(2, number + 2):
        side = (wide + _GAP_PX) // columns
        if math.ceil(number / columns) * side <= high + _GAP_PX:
            return _Cells(columns=columns, wide=side - _GAP_PX, high=side - _GAP_PX)
    return _Cells(columns=2, wide=wide // 2, high=wide // 2)


def _draw(sheet: Image.Image, pictures: Sequence[tuple[Source, Shown]]) -> int:
    cells = _divide(len(pictures))
    words_px = max(10, min(20, cells.high // 11))
    font, pen, drawn = _font(words_px), ImageDraw.Draw(sheet), 0
    room = cells.high - words_px - 8
    for place, (picture, row) in enumerate(pictures):
        left = _MARGIN_PX + place % cells.columns * (cells.wide + _GAP_PX)
        top = _MARGIN_PX + _HEAD_PX + place // cells.columns * (cells.high + _GAP_PX)
        small = small_copy(picture, max(cells.wide, cells.high))
        if small is not None:
            small.thumbnail((cells.wide, room))
            at = (left + (cells.wide - small.width) // 2, top + (room - small.height) // 2)
            sheet.paste(small, at, small if small.mode == "RGBA" else None)
            drawn += 1
        told = _shortened(pen, f"{row.index}  {' '.join(row.prompt.split())}", font, cells.wide)
        pen.text((left, top + room + 4), told, fill=_INK if small is not None else _SOFT, font=font)
    return drawn


def _head(sheet: Image.Image, title: str, drawn: int, *, left_out: int) -> None:
    pen = ImageDraw.Draw(sheet)
    wide = _PAGE_PX[0] - 2 * _MARGIN_PX
    pen.text((_MARGIN_PX, _MARGIN_PX - 14), _shortened(pen, title, _font(40), wide), fill=_INK, font=_font(40))
    told = f"{drawn:,} picture{'s' if drawn != 1 else ''}" + (f", {left_out:,} more left out" if left_out else "")
    pen.text((_MARGIN_PX, _MARGIN_PX + 44), told, fill=_SOFT, font=_font(22))


def _shortened(pen: ImageDraw.ImageDraw, text: str, font: _Font, wide: int) -> str:
    """As much of a text as fits the width."""
    text = "".join(islice(text, 200))
    if pen.textlength(text, font=font) <= wide:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if pen.textlength(text[:middle].rstrip() + "…", font=font) <= wide:
            low = middle
        else:
            high = middle - 1
    return text[:low].rstrip() + "…"


def _font(size_px: int) -> _Font:
    for name in _FONTS:
        try:
            return ImageFont.truetype(name, size_px)
        except OSError:
            continue
    return ImageFont.load_default(size_px)
