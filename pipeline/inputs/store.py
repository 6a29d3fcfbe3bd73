"""The only module that knows ``.inputs/``: what was fetched from URLs, under its digest, within bounds."""

import contextlib
import hashlib
import json
import os
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pipeline.inputs.validators import Validators

#: In the output folder. What is in it can be fetched again, so it may be removed at any time.
FOLDER = ".inputs"
#: In that: what servers said of images, by their URLs' digests.
NOTES = "urls"
#: More than this is not kept: the oldest goes.
MAX_STORE_BYTES = 4 << 30
#: So much is let go at a time, so that not every file costs a look through the folder.
_SPARE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """An image that came from a URL, and is still here."""

    sha256: str
    validators: Validators


@dataclass(slots=True)
class Store:
    """A folder of input images, named by their SHA-256. Every method blocks; call from a thread.

    Attributes:
        output: The output folder.
        limit_bytes: The most that is kept.
    """

    output: Path
    limit_bytes: int = MAX_STORE_BYTES
    _held: int | None = field(default=None, init=False)

    @property
    def folder(self) -> Path:
        """Where it is; made when something is put into it."""
        return self.output / FOLDER

    def path(self, sha256: str) -> Path:
        """Where an image of that digest is, if it is there."""
        return self.folder / sha256[:2] / sha256

    def spare(self) -> Path:
        """A free name for bytes on their way in."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / f"{secrets.token_hex(8)}.part"

    def take(self, part: Path, sha256: str) -> Path:
        """Keep what came, under its digest."""
        kept = self.path(sha256)
        kept.parent.mkdir(exist_ok=True)
        part.replace(kept)
        self._bound(kept)
        return kept

    def remember(self, url: str, sha256: str, validators: Validators | None) -> None:
        """Keep by which marks a URL's image can be asked for again; None: by none, and earlier ones are forgotten."""
        note = self._note(url)
        if validators is None:
            note.unlink(missing_ok=True)
            return
        note.parent.mkdir(exist_ok=True)
        part = self.spare()
        part.write_text(json.dumps({"sha256": sha256, **asdict(validators)}), encoding="utf-8")
        part.replace(note)

    def recall(self, url: str) -> Kept | None:
        """What is kept of a URL, with the marks it came with; None unless its bytes are those that came.

        It is as fresh as what came now.
        """
        note = self._note(url)
        try:
            told = json.loads(note.read_bytes())
            kept = Kept(sha256=told.pop("sha256"), validators=Validators(**told))
            path = self.path(kept.sha256)
            with path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != kept.sha256:
                    return None
            for each in (note, path):
                os.utime(each)
        except (OSError, ValueError, LookupError, TypeError, AttributeError):  # gone, cut off, or somebody else's
            return None
        return kept

    def _note(self, url: str) -> Path:
        """By the URL's digest: it may hold a signature."""
        return self.folder / NOTES / f"{hashlib.sha256(url.encode()).hexdigest()}.json"

    def drop(self, part: Path) -> None:
        """Let go of what came."""
        part.unlink(missing_ok=True)

    def _bound(self, kept: Path) -> None:
        if self._held is not None:
            self._held += kept.stat().st_size
            if self._held <= self.limit_bytes:
                return
        files = sorted(self._files())
        self._held = sum(size for _, size, _ in files)
        goal = self.limit_bytes - self.limit_bytes // _SPARE if self._held > self.limit_bytes else self._held
        for _, size, path in files:
            if self._held <= goal:
                return
            if path != kept:
                path.unlink(missing_ok=True)
                self._held -= size

    def _files(self) -> list[tuple[float, int, Path]]:
        """What is there: its age, its size, and where. A part is old when the process that made it must be dead."""
        found = []
        for folder, _, names in os.walk(self.folder):
            for name in names:
                path = Path(folder, name)
                with contextlib.suppress(OSError):
                    facts = path.stat(follow_symlinks=False)
                    found.append((facts.st_mtime, facts.st_size, path))
        return found
