"""What backgrounds look like: gradients, hills, lights and ribbons, all of it from one random source."""

import math
import random

from PIL import Image, ImageDraw

Colour = tuple[int, int, int]
Palette = tuple[Colour, Colour, Colour, Colour, Colour]

#: From the sky down: two of the sky, a light, two of the ground. Mid-tones and darks, so that white text stays legible.
_PALETTES: tuple[Palette, ...] = (
    ((38, 44, 92), (214, 104, 94), (255, 205, 140), (108, 62, 106), (40, 32, 70)),
    ((16, 58, 84), (72, 158, 168), (236, 240, 210), (30, 98, 100), (12, 46, 58)),
    ((52, 34, 84), (188, 92, 150), (255, 190, 170), (96, 50, 116), (38, 22, 62)),
    ((28, 68, 60), (134, 168, 98), (246, 232, 160), (58, 100, 66), (22, 50, 44)),
    ((24, 30, 52), (70, 104, 158), (198, 222, 250), (46, 66, 110), (18, 26, 48)),
    ((104, 44, 40), (226, 140, 76), (255, 226, 158), (142, 66, 50), (66, 28, 36)),
    ((44, 48, 66), (122, 136, 158), (240, 214, 190), (84, 92, 114), (36, 38, 54)),
    ((14, 40, 50), (40, 122, 114), (250, 176, 112), (24, 80, 84), (10, 32, 42)),
)

#: Shapes are drawn this much larger and reduced, because polygons have no smooth edges of their own.
_OVERSAMPLING = 2


def paint_scene(size: tuple[int, int], source: random.Random) -> Image.Image:
    """A background of that many pixels; the same state of ``source`` gives the same one."""
    palette = source.choice(_PALETTES)
    large = (size[0] * _OVERSAMPLING, size[1] * _OVERSAMPLING)
    image = _sky(large, palette, source)
    source.choice((_hills, _lights, _ribbons))(image, palette, source)
    return image.reduce(_OVERSAMPLING)


def _sky(size: tuple[int, int], palette: Palette, source: random.Random) -> Image.Image:
    """A few colours, enlarged smoothly: a gradient that is darker at the top."""
    tiny = Image.new("RGB", (2, 3))
    for x in range(2):
        for y, (above, below) in enumerate(
            ((palette[0], palette[0]), (palette[0], palette[1]), (palette[1], palette[2]))
        ):
            tiny.putpixel((x, y), _mix(above, below, source.uniform(0.45, 1.0)))
    return tiny.resize(size, Image.Resampling.BICUBIC)


def _hills(image: Image.Image, palette: Palette, source: random.Random) -> None:
    draw = ImageDraw.Draw(image, "RGBA")
    width, height = image.size
    radius = min(image.size) * source.uniform(0.09, 0.16)
    x, y = width * source.uniform(0.2, 0.8), height * source.uniform(0.3, 0.5)
    for grown, alpha in ((2.0, 26), (1.5, 44), (1.0, 235)):
        draw.circle((x, y), radius * grown, fill=(*palette[2], alpha))
    layers = 4
    for layer in range(layers):
        colour = _mix(palette[3], palette[4], layer / (layers - 1))
        level = height * (0.5 + 0.13 * layer)
        draw.polygon(_wave(image.size, level, height * 0.07, source), fill=(*colour, 235))


def _lights(image: Image.Image, palette: Palette, source: random.Random) -> None:
    draw = ImageDraw.Draw(image, "RGBA")
    width, height = image.size
    for _ in range(26):
        radius = min(image.size) * source.uniform(0.03, 0.17)
        centre = (width * source.uniform(0, 1), height * source.uniform(0, 1))
        colour = source.choice(palette[1:])
        draw.circle(centre, radius, fill=(*colour, source.randint(36, 110)))


def _ribbons(image: Image.Image, palette: Palette, source: random.Random) -> None:
    draw = ImageDraw.Draw(image, "RGBA")
    height = image.size[1]
    for band in range(7):
        colour = _mix(palette[band % 2 + 2], palette[4 - band % 3], source.uniform(0.2, 0.9))
        level = height * (0.16 + 0.13 * band)
        draw.polygon(_wave(image.size, level, height * 0.1, source), fill=(*colour, 105))


def _wave(size: tuple[int, int], level: float, swing: float, source: random.Random) -> list[tuple[float, float]]:
    """The outline of everything under a line that rises and falls around ``level`` by up to ``swing``, in pixels."""
    width, height = size
    slow, quick = source.uniform(0.6, 1.4), source.uniform(2.0, 3.4)
    first, second = source.uniform(0, math.tau), source.uniform(0, math.tau)
    steps = 48
    outline = []
    for step in range(steps + 1):
        turn = math.tau * step / steps
        rise = 0.7 * math.sin(slow * turn + first) + 0.3 * math.sin(quick * turn + second)
        outline.append((width * step / steps, level + swing * rise))
    return [*outline, (width, height), (0, height)]


def _mix(one: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue
