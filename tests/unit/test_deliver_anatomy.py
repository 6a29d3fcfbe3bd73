"""Files built to be taken for a picture, or to wear a decoder out: they are refused, and it costs next to nothing."""

import re
import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from random import Random
from typing import Any

import pytest
from PIL import Image

from pipeline.deliver import UnprovenError, prove
from pipeline.inputs import InputError
from pipeline.inputs.decoding import look_at, upright
from pipeline.picture import MAX_PARTS, MAX_SCANS, decodes_whole, outline
from pipeline.picture.passes import Passes

END = b"\xff\xd9"


def noise(size: tuple[int, int], *, seed: int = 0) -> Image.Image:
    return Image.frombytes("RGB", size, Random(seed).randbytes(3 * size[0] * size[1]))


def picture(image_format: str, size: tuple[int, int] = (48, 32), **options: Any) -> bytes:
    buffer = BytesIO()
    noise(size).save(buffer, image_format, **options)
    return buffer.getvalue()


def refusal(data: bytes) -> str:
    with pytest.raises(UnprovenError) as caught:
        prove(data, None)
    return caught.value.kind


def chunk(name: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def scans(data: bytes) -> list[int]:
    return [found.start() for found in re.finditer(b"\xff\xda", data)]


PACKINGS: list[dict[str, Any]] = [{}, {"restart_marker_rows": 1}, {"optimize": True, "subsampling": 0}]

#: With the decoder that tells what it made up, and as where it is not installed.
EITHER_WAY = pytest.mark.parametrize("whole", [decodes_whole, lambda _: False], ids=["strict", "Pillow"])


@EITHER_WAY
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("options", PACKINGS, ids=str)
def test_a_jpeg_cut_anywhere_whose_end_mark_was_put_back_is_refused(
    options: dict[str, Any], mode: str, whole: Callable[[bytes], bool]
) -> None:
    """Decoders draw the rest in grey and say nothing."""
    buffer = BytesIO()
    noise((48, 32)).convert(mode).save(buffer, "jpeg", **options)
    data = buffer.getvalue()
    assert prove(data, None, whole=whole).format == "jpeg"
    for length in range(scans(data)[0], len(data) - len(END)):
        with pytest.raises(UnprovenError) as caught:
            prove(data[:length] + END, None, whole=whole)
        assert caught.value.kind in {"torn", "truncated", "undecodable"}


def test_a_whole_jpeg_is_decoded_once_where_that_can_be_told() -> None:
    """Three decodes take three times as long; and what only the slower way can read is not refused."""
    assert decodes_whole(picture("jpeg"))
    data = picture("jpeg")
    odd = data[:2] + b"\xff\xff\xff" + data[3:]
    assert prove(odd, None).width == 48
    assert not decodes_whole(data[:-40] + END)


def damaged(data: bytes, chance: Random) -> bytes:
    """Cut off, with bits turned over, with a stretch lost, made zero or put in."""
    at, length = chance.randrange(2, len(data)), chance.randrange(1, 200)
    torn = [
        lambda: data[:at] + END * chance.randrange(2),
        lambda: data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :],
        lambda: data[:at] + data[at + length :],
        lambda: data[:at] + bytes(len(data[at : at + length])) + data[at + length :],
        lambda: data[:at] + chance.randbytes(length) + data[at:],
    ]
    return chance.choice(torn)()


@pytest.mark.dose(2_000, 200_000)
def test_the_quick_decode_of_a_jpeg_finds_exactly_what_one_at_full_size_does(seeds: range) -> None:
    """It draws a pixel for each block; were a code of any other not read, a fault in it would go unseen."""
    simplejpeg = pytest.importorskip("simplejpeg")
    found = 0
    for seed in seeds:
        chance = Random(seed)
        data, options = BytesIO(), {"subsampling": seed % 3, "restart_marker_blocks": chance.choice([0, 0, 4])}
        noise((61, 45), seed=seed % 8).convert(chance.choice(["RGB", "L"])).save(data, "jpeg", **options)
        assert decodes_whole(data.getvalue()), f"seed {seed}"
        broken = damaged(data.getvalue(), chance)
        try:
            simplejpeg.decode_jpeg(broken, strict=True)
            whole = True
        except ValueError:
            whole = False
        assert decodes_whole(broken) == whole, f"seed {seed}"
        found += not whole
    assert found


