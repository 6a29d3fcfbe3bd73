"""Input images of edits, as they were fetched and as they were sent: which of them no job needs any more."""

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.job import PREPARED, prepared_name
from pipeline.ledger.address import Address
from pipeline.ledger.sql import Connection

#: Below the folder of what was fetched: an image by its digest; bytes that were on their way in, and notes of URLs.
_FETCHED = re.compile(r"[0-9a-f]{64}")
_PASSING = re.compile(r"[0-9a-f]{16}\.part|[0-9a-f]{64}\.json")
#: An edit among the jobs, in the compact JSON of what was asked.
_EDITS = '%"inputs":["%'


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFile:
    """A file of an input image.

    Attributes:
        path: Relative to the ledger's folder where it is below that, else absolute.
        touched_at: When it was last made or used, in seconds since 1970.
    """

    path: str
    touched_at: float
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A job with inputs that are still needed.

    Attributes:
        asked: What was asked, with the digests of its inputs.
        wanted: Where its picture is wanted, without a suffix.
    """

    asked: dict[str, Any]
    wanted: str | None


def edits(connection: Connection, columns: str, values: dict[str, Any]) -> Iterator[tuple[Edit, tuple[Any, ...]]]:
    """Every job with inputs, once for each place that wants it, with further columns of it."""
    rows = connection.execute(
        f"SELECT jobs.asked, own.wanted, {columns} FROM jobs LEFT JOIN placements own ON own.job = jobs.id"  # noqa: S608 - the caller's text
        " WHERE jobs.asked LIKE :edits",
        {**values, "edits": _EDITS},
    )
    for asked, wanted, *rest in rows:
        told = json.loads(asked)
        if told.get("inputs"):
            yield Edit(asked=told, wanted=wanted), tuple(rest)


class Pantry:
    """All files of inputs that are there, until those that are needed have been taken out."""

    def __init__(self, ledger: Address, fetched: Path | None, folders: Iterable[str]) -> None:
        """Look for them; links are not followed.

        Args:
            fetched: The folder of what was fetched; None: it is left alone.
            folders: Those with pictures, relative to the ledger's folder.
        """
        self._home = ledger.parent
        self._by_digest: dict[str, InputFile] = {}
        self._passing: list[InputFile] = []
        self._by_place: dict[str, dict[str, InputFile]] = {}
        self._known: set[str] = set()
        self.size_bytes = 0
        if fetched is not None and not fetched.is_symlink():
            for folder, _, _ in os.walk(fetched):
                self._scan(Path(folder), self._take_fetched)
        for each in dict.fromkeys(folders):
            self._scan(self._home / each, self._take_prepared)

    def need(self, edit: Edit) -> None:
        """Take out what a job still needs."""
        for sha256 in edit.asked["inputs"]:
            self._by_digest.pop(sha256, None)
        here = self._by_place.get(edit.wanted or "", {})
        for number in range(len(edit.asked["inputs"]) if here else 0):
            here.pop(prepared_name(str(edit.wanted), edit.asked, number), None)

    def know(self, edit: Edit) -> None:
        """Take what was prepared for such a place as this ledger's business; of other places it is somebody else's."""
        if edit.wanted in self._by_place:
            self._known.add(str(edit.wanted))

    def left(self) -> list[InputFile]:
        """What nobody needs, the oldest first."""
        prepared = [file for place in self._known for file in self._by_place[place].values()]
        found = [*self._by_digest.values(), *self._passing, *prepared]
        return sorted(found, key=lambda file: (file.touched_at, file.path))

    def _scan(self, folder: Path, take: Callable[[str, InputFile], None]) -> None:
        with suppress(OSError):
            for entry in os.scandir(folder):
                if entry.is_file(follow_symlinks=False):
                    facts = entry.stat(follow_symlinks=False)
                    path = folder / entry.name
                    told = path.relative_to(self._home) if path.is_relative_to(self._home) else path.absolute()
                    take(
                        entry.name,
                        InputFile(path=told.as_posix(), touched_at=facts.st_mtime, size_bytes=facts.st_size),
                    )

    def _take_fetched(self, name: str, file: InputFile) -> None:
        if _FETCHED.fullmatch(name):
            self._by_digest[name] = file
        elif _PASSING.fullmatch(name):
            self._passing.append(file)
        else:
            return
        self.size_bytes += file.size_bytes

    def _take_prepared(self, name: str, file: InputFile) -> None:
        match = PREPARED.fullmatch(name)
        if match is None:
            return
        if match["place"] is None:  # on its way, when its process died
            self._passing.append(file)
        else:
            place = PurePosixPath(file.path).with_name(match["place"]).as_posix()
            self._by_place.setdefault(place, {})[file.path] = file
        self.size_bytes += file.size_bytes
