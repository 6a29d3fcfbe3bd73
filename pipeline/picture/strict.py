"""The only module that decodes with libjpeg-turbo itself, which tells what it made up; the extra ``fast`` brings it.

Pillow keeps libjpeg's warnings to itself, so that a JPEG whose pixels end early takes three decodes to tell. Here one
does, and a faster one. It is loaded with the first JPEG and not before: numpy comes with it.

It decodes at an eighth of the size: every code of every pixel is read all the same, and whatever is wrong with one is
told, but of the waves that make up a block of 8 by 8 only the mean is drawn. That is where the time goes, and nothing
in it can fail: any numbers make a picture.
"""

from functools import cache
from importlib.util import find_spec
from typing import Protocol


class _Decode(Protocol):
    def __call__(
        self, data: bytes, *, strict: bool, min_height: int = 0, min_width: int = 0, min_factor: float = 1
    ) -> object: ...


#: The smallest size that libjpeg-turbo decodes to: a pixel for each block.
_EIGHTH = 8


def decodes_whole(data: bytes) -> bool:
    """Whether every block of a JPEG was decoded without the least complaint; False says nothing.

    Not for progressive ones: a pass that ends early gives no reason to complain. Lets go of the interpreter's lock
    meanwhile.

    Args:
        data: The file's bytes, to the end of its picture; bounded in pixels and scans.
    """
    decode = _decoder()
    if decode is None:
        return False
    try:
        decode(data, strict=True, min_height=1, min_width=1, min_factor=_EIGHTH)
    except ValueError:  # what it warns of, and what it cannot decode
        return False
    return True


@cache
def _decoder() -> _Decode | None:
    if find_spec("simplejpeg") is None:
        return None
    import simplejpeg

    found: _Decode = simplejpeg.decode_jpeg
    return found
