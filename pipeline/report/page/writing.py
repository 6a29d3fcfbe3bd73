"""The only module of the report that writes files: whole or not at all, and never over what is not its own."""

import errno
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from pipeline.errors import OutputError, StorageError

_FULL = {errno.ENOSPC, errno.EDQUOT}


def put(file: Path, write: Callable[[Path], None]) -> None:
    """Let something be written beside its place, and take it when it is whole; what was there is replaced.

    Raises:
        OSError: It cannot be written.
    """
    spare = file.with_name(f".{secrets.token_hex(8)}{file.suffix}")
    try:
        write(spare)
        spare.replace(file)
    finally:
        spare.unlink(missing_ok=True)


def put_text(file: Path, text: str, *, mark: str) -> None:
    """Write a page, but not in the place of a file that this program did not write.

    Args:
        mark: What a page of this program's has in its first 1,000 bytes.

    Raises:
        OutputError: It cannot be written, or something else is there.
        StorageError: The disk is full.
    """
    try:
        if os.path.lexists(file) and not (file.is_file() and mark.encode() in _start(file)):
            raise OutputError(f"{file}: is there, and not a report", remedy="move it, or name another file with --to")
        put(file, lambda spare: _write(spare, text))
    except OSError as error:
        raise unwritten(file, error) from error


def unwritten(file: Path, error: OSError) -> OutputError | StorageError:
    """Say why a file cannot be written."""
    if error.errno in _FULL:
        return StorageError(f"{file}: the disk is full", remedy="make room")
    return OutputError(f"{file}: cannot be written ({error.strerror})", remedy="name another file")


def _start(file: Path) -> bytes:
    with file.open("rb") as handle:
        return handle.read(1000)


def _write(file: Path, text: str) -> None:
    with file.open("x", encoding="utf-8", newline="\n") as handle:
        handle.write(text)
