"""What an input image may be, what becomes of it, and that two of them become the same pixels everywhere."""

import hashlib
import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pipeline.inputs import InputError, canvas_of, files, parts_of
from pipeline.inputs.decoding import MAX_BYTES, look_at, read_colour, upright
from pipeline.inputs.developing import Negative, develop, prepared
from pipeline.inputs.files import examine, require
from pipeline.inputs.stitching import MAX_CANVAS_PIXELS, encoded, reduced_size, stitched
from pipeline.job import PictureRequest, Stitch

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


def picture(
    size: tuple[int, int] = (8, 4), colour: Any = RED, mode: str = "RGB", kind: str = "PNG", **more: Any
) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size, colour).save(buffer, kind, **more)
    return buffer.getvalue()


def quarters() -> Image.Image:
    """Four colours, so that every way of turning it shows."""
    image = Image.new("RGB", (4, 2), RED)
    image.putpixel((3, 0), BLUE)
    image.putpixel((0, 1), WHITE)
    return image


def look(data: bytes) -> Any:
    return look_at(io.BytesIO(data), len(data))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_applied(orientation: int) -> None:
    back = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    lying = quarters() if orientation == 1 else quarters().transpose(back[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    lying.save(buffer, "PNG", exif=exif)
    data = buffer.getvalue()
    assert upright(data, "#ffffff").tobytes() == quarters().tobytes()
    told = look(data)
    assert (told.width, told.height, told.plain) == (4, 2, orientation == 1)


@pytest.mark.parametrize(
    ("data", "pixel"),
    [
        (picture(colour=(255, 0, 0, 0), mode="RGBA"), (0, 255, 0)),
        (picture(colour=(0, 0, 0, 0), mode="RGBA", kind="WEBP", lossless=True), (0, 255, 0)),
        (picture(colour=(90, 0), mode="LA"), (0, 255, 0)),
        (picture(colour=0, mode="P", transparency=0), (0, 255, 0)),
        (picture(colour=RED, transparency=RED), (0, 255, 0)),
        (picture(colour=40_000, mode="I;16"), (156, 156, 156)),
        (picture(colour=1, mode="1"), WHITE),
        (picture(colour=(0, 0, 0, 0), mode="CMYK", kind="JPEG"), WHITE),
    ],
    ids=["rgba", "webp", "la", "palette", "colour key", "16 bits", "1 bit", "cmyk"],
)
def test_every_kind_of_pixel_becomes_plain_on_the_background(data: bytes, pixel: tuple[int, int, int]) -> None:
    image = upright(data, "#00ff00")
    assert image.mode == "RGB"
    assert image.getpixel((1, 1)) == pixel
    assert look(data).plain is (pixel == WHITE and data[:4] == b"\x89PNG")


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of(width: int, height: int) -> bytes:
    """The head and the end of a PNG that says to be that large."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_a_transparent_grey_of_sixteen_bits_shows_the_background_and_its_neighbour_does_not() -> None:
    head = struct.pack(">IIBBBBB", 2, 1, 16, 0, 0, 0, 0)
    pixels = zlib.compress(b"\0" + struct.pack(">HH", 40_000, 40_001))
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"tRNS", struct.pack(">H", 40_000))
    data += chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    image = upright(data, "#00ff00")
    assert [image.getpixel((x, 0)) for x in (0, 1)] == [(0, 255, 0), (156, 156, 156)]
    assert not look(data).plain


def animated(kind: str) -> bytes:
    buffer = io.BytesIO()
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, BLUE)]
    frames[0].save(buffer, kind, save_all=True, append_images=frames[1:])
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><p>404", "a page"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "a page"),
        (picture(kind="GIF"), "not a PNG, JPEG or WebP"),
        (picture(kind="TIFF"), "not a PNG, JPEG or WebP"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "not a PNG, JPEG or WebP"),
        (picture(kind="JPEG")[:-40], "cut off"),
        (picture()[:-14], "cut off"),
        (picture((64, 64), kind="WEBP")[:-20], "cut off"),
        (png_of(50_000, 50_000), "pixels"),
        (png_of(5_000, 4_001), "5000x4001"),
        (png_of(0, 5), "cannot be decoded"),
        (animated("PNG"), "animated"),
        (animated("WEBP"), "animated"),
        (b"\xff\xd8\xff" + b"\0" * 50 + b"\xff\xd9", "cannot be decoded"),
    ],
)
def test_what_is_no_whole_picture_is_refused(data: bytes, told: str, tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(data)
    with pytest.raises(InputError, match=told):
        examine(str(path))


@pytest.mark.parametrize("of_sum", [False, True])
def test_a_bit_that_turned_is_found_before_anything_is_bought(tmp_path: Path, *, of_sum: bool) -> None:
    """Head and end say nothing of it; nor does a decode of a sum that is wrong."""
    noise = Image.frombytes("RGB", (64, 64), hashlib.shake_256(b"x").digest(64 * 64 * 3))
    buffer = io.BytesIO()
    noise.save(buffer, "PNG")
    data = bytearray(buffer.getvalue())
    data[data.index(b"IEND") - 7 if of_sum else len(data) // 2] ^= 0xFF
    path = tmp_path / "x.png"
    path.write_bytes(data)
    found = examine(str(path))
    request = PictureRequest(model="m", prompt="p", ratio=None, inputs=(found.sha256,))
    with pytest.raises(InputError, match=r"x\.png: cannot be decoded"):
        develop(request, [str(path)], [str(path)])


def test_a_file_of_30_mb_is_refused_by_its_size_alone(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    with path.open("wb") as file:
        file.write(picture())
        file.truncate(30_000_000)
    with pytest.raises(InputError, match="30,000,000"):
        require(str(path))
    with pytest.raises(InputError, match=f"{MAX_BYTES:,}"):
        examine(str(path))


def test_links_in_circles_pipes_and_devices_are_refused_at_once(tmp_path: Path) -> None:
    one, other = tmp_path / "one.png", tmp_path / "other.png"
    one.symlink_to(other)
    other.symlink_to(one)
    os.mkfifo(tmp_path / "pipe.png")
    for path, told in ((one, "circle"), (tmp_path / "pipe.png", "ordinary"), (Path("/dev/zero"), "ordinary")):
        with pytest.raises(InputError, match=told):
            require(str(path))
    for path in (tmp_path, tmp_path / "none.png"):
        with pytest.raises(InputError):
            require(str(path))


def test_a_file_that_changed_is_not_what_was_planned(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(picture())
    found = examine(str(path))
    assert files.read(str(path), found.sha256) == picture()
    path.write_bytes(picture(colour=BLUE))
    with pytest.raises(InputError, match="changed") as caught:
        files.read(str(path), found.sha256)
    assert caught.value.passing


@pytest.mark.parametrize(
    ("sizes", "stitch", "canvas"),
    [
        ([(200, 100), (100, 200)], Stitch(), (250, 100)),
        ([(200, 100), (100, 200)], Stitch(height="max"), (500, 200)),
        ([(200, 100), (100, 200)], Stitch(height=50, gap=10), (135, 50)),
        ([(200, 100), (100, 200)], Stitch(direction="vertical"), (100, 250)),
        ([(3, 7), (10, 10), (1, 1)], Stitch(), (3, 1)),
    ],
)
def test_pictures_share_a_height_or_width(
    sizes: list[tuple[int, int]], stitch: Stitch, canvas: tuple[int, int]
) -> None:
    assert canvas_of(parts_of(sizes, stitch), stitch) == canvas
    images = [Image.new("RGB", size, RED) for size in sizes]
    assert stitched(images, stitch, "#ffffff").size == canvas


@pytest.mark.parametrize(
    "stitch", [Stitch(), Stitch(height="max", gap=1000), Stitch(direction="vertical", height=8192)]
)
def test_a_canvas_is_bounded_so_that_its_png_is(stitch: Stitch) -> None:
    width, height = canvas_of(parts_of([(5000, 4000), (4000, 5000), (1, 20_000)], stitch), stitch)
    assert width * height <= MAX_CANVAS_PIXELS
    assert MAX_CANVAS_PIXELS * 3 * 1.01 < MAX_BYTES
    wide, high = reduced_size((5000, 4000))
    assert wide * high <= MAX_CANVAS_PIXELS


def test_shapes_that_cannot_stand_side_by_side_are_refused() -> None:
    with pytest.raises(InputError, match="unlike"):
        parts_of([(20_000_000, 1), (1, 20_000_000)], Stitch())


def sample(seed: bytes, size: tuple[int, int]) -> Image.Image:
    return Image.frombytes("RGB", size, hashlib.shake_256(seed).digest(size[0] * size[1] * 3))


@pytest.mark.parametrize(
    ("stitch", "digest"),
    [
        (Stitch(), "235ad8dd5c4b26cc"),
        (Stitch(direction="vertical", height="max", gap=3), "6ff8be650abaabf5"),
        (Stitch(height=16, gap=1), "e69912b14291cf1a"),
    ],
)
def test_the_same_pictures_make_the_same_pixels_on_every_machine(stitch: Stitch, digest: str) -> None:
    image = stitched([sample(b"left", (40, 30)), sample(b"right", (33, 47))], stitch, "#123456")
    assert hashlib.sha256(image.tobytes()).hexdigest()[:16] == digest
    again = Image.open(io.BytesIO(encoded(image)))
    assert again.tobytes() == image.tobytes()
    assert encoded(image) == encoded(image)
    assert not again.info


def test_a_plain_picture_is_sent_byte_for_byte_and_another_is_made_plain(tmp_path: Path) -> None:
    plain, clear = tmp_path / "plain.jpg", tmp_path / "clear.png"
    plain.write_bytes(picture(kind="JPEG"))
    clear.write_bytes(picture(colour=(255, 0, 0, 0), mode="RGBA"))
    paths = [str(plain), str(clear)]
    request = PictureRequest(
        model="m", prompt="p", ratio=None, inputs=tuple(examine(path).sha256 for path in paths), background="#0000ff"
    )
    first, second = develop(request, paths, paths)
    assert isinstance(first, Negative)
    assert first.path == str(plain)
    assert isinstance(second, bytes)
    assert Image.open(io.BytesIO(second)).getpixel((0, 0)) == BLUE
    sent = prepared(request, paths)
    assert [image.media for image in sent] == ["image/jpeg", "image/png"]
    assert sent[0].data == plain.read_bytes()


def test_colours_are_opaque_and_written_one_way() -> None:
    assert {read_colour(text) for text in ("white", "#FFF", "#ffffff", "rgb(255,255,255)")} == {"#ffffff"}
    for text in ("#ffffff00", "no colour"):
        with pytest.raises(ValueError):
            read_colour(text)