def test_a_progressive_jpeg_cut_anywhere_whose_end_mark_was_put_back_is_refused() -> None:
    """Between two passes, too, where every pixel is there, and only coarser."""
    data = picture("jpeg", progressive=True)
    between = [found.start() for found in re.finditer(b"\xff[\xc4\xda]", data[scans(data)[0] + 1 :])]
    assert len(between) > 9
    for length in range(scans(data)[0], len(data) - len(END)):
        assert refusal(data[:length] + END) in {"torn", "truncated", "undecodable"}, (length, between)


@EITHER_WAY
@pytest.mark.parametrize("options", [*PACKINGS, {"progressive": True}], ids=str)
def test_an_input_so_mended_is_refused_and_a_whole_one_taken(
    options: dict[str, Any], whole: Callable[[bytes], bool]
) -> None:
    data = picture("jpeg", (40, 24), **options)
    assert upright(data, "#ffffff", whole=whole).size == (40, 24)
    assert upright(data + b"what a camera adds" + END, "#ffffff", whole=whole).size == (40, 24)
    for length in range(scans(data)[0], len(data) - len(END), 3):
        with pytest.raises(InputError) as caught:
            upright(data[:length] + END, "#ffffff", whole=whole)
        assert caught.value.kind == "input_unfit"


def test_an_input_that_lacks_passes_is_refused_before_it_is_decoded() -> None:
    data = picture("jpeg", progressive=True)
    assert look_at(BytesIO(data), len(data)).plain
    for start in scans(data)[1:]:
        cut = data[:start] + END
        with pytest.raises(InputError, match="lacks passes before its end mark; save or download it anew"):
            look_at(BytesIO(cut), len(cut))


@pytest.mark.dose(120, 4_000)
def test_no_whole_progressive_jpeg_is_taken_for_torn_and_each_cut_between_passes_is(seeds: range) -> None:
    for seed in seeds:
        chance = Random(seed)
        size = chance.randint(1, 90), chance.randint(1, 90)
        image = noise((3, 3), seed=seed).resize(size) if seed % 2 else Image.new("RGB", size, "white")
        buffer = BytesIO()
        image.convert(("RGB", "L", "CMYK")[seed % 3]).save(
            buffer,
            "jpeg",
            progressive=True,
            quality=chance.choice([1, 30, 75, 95, 100]),
            subsampling=chance.choice([0, 1, 2]),
            optimize=chance.random() < 0.5,
            restart_marker_blocks=chance.choice([0, 0, 3]),
        )
        data = buffer.getvalue()
        form = outline(data, "jpeg")
        assert (form.end, form.progressive, form.complete) == (len(data), True, True), f"seed {seed}"
        for start in scans(data)[1:]:
            assert not outline(data[:start] + END, "jpeg").complete, f"seed {seed}"


def scan(*components: int, first: int, last: int, before: int, after: int) -> bytes:
    told = b"".join(bytes([component, 0]) for component in components)
    return bytes([len(components)]) + told + bytes([first, last, before << 4 | after])


def frame(*components: int) -> bytes:
    return bytes([8, 0, 1, 0, 1, len(components)]) + b"".join(bytes([each, 0x11, 0]) for each in components)


DC = scan(1, first=0, last=0, before=0, after=0)


@pytest.mark.parametrize(
    ("passes", "complete"),
    [
        ([DC, scan(1, first=1, last=63, before=0, after=0)], True),
        ([DC, scan(1, first=1, last=5, before=0, after=0), scan(1, first=6, last=63, before=0, after=0)], True),
        ([DC, scan(1, first=1, last=62, before=0, after=0)], False),
        ([DC, scan(1, first=1, last=63, before=0, after=2)], False),
        ([DC, scan(1, first=1, last=63, before=0, after=2), scan(1, first=1, last=63, before=2, after=1)], False),
        ([DC], False),
        ([scan(1, first=1, last=63, before=0, after=0)], False),
        # What is odd is not judged: a bit passed over, a pass told twice, a component nobody has, half a header.
        ([DC, scan(1, first=1, last=63, before=0, after=3), scan(1, first=1, last=63, before=3, after=1)], True),
        ([DC, DC], True),
        ([DC, scan(9, first=1, last=63, before=0, after=1)], True),
        ([DC, scan(1, first=9, last=64, before=0, after=1)], True),
        ([DC[:-1]], True),
    ],
)
def test_passes_are_added_up_by_wave_and_bit(passes: list[bytes], complete: bool) -> None:
    found = Passes()
    found.frame(frame(1))
    for each in passes:
        found.scan(each)
    assert found.complete is complete


