"""What is done in the output folder without a download: making it ready, keeping inline bytes, a second place."""

import hashlib
import os
import stat
from collections.abc import Iterable
from functools import partial
from pathlib import Path, PurePosixPath

import anyio

from pipeline.deliver.disk import Disk
from pipeline.deliver.naming import name_file
from pipeline.deliver.shelf import SUFFIXES, Shelf
from pipeline.deliver.trouble import trouble
from pipeline.errors import OutputError, StorageError

#: A run starts with at least this much room: four bodies of the largest size, or some 250 ordinary pictures.
FLOOR_BYTES = 256 * 1024 * 1024


def taken(output: Path, paths: Iterable[str]) -> list[str]:
    """Which of the final names that pictures may get are taken already, relative to the output folder. Blocks.

    Args:
        paths: Wanted places, as in ``Purchase.path``.
    """
    names = (f"{path}{suffix}" for path in paths for suffix in SUFFIXES.values())
    return [name for name in names if (output / name).is_file()]


async def keep_inline(output: Path, job_key: str, path: str, image: bytes, *, disk: Disk | None = None) -> None:
    """Make the bytes of a picture that came inside its answer durable, before it is recorded as bought.

    They wait where ``Courier.deliver`` looks first; the purchase's URL is then INLINE.

    Args:
        output: The output folder.
        job_key: The job's identity.
        path: The wanted place, as in ``Purchase.path``.
        image: The picture's bytes, unproven.
        disk: The file system; the machine's when None.

    Raises:
        OutputError: The folder cannot be made, or leads outside the output folder.
        StorageError: The disk is full or fails, twice over.
    """
    await anyio.to_thread.run_sync(partial(_write_part, Shelf(output, disk or Disk()), output, job_key, path, image))


def _write_part(shelf: Shelf, output: Path, job_key: str, path: str, image: bytes) -> None:
    try:
        try:
            shelf.write(shelf.part(job_key, path), image)
        except OSError:  # these bytes are all there is of what is paid: once more, into a new file
            shelf.write(shelf.part(job_key, path), image)
    except OSError as exc:
        raise trouble(exc, output / path) from exc


def place(output: Path, stored_path: str, wanted_path: str, *, sha256: str, disk: Disk | None = None) -> str:
    """Give a stored picture a second place: a hard link, else a copy. Blocks; call from a thread.

    Its bytes are read first: a file that is no more what was stored is not spread.

    Args:
        output: The output folder.
        stored_path: Where the picture is, relative to it, with its suffix.
        wanted_path: Where it is wanted too, without one, as in ``Purchase.path``.
        sha256: Of the picture, hex.
        disk: The file system; the machine's when None.

    Returns:
        The path made, or found there with the same bytes; ``-2``, ``-3``... before the suffix where another file
        has the name.

    Raises:
        OutputError: The picture is not there any more, or is another, or the place cannot be made.
        StorageError: The disk is full or fails.
    """
    disk = disk or Disk()
    shelf, source = Shelf(output, disk), output / stored_path
    _recognize(disk, source, sha256)
    # Named after its place and process, so that two runs on one folder never share it.
    mark = hashlib.sha256(wanted_path.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    try:
        folder = shelf.folder(wanted_path)
        suffix = PurePosixPath(stored_path).suffix
        spare = folder / f".{mark}-{os.getpid()}.copy"
        made = name_file(disk, source, output / wanted_path, suffix, spare=spare)
        disk.sync_folder(made.parent)
        return shelf.relative(made)
    except OSError as exc:
        raise trouble(exc, output / wanted_path) from exc


def _recognize(disk: Disk, source: Path, sha256: str) -> None:
    """Refuse a file that is not the picture it is taken for."""
    try:
        status = disk.look(source)
        same = status is not None and stat.S_ISREG(status.st_mode) and disk.digest(source).hex() == sha256
    except OSError as exc:
        raise trouble(exc, source) from exc
    if same:
        return
    gone = status is None or not stat.S_ISREG(status.st_mode)
    reason = "the picture is not there any more" if gone else "is not the picture that was stored"
    raise OutputError(f"{source}: {reason}", remedy="see fluxbatch ledger verify")


def prepare_output(output: Path, *, floor_bytes: int = FLOOR_BYTES, disk: Disk | None = None) -> None:
    """Make the output folder and prove that pictures can be kept in it, before anything is bought. Blocks.

    Args:
        output: The folder; parents are made too.
        floor_bytes: The least room to start with.
        disk: The file system; the machine's when None.

    Raises:
        OutputError: It cannot be made or written to.
        StorageError: The disk is full, nearly full, or fails.
    """
    disk = disk or Disk()
    probe = output / f".writable-{os.getpid()}"
    try:
        _refuse_file(output)
        made = [folder for folder in (output, *output.parents) if not folder.exists()]
        output.mkdir(parents=True, exist_ok=True)
        for folder in made:
            disk.sync_folder(folder.parent)
        disk.remove(probe)
        try:
            disk.write_new(probe, b"\0")
            disk.sync(probe)
        finally:
            disk.remove(probe)
        free_bytes = disk.free_bytes(output)
    except OSError as exc:
        raise trouble(exc, output) from exc
    if free_bytes < floor_bytes:
        message = f"{output}: only {free_bytes // 1_000_000} MB are free, and a run wants {floor_bytes // 1_000_000} MB"
        raise StorageError(message, remedy="free some space or choose another folder with --output")


def _refuse_file(output: Path) -> None:
    """Refuse a folder that cannot be, because it, or one that it would be in, is something else."""
    there = next((each for each in (output, *output.parents) if os.path.lexists(each)), None)
    if there is not None and not there.is_dir():
        raise OutputError(
            f"{there}: a folder is wanted here, and there is something else",
            remedy="move it away, or choose another folder with --output",
        )
