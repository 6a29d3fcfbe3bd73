"""Draws the sample pictures of pairs.yaml: patterns, and shirts to put them on. Run it to make them again."""

from pathlib import Path

from PIL import Image, ImageDraw

HERE = Path(__file__).parent
SHIRT = [(60, 60), (95, 40), (145, 40), (180, 60), (225, 110), (190, 140), (180, 125), (180, 280), (60, 280), (60, 125)]
SHIRT += [(50, 140), (15, 110)]


def main() -> None:
    """Write them beside this file, as PNG with few colours."""
    stripes = Image.new("RGB", (160, 160), "#f4e8c8")
    draw = ImageDraw.Draw(stripes)
    for x in range(-160, 160, 32):
        draw.line([(x, 160), (x + 160, 0)], fill="#c2452d", width=12)
    _save(stripes, "pattern-stripes.png")
    dots = Image.new("RGB", (160, 160), "#1f3a5f")
    draw = ImageDraw.Draw(dots)
    for x in range(20, 160, 40):
        for y in range(20, 160, 40):
            draw.circle((x, y), 11, fill="#f2c14e")
    _save(dots, "pattern-dots.png")
    for name, wall, cloth in (("day", "#cfe3ee", "#ffffff"), ("night", "#2b2d42", "#8d99ae")):
        shirt = Image.new("RGB", (240, 320), wall)
        ImageDraw.Draw(shirt).polygon(SHIRT, fill=cloth, outline="#555555", width=3)
        _save(shirt, f"shirt-{name}.png")


def _save(image: Image.Image, name: str) -> None:
    image.quantize(16).save(HERE / name, optimize=True)


if __name__ == "__main__":
    main()
