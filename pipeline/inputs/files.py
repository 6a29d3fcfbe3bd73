"""The only module that opens input files: regular ones, no larger than is taken, and never waiting for a pipe."""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pipeline.inputs.decoding import MAX_BYTES, Look, look_at, sniff
from pipeline.inputs.faults import InputError

_PIECE = 1 << 20
_WORDS = {errno.ENOENT: "there is no such file", errno.ELOOP: "is a link that leads in a circle"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An input image that will do, as far as its head says.

    Attributes:
        sha256: Of its bytes, hex.
    """

    sha256: str
    look: Look


def stamp(path: str) -> tuple[int, ...]:
    """What tells a changed file from the same one, as far as that can be told without reading it.

    Raises:
        InputError: There is none, or not one that can be read.
    """
    try:
        facts = Path(path).stat()
    except (OSError, ValueError) as exc:
        raise _unreadable(exc) from exc
    return facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns


def examine(path: str) -> Found:
    """Digest a file, piece by piece, and look at its head and end.

    Raises:
        InputError: It will not do.
    """
    with _opened(path) as file:
        digest = hashlib.sha256()
        size = 0
        while size <= MAX_BYTES and (piece := file.read(_PIECE)):
            digest.update(piece)
            size += len(piece)
        file.seek(0)
        return Found(look=look_at(file, size), sha256=digest.hexdigest())


def require(path: str) -> None:
    """Make sure that there is a file of the right kind, without reading it: for thousands at a time.

    Raises:
        InputError: There is none, it is empty or too large, or it is not a picture by its first bytes.
    """
    with _opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > MAX_BYTES:
            raise InputError("input_unfit", f"has {size:,} bytes; at most {MAX_BYTES:,} are taken")
        sniff(file.read(16))


def read(path: str, sha256: str) -> bytes:
    """The bytes of a file that was examined before.

    Raises:
        InputError: It cannot be read, or is not what it was.
    """
    with _opened(path) as file:
        data = file.read(MAX_BYTES + 1)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise InputError("input_changed", "changed after it was looked at; run again", passing=True)
    return data


@contextmanager
def _opened(path: str) -> Iterator[BinaryIO]:
    try:
        # Without O_NONBLOCK, opening a pipe that nobody writes to would wait for ever.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise InputError("input_unfit", "is not an ordinary file")
            yield file
    except (OSError, ValueError) as exc:
        raise _unreadable(exc) from exc


def _unreadable(exc: OSError | ValueError) -> InputError:
    number = exc.errno if isinstance(exc, OSError) else None
    told = _WORDS.get(number or 0) or getattr(exc, "strerror", None) or "is not the name of a file"
    return InputError("input_missing", told, passing=number not in {errno.ENOENT, errno.ELOOP, None})
