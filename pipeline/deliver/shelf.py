"""The only module that knows the output folder: where a picture's bytes wait, and that its place is inside."""

import errno
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Final

from pipeline.deliver.disk import Disk
from pipeline.deliver.limits import CAP_BYTES
from pipeline.deliver.naming import name_file
from pipeline.deliver.proof import Proof
from pipeline.errors import OutputError

SUFFIXES: Final = {"jpeg": ".jpg", "png": ".png", "webp": ".webp"}
#: How much of a job's key names its waiting file: 128 bits, and short enough for any file system.
_KEY_LENGTH = 32
#: How many folders are remembered as durable; forgetting one only costs another sync.
_REMEMBERED_FOLDERS = 4096


class UnsyncedError(Exception):
    """A file could not be made durable; its bytes may be gone although they can still be read. Never sync it again.

    Attributes:
        kind: ``unsynced``.
        message: One line.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.kind = "unsynced"
        self.message = message


class Shelf:
    """Files of one output folder. Every method blocks; call from a thread."""

    def __init__(self, output: Path, disk: Disk) -> None:
        """Take the output folder; it exists (see ``prepare_output``)."""
        self._output = output
        self._disk = disk
        self._durable: set[Path] = set()

    def part(self, job_key: str, path: str) -> Path:
        """The file where a picture's bytes wait until they are recorded, beside the final name; makes its folder.

        Args:
            job_key: The job's identity.
            path: The wanted place, as in ``Purchase.path``.

        Raises:
            OutputError: The path leads outside the output folder.
            OSError: The folder cannot be made.
        """
        return self.folder(path) / f".{job_key[:_KEY_LENGTH]}.part"

    def folder(self, path: str) -> Path:
        """The folder of a wanted place, made and durable; raises as ``part`` does."""
        *folders, name = PurePosixPath(path).parts or ("",)
        if path.startswith("/") or ".." in folders or name in {"", ".."}:
            raise OutputError(
                f"{path!r} is not a place inside the output folder", remedy="change output.folder or file"
            )
        made = [self._output]
        for folder in folders:
            made.append(made[-1] / folder)
            self._disk.make_folder(made[-1])
            self._stay_inside(made[-1])
        for parent, child in reversed(list(pairwise(made))):
            self._settle(parent, child)
        return made[-1]

    def holds(self, part: Path) -> bool:
        """Whether anything at all is at a part's name."""
        return self._disk.look(part) is not None

    def begin(self, part: Path, data: bytes) -> None:
        """Put bytes into a part whose name is free; not durable yet."""
        self._disk.write_new(part, data)

    def read(self, part: Path) -> bytes | None:
        """The bytes that wait in a part; None where nothing usable does."""
        return self._disk.read(part, cap_bytes=CAP_BYTES)

    def discard(self, part: Path) -> None:
        """Remove a part if it is there."""
        self._disk.remove(part)

    def write(self, part: Path, data: bytes) -> None:
        """Put bytes into a part, durably; what was there is replaced in one step.

        Raises:
            OSError: The disk is full or fails; the old part, if any, is untouched.
        """
        fresh = part.with_suffix(".fresh")
        self._disk.remove(fresh)
        try:
            self._disk.write_new(fresh, data)
            self._disk.sync(fresh)
            self._disk.replace(fresh, part)
        except OSError:
            self._disk.remove(fresh)
            raise
        self._disk.sync_folder(part.parent)

    def rewrite(self, part: Path, data: bytes) -> None:
        """Put a part's own bytes into a new file, durably; the old one is untouched where that fails.

        Raises:
            UnsyncedError: It could not be done, and not for want of room.
            OSError: The disk is full.
        """
        try:
            self.write(part, data)
        except OSError as exc:
            raise _unless_full(exc) from exc

    def name(self, part: Path, path: str, proof: Proof) -> Path:
        """Give proven bytes their final name: sync the file, and name it. The part stays.

        Returns:
            The final path; its name is durable once ``sync_folder`` has been called for its folder.

        Raises:
            UnsyncedError: The file could not be synced, and not for want of room.
            OSError: The disk is full or fails.
        """
        self._sync(part)
        spare = part.with_suffix(".copy")
        wanted = self._output / path
        return name_file(self._disk, part, wanted, SUFFIXES[proof.format], spare=spare)

    def sync_folder(self, folder: Path) -> None:
        """Make the names in a folder durable; raises OSError."""
        self._disk.sync_folder(folder)

    def relative(self, final: Path) -> str:
        """A path inside the output folder as the record writes it."""
        return final.relative_to(self._output).as_posix()

    def _sync(self, part: Path) -> None:
        try:
            self._disk.sync(part)
        except OSError as exc:
            raise _unless_full(exc) from exc

    def _stay_inside(self, folder: Path) -> None:
        if folder.is_symlink() and not folder.resolve(strict=True).is_relative_to(self._output.resolve(strict=True)):
            raise OutputError(f"{folder} is a link that leads outside the output folder", remedy="remove the link")

    def _settle(self, parent: Path, child: Path) -> None:
        # A folder made by a run that died may not be durable yet, so having found it is no reason to skip this.
        if child in self._durable:
            return
        self._disk.sync_folder(parent)
        if len(self._durable) >= _REMEMBERED_FOLDERS:
            self._durable.clear()
        self._durable.add(child)


class WaitingShelf(Shelf):
    """A shelf of pictures that go elsewhere: they get no name here, and wait in their parts until they are there."""

    def name(self, part: Path, path: str, proof: Proof) -> Path:  # noqa: ARG002 - the name is given elsewhere
        """Make a part durable; raises as for a name. It is itself what is kept."""
        self._sync(part)
        return part


def _unless_full(error: OSError) -> Exception:
    """What a failed sync is to be raised as."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EROFS}:
        return error
    return UnsyncedError(error.strerror or str(error))
