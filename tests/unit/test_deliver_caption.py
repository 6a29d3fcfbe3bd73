"""What a picture's file says of itself, put in without touching its pixels."""

import json
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pipeline.deliver import Caption, prove
from pipeline.deliver.caption import MAX_TEXT_BYTES, captioned
from pipeline.deliver.limits import CAP_BYTES
from pipeline.picture import PictureFormat

CAPTION = Caption(prompt="A café, by night 夜", model="flux-kontext-pro", seed=42, key="ab" * 32)


def picture(image_format: str, *, mode: str = "RGB", **options: Any) -> bytes:
    image = Image.effect_noise((48, 32), 60).convert(mode)
    buffer = BytesIO()
    image.save(buffer, image_format.upper(), **options)
    return buffer.getvalue()


def exif() -> Image.Exif:
    made = Image.Exif()
    made[0x0131] = "an encoder"
    return made


def png_text() -> PngInfo:
    made = PngInfo()
    made.add_text("Software", "an encoder")
    return made


PICTURES: list[tuple[PictureFormat, bytes]] = [
    ("jpeg", picture("jpeg")),
    ("jpeg", picture("jpeg", progressive=True)),
    ("jpeg", picture("jpeg", exif=exif())),
    ("jpeg", picture("jpeg", comment=b"somebody else's", icc_profile=b"p" * 200)),
    ("jpeg", picture("jpeg", mode="L")),
    ("png", picture("png")),
    ("png", picture("png", mode="P")),
    ("png", picture("png", mode="RGBA", pnginfo=png_text())),
]


def said(data: bytes, image_format: str) -> dict[str, Any]:
    """What another program reads out of the file."""
    with Image.open(BytesIO(data)) as image:
        image.load()
        text = image.info["fluxbatch"] if image_format == "png" else image.info["comment"].decode()
    told = json.loads(text.removeprefix("fluxbatch "))
    assert isinstance(told, dict)
    return told


def pixels(data: bytes) -> tuple[str, tuple[int, int], bytes]:
    with Image.open(BytesIO(data)) as image:
        return image.mode, image.size, image.tobytes()


@pytest.mark.parametrize(("image_format", "data"), PICTURES)
def test_pixels_and_all_other_bytes_stay_as_they_came(image_format: PictureFormat, data: bytes) -> None:
    told = captioned(data, image_format, CAPTION)
    added = len(told) - len(data)
    assert added > 0
    assert pixels(told) == pixels(data)
    assert told[:20] == data[:20]  # what a file of its kind must begin with
    assert any(told[:at] + told[at + added :] == data for at in range(len(data)))
    proof = prove(told, None)
    assert (proof.format, proof.size_bytes) == (image_format, len(told))


@pytest.mark.parametrize(("image_format", "data"), [each for each in PICTURES if b"somebody else's" not in each[1]])
def test_another_program_reads_it(image_format: PictureFormat, data: bytes) -> None:
    assert said(captioned(data, image_format, CAPTION), image_format) == {
        "prompt": CAPTION.prompt,
        "model": "flux-kontext-pro",
        "seed": 42,
        "key": "ab" * 32,
    }


@pytest.mark.parametrize(("image_format", "data"), PICTURES)
def test_doing_it_again_changes_nothing(image_format: PictureFormat, data: bytes) -> None:
    once = captioned(data, image_format, CAPTION)
    assert captioned(once, image_format, CAPTION) == once


def test_what_was_there_before_stays_readable() -> None:
    with Image.open(BytesIO(captioned(PICTURES[2][1], "jpeg", CAPTION))) as image:
        assert image.getexif()[0x0131] == "an encoder"
    with Image.open(BytesIO(captioned(PICTURES[7][1], "png", CAPTION))) as image:
        assert image.info["Software"] == "an encoder"


def test_a_webp_stays_as_it_is() -> None:
    data = picture("webp")
    assert captioned(data, "webp", CAPTION) == data


def test_a_file_that_would_grow_beyond_what_may_be_kept_stays_as_it_is() -> None:
    data = picture("png").ljust(CAP_BYTES, b"\0")
    assert captioned(data, "png", CAPTION) == data


@given(st.text(max_size=200), st.integers(min_value=1, max_value=2_000), st.none() | st.integers())
def test_any_prompt_makes_a_caption_that_fits_and_reads_back(text: str, times: int, seed: int | None) -> None:
    caption = Caption(prompt=text * times, model="m", seed=seed, key="k")
    raw = caption.text()
    assert len(raw) <= MAX_TEXT_BYTES
    told = json.loads(raw)
    whole = told["prompt"] == caption.prompt
    assert whole or caption.prompt.startswith(told["prompt"][:-1])
    assert (told["seed"], told["key"]) == (seed, "k")


def test_half_a_character_is_replaced_rather_than_refused() -> None:
    assert json.loads(Caption(prompt="a\ud800b", model="m", seed=None, key="k").text())["prompt"] == "a?b"
