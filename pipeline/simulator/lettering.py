"""How text is set on a picture: the largest type that fits, wrapped, white on a darkened ground."""

import unicodedata
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

#: Longer prompts are cut: no picture has room for more, and setting type costs time by the character.
_MAX_CHARACTERS = 600
_SMALLEST_PX = 8
_LINE_HEIGHT = 1.22
_WHITE, _FAINT, _SHADOW = (255, 255, 255), (232, 232, 238), (8, 10, 24)
#: The built-in face has few characters beyond ASCII; these have a plain equal that decomposition does not find.
_PLAIN = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": "-", "…": "...", "×": "x"})


def letter(image: Image.Image, text: str, caption: str) -> Image.Image:
    """A copy of a picture with ``text`` wrapped on it, as large as fits, and ``caption`` small under it."""
    margin = max(3, min(image.size) // 18)
    small = _font(max(_SMALLEST_PX, min(image.size) // 36))
    caption_top = image.height - margin - round(small.size * _LINE_HEIGHT)
    room = (image.width - 2 * margin, round((caption_top - margin) * 0.62))
    font, lines = _fit(_plain(text)[:_MAX_CHARACTERS], room)
    pitch = round(font.size * _LINE_HEIGHT)
    top = caption_top - margin // 2 - pitch * len(lines)
    shaded = _shade(image, max(0, top - 2 * margin))
    draw = ImageDraw.Draw(shaded)
    for row, line in enumerate(lines):
        _write(draw, (margin, top + row * pitch), line, font, _WHITE)
    _write(draw, (margin, caption_top), _cut(_plain(caption), small, room[0]), small, _FAINT)
    return shaded


@lru_cache(maxsize=64)
def _font(size_px: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size_px)
    assert isinstance(font, ImageFont.FreeTypeFont), "Pillow was built without FreeType"  # noqa: S101
    return font


def _plain(text: str) -> str:
    """The text on one line, without what no face could draw: accents, control characters, lone surrogates."""
    whole = text.encode("utf-8", "replace").decode("utf-8").translate(_PLAIN)
    bare = (mark for mark in unicodedata.normalize("NFKD", whole) if not unicodedata.combining(mark))
    return " ".join("".join(mark if mark.isprintable() else " " for mark in bare).split())


def _fit(text: str, room: tuple[int, int]) -> tuple[ImageFont.FreeTypeFont, list[str]]:
    """The largest face whose lines fit the room (width, height, in pixels); the last resort is cut short."""
    size_px = max(_SMALLEST_PX, min(room) // 5)
    while True:
        font = _font(size_px)
        fitting = max(1, int(room[1] / (font.size * _LINE_HEIGHT)))
        lines = _wrap(text, font, room[0])
        if len(lines) <= fitting:
            return font, lines
        if size_px == _SMALLEST_PX:
            return font, [*lines[: fitting - 1], _cut(lines[fitting - 1] + "...", font, room[0])]
        size_px = max(_SMALLEST_PX, int(size_px * 0.85))


def _wrap(text: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".lstrip()
        if font.getlength(longer) <= width:
            lines[-1] = longer
            continue
        pieces = _break(word, font, width)
        lines = [*lines, *pieces] if lines[-1] else pieces
    return lines


def _break(word: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """A word in pieces that each fit; scripts without spaces come as one long word."""
    pieces = [""]
    for mark in word:
        if pieces[-1] and font.getlength(pieces[-1] + mark) > width:
            pieces.append("")
        pieces[-1] += mark
    return pieces


def _cut(line: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    if font.getlength(line) <= width:
        return line
    kept = line.removesuffix("...")
    while kept and font.getlength(kept + "...") > width:
        kept = kept[:-1]
    return kept + "..."


def _shade(image: Image.Image, top: int) -> Image.Image:
    """The picture, ever darker from ``top`` (pixels from above) down, so that white is legible on any colour."""
    depth = image.height - top
    fall = Image.linear_gradient("L").point([min(135, round(level * 1.4)) for level in range(256)])
    mask = Image.new("L", image.size, 0)
    mask.paste(fall.resize((image.width, depth)), (0, top))
    return Image.composite(Image.new("RGB", image.size, _SHADOW), image, mask)


def _write(
    draw: ImageDraw.ImageDraw,
    place: tuple[int, int],
    line: str,
    font: ImageFont.FreeTypeFont,
    colour: tuple[int, int, int],
) -> None:
    drop = max(1, round(font.size / 24))
    draw.text((place[0] + drop, place[1] + drop), line, font=font, fill=_SHADOW)
    draw.text(place, line, font=font, fill=colour)
