"""The only module of the download side that calls the file system: one seam, where tests make any step fail."""

import contextlib
import hashlib
import os
import shutil
import stat
import sys
from pathlib import Path

# Not every platform has them; where they are missing the name is opened without that guard.
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_NO_BLOCK = getattr(os, "O_NONBLOCK", 0)
_BINARY = getattr(os, "O_BINARY", 0)
# Windows syncs only what was opened for writing; elsewhere a file that is ours to read is enough.
_SYNC_MODE = os.O_RDWR if sys.platform == "win32" else os.O_RDONLY


class Disk:
    """The machine's file system. Every method raises OSError, and blocks: call from a thread."""

    def make_folder(self, folder: Path) -> None:
        """Make one folder unless it is there."""
        folder.mkdir(exist_ok=True)

    def create(self, path: str, flags: int) -> int:
        """Open as ``open(..., opener=)`` asks, never through a symbolic link; returns the descriptor."""
        return os.open(path, flags | _NO_FOLLOW, 0o666)

    def write_new(self, path: Path, data: bytes) -> None:
        """Write a file that must not exist yet."""
        # Bare calls: each call of the system lets go of the interpreter's lock, and file objects make twice as many.
        descriptor = self.create(str(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | _BINARY)
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(descriptor, left) :]
        finally:
            os.close(descriptor)

    def read(self, path: Path, *, cap_bytes: int) -> bytes | None:
        """Read a file; None where there is none, or something that is no regular file of at most ``cap_bytes``."""
        status = self.look(path)
        if status is None or not stat.S_ISREG(status.st_mode) or status.st_size > cap_bytes:
            return None
        # Without waiting for a writer, should the file have turned into a pipe since.
        with open(path, "rb", opener=lambda name, flags: self.create(name, flags | _NO_BLOCK)) as file:
            return file.read(cap_bytes + 1)

    def copy_new(self, source: Path, target: Path) -> None:
        """Copy a file's bytes to a name that must be free."""
        with source.open("rb") as bytes_in, open(target, "xb", opener=self.create) as bytes_out:
            shutil.copyfileobj(bytes_in, bytes_out)

    def digest(self, path: Path) -> bytes:
        """The SHA-256 of a file's bytes."""
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()

    def look(self, path: Path) -> os.stat_result | None:
        """What is at a name, symbolic links not followed; None when nothing is."""
        try:
            return path.lstat()
        except FileNotFoundError:
            return None

    def sync(self, path: Path) -> None:
        """Make a file's bytes durable."""
        descriptor = self.create(str(path), _SYNC_MODE | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def sync_folder(self, folder: Path) -> None:
        """Make a folder's names durable."""
        if sys.platform != "win32":  # which has no way to ask for it
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def link(self, source: Path, target: Path) -> None:
        """Give a file a second name that must be free."""
        os.link(source, target, follow_symlinks=False)

    def replace(self, source: Path, target: Path) -> None:
        """Rename, over what may be there."""
        source.replace(target)

    def remove(self, path: Path) -> None:
        """Remove a file if it is there."""
        with contextlib.suppress(FileNotFoundError):
            path.unlink()

    def free_bytes(self, folder: Path) -> int:
        """The room left for this user where a folder lives."""
        return shutil.disk_usage(folder).free
