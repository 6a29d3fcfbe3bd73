"""Proof of a picture: which bytes pass, and what is said of those that do not."""

import struct
import zlib
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from pipeline.deliver import UnprovenError, prove
from pipeline.ratio import Ratio

FORMATS = ("jpeg", "png", "webp")


def picture(image_format: str, size: tuple[int, int] = (24, 16), **options: Any) -> bytes:
    image = Image.new("RGB", size)
    image.putdata([(x * 9 % 256, x * 5 % 256, x * 3 % 256) for x in range(size[0] * size[1])])
    buffer = BytesIO()
    image.save(buffer, image_format.upper(), **options)
    return buffer.getvalue()


def refusal(data: bytes) -> UnprovenError:
    with pytest.raises(UnprovenError) as caught:
        prove(data, None)
    return caught.value


@pytest.mark.parametrize("image_format", FORMATS)
def test_a_whole_picture_is_proven_with_what_it_is(image_format: str) -> None:
    data = picture(image_format)
    proof = prove(data, Ratio(3, 2))
    assert (proof.format, proof.width, proof.height, proof.size_bytes) == (image_format, 24, 16, len(data))
    assert proof.verdict == "ok"
    assert len(proof.sha256) == 64


@pytest.mark.parametrize("image_format", FORMATS)
def test_cut_at_any_byte_it_is_not(image_format: str) -> None:
    data = picture(image_format)
    for length in range(len(data)):
        assert refusal(data[:length]).kind in {"empty", "truncated"}


@pytest.mark.parametrize("image_format", FORMATS)
def test_padding_after_the_end_mark_is_no_fault(image_format: str) -> None:
    assert prove(picture(image_format) + b"\0" * 7, None).format == image_format


def test_another_shape_is_a_verdict_and_not_a_refusal() -> None:
    assert prove(picture("png"), Ratio(1, 1)).verdict == "wrong_shape"


def test_no_ratio_asked_for_fits_any_shape() -> None:
    assert prove(picture("png"), None).verdict == "ok"


@pytest.mark.parametrize("page", [b"<!DOCTYPE html><p>expired", b"\n <HTML>", b"<?xml version='1.0'?><Error/>"])
def test_a_page_is_called_a_page(page: bytes) -> None:
    assert refusal(page).kind == "html"


def test_garbage_is_described_by_its_first_bytes_and_length() -> None:
    error = refusal(b'{"error": "gone"}')
    assert error.kind == "not_an_image"
    assert "17 bytes" in error.message
    assert '{"error"' in error.message


def test_a_gif_is_not_taken() -> None:
    buffer = BytesIO()
    Image.new("P", (8, 8)).save(buffer, "GIF")
    assert refusal(buffer.getvalue()).kind == "not_an_image"


def test_a_riff_file_that_is_sound_is_not_taken() -> None:
    assert refusal(b"RIFF\x04\0\0\0WAVE").kind == "not_an_image"


def test_a_flipped_bit_in_a_png_is_found() -> None:
    data = bytearray(picture("png"))
    data[len(data) // 2] ^= 1
    assert refusal(bytes(data)).kind == "undecodable"


def test_a_jpeg_cut_at_the_end_mark_of_its_thumbnail_is_found() -> None:
    data, thumbnail = picture("jpeg"), picture("jpeg", size=(8, 8))
    segment = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    assert prove(data[:2] + segment + data[2:], None).width == 24
    assert refusal(data[:2] + segment).kind == "truncated"


def huge_png(width: int, height: int) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [7100, 10_000, 20_000])
def test_more_than_fifty_megapixels_are_refused_before_they_are_decoded(side: int) -> None:
    assert refusal(huge_png(side, side)).kind == "too_many_pixels"


@pytest.mark.parametrize("image_format", FORMATS)
def test_no_single_damaged_byte_escapes_as_another_error(image_format: str) -> None:
    data = picture(image_format)
    for place in range(0, len(data), 3):
        damaged = bytearray(data)
        damaged[place] ^= 0xFF
        try:
            prove(bytes(damaged), None)
        except UnprovenError as error:
            assert error.message  # noqa: PT017 - some damage cannot be seen, so it may also pass