def test_every_component_needs_its_passes_and_an_odd_frame_is_not_judged() -> None:
    found, odd = Passes(), Passes()
    found.frame(frame(1, 2))
    found.scan(scan(1, 2, first=0, last=0, before=0, after=0))
    found.scan(scan(1, first=1, last=63, before=0, after=0))
    assert not found.complete
    found.scan(scan(2, first=1, last=63, before=0, after=0))
    assert found.complete
    odd.frame(frame(1)[:-1])
    assert odd.complete


@EITHER_WAY
@pytest.mark.dose(100, 20_000)
def test_a_whole_jpeg_of_any_kind_is_proven(seeds: range, whole: Callable[[bytes], bool]) -> None:
    for seed in seeds:
        chance = Random(seed)
        size = chance.randint(1, 120), chance.randint(1, 120)
        image = noise((-(-size[0] // chance.choice([1, 16])), 9), seed=seed).resize(size)
        data = BytesIO()
        image.convert(chance.choice(["RGB", "L", "CMYK"])).save(
            data,
            "jpeg",
            quality=chance.randint(1, 100),
            progressive=chance.random() < 0.5,
            optimize=chance.random() < 0.5,
            restart_marker_blocks=chance.choice([0, 0, 1, 7]),
        )
        assert prove(data.getvalue(), None, whole=whole).width == size[0], f"seed {seed}"


@pytest.mark.parametrize("image_format", ["jpeg", "png", "webp"])
@pytest.mark.parametrize("rest", [lambda data: data, lambda data: data[-40:], lambda _: b"\0\0PK"])
def test_nothing_may_follow_a_picture(image_format: str, rest: Callable[[bytes], bytes]) -> None:
    data = picture(image_format)
    assert refusal(data + rest(data)) == "trailing"


def test_a_jpeg_may_say_that_it_is_of_several_pictures() -> None:
    image, buffer = Image.new("RGB", (24, 16)), BytesIO()
    image.save(buffer, "MPO", save_all=True, append_images=[image])
    assert prove(buffer.getvalue(), None).format == "jpeg"
    assert refusal(buffer.getvalue()[:-1]) == "trailing"


def test_stray_bytes_between_the_segments_of_a_jpeg_are_passed_over() -> None:
    data = picture("jpeg")
    assert prove(data[:2] + b"\xff\xff\xff" + data[3:], None).width == 48


@pytest.mark.parametrize("image_format", ["png", "webp"])
def test_every_frame_of_several_is_decoded(image_format: str) -> None:
    buffer = BytesIO()
    frames = [noise((24, 16), seed=number) for number in range(4)]
    frames[0].save(buffer, image_format, save_all=True, append_images=frames[1:])
    data = buffer.getvalue()
    assert prove(data, None).width == 24
    if image_format == "png":  # WebP has no checksum that tells
        place = data.rindex(b"fdAT")
        length = int.from_bytes(data[place - 4 : place])
        half = chunk(b"fdAT", data[place + 4 : place + 4 + length // 2])  # whole as a chunk, and not as a frame
        assert refusal(data[: place - 4] + half + data[place + 8 + length :]) == "undecodable"


def test_frames_count_as_pixels() -> None:
    first = Image.new("1", (4000, 4000))
    buffer = BytesIO()
    first.save(buffer, "png", save_all=True, append_images=[first.transpose(Image.Transpose.ROTATE_90)] * 3)
    many = buffer.getvalue().replace(b"acTL" + struct.pack(">I", 4), b"acTL" + struct.pack(">I", 4_000))
    control = many.index(b"acTL") - 4
    many = many[:control] + chunk(b"acTL", struct.pack(">II", 4_000, 0)) + many[control + 20 :]
    assert refusal(many) == "too_many_pixels"


def test_a_picture_in_millions_of_parts_is_not_read() -> None:
    data = picture("png")
    assert prove(data[:33] + chunk(b"teSt") * 1_000 + data[33:], None).format == "png"
    assert refusal(data[:33] + chunk(b"teSt") * MAX_PARTS + data[33:]) == "too_many_parts"
    jpeg = picture("jpeg")
    assert refusal(jpeg[:2] + b"\xff\xfe\x00\x02" * MAX_PARTS + jpeg[2:]) == "too_many_parts"


def test_a_picture_of_a_million_passes_is_not_drawn() -> None:
    data = picture("jpeg", progressive=True)
    last = scans(data)[-1]
    assert prove(data[:last] + data[last : -len(END)] * 3 + END, None).width == 48
    assert refusal(data[:last] + data[last : -len(END)] * MAX_SCANS + END) == "too_many_parts"
