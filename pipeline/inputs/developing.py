"""From the files of a request's inputs to the images that are sent: as they are, made plain, or stitched."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO

from PIL import Image

from pipeline.inputs import files
from pipeline.inputs.decoding import look_at, upright
from pipeline.inputs.faults import InputError
from pipeline.inputs.stitching import encoded, reduced, stitched
from pipeline.job import InputImage, PictureRequest, named


@dataclass(frozen=True, slots=True, kw_only=True)
class Negative:
    """A file that is sent as it is."""

    path: str
    sha256: str
    media: str
    size_bytes: int


def _unseen(_sha256: str, _image: Image.Image) -> None:
    pass


def develop(
    request: PictureRequest,
    paths: Sequence[str],
    called: Sequence[str],
    *,
    see: Callable[[str, Image.Image], None] = _unseen,
) -> list[Negative | bytes]:
    """What is to be sent, in order: a file as it is, or the PNG that was made. Blocks: everything is decoded.

    Args:
        request: Has the digests that the files must still have, and says how they are stitched.
        paths: Where the files are.
        called: What they are called, for messages.
        see: Shown each image with its digest, upright, once it has proven to be whole.

    Raises:
        InputError: One is not what it was, or not a whole picture.
    """
    background = request.background or "#ffffff"
    images = []
    ready: list[Negative | bytes] = []
    for path, sha256, name in zip(paths, request.inputs, called, strict=True):
        try:
            data = files.read(path, sha256)
            image = upright(data, background)
            look = look_at(BytesIO(data), len(data))
        except InputError as error:
            raise InputError(error.kind, f"{named(name)}: {error.message}", passing=error.passing) from error
        see(sha256, image)
        if request.stitch is not None:
            images.append(image)
        elif look.plain:
            ready.append(Negative(path=path, sha256=sha256, media=look.media, size_bytes=len(data)))
        else:
            ready.append(encoded(reduced(image)))
    return ready if request.stitch is None else [encoded(stitched(images, request.stitch, background))]


def prepared(request: PictureRequest, paths: Sequence[str]) -> tuple[InputImage, ...]:
    """The images that are sent, in memory; raises as ``develop``."""
    return tuple(
        InputImage(data=files.read(each.path, each.sha256), media=each.media)
        if isinstance(each, Negative)
        else InputImage(data=each, media="image/png")
        for each in develop(request, paths, paths)
    )
