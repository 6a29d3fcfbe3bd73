"""A disk as it may be found after a power loss: what was done to it, and which of that is there, by chance.

All times are places in one order of beginnings and ends of system calls.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from random import Random
from typing import TypeVar

T = TypeVar("T")

#: What a disk writes as one, in bytes.
SECTOR = 512
_ZEROS = bytes(SECTOR)
#: Before anything was done.
_NEVER = -1


class Mood:
    """How much of what was not synced is there, and in what pieces."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self._newest = chance.choice((0.0, 0.1, 0.5, 0.9, 1.0))
        #: Sectors that are written together: one, or a page of the usual file systems.
        self.together = chance.choice((1, 8))

    def is_there(self) -> bool:
        """Whether one change of a folder is there."""
        return self._chance.random() < self._newest

    def moment(self, moments: Sequence[int], safe: int) -> int:
        """As of when a piece is found, that changed at these moments since it was safe."""
        if not moments or self._chance.random() < self._newest:
            return moments[-1] if moments else safe
        return self._chance.choice((safe, *moments))


class _Synced:
    """Something that can be synced."""

    def __init__(self) -> None:
        self._syncs: list[tuple[int, int]] = []

    def sync(self, began: int, ended: int) -> None:
        """It was, in that time: what was done before it began is there once it has ended."""
        self._syncs.append((began, ended))

    def safe_until(self, at: int) -> int:
        """What was done by then is there after a power loss at a moment."""
        return max((began for began, ended in self._syncs if ended <= at), default=_NEVER)


class File(_Synced):
    """What a file holds, and held before."""

    def __init__(self) -> None:
        super().__init__()
        self._sectors: dict[int, list[tuple[int, bytes]]] = {}
        self._sizes: list[tuple[int, int]] = [(_NEVER, 0)]

    @property
    def size(self) -> int:
        """Its length now, in bytes."""
        return self._sizes[-1][1]

    def write(self, time: int, offset: int, data: bytes) -> None:
        """Put bytes somewhere."""
        end = offset + len(data)
        for number in range(offset // SECTOR, -(-end // SECTOR)):
            start = number * SECTOR
            versions = self._sectors.setdefault(number, [(_NEVER, _ZEROS)])
            old, first, last = versions[-1][1], max(offset - start, 0), min(end - start, SECTOR)
            versions.append((time, old[:first] + data[start + first - offset : start + last - offset] + old[last:]))
        if end > self.size:
            self._sizes.append((time, end))

    def resize(self, time: int, size: int) -> None:
        """Cut it off, or lengthen it with zeros."""
        for number, versions in self._sectors.items():
            kept = min(max(size - number * SECTOR, 0), SECTOR)
            if kept < SECTOR:
                versions.append((time, versions[-1][1][:kept] + bytes(SECTOR - kept)))
        self._sizes.append((time, size))

    def holds(self, place: Path) -> bool:
        """Whether a file holds the same now."""
        with place.open("rb") as file:
            for number, versions in self._sectors.items():
                file.seek(number * SECTOR)
                if file.read(SECTOR).ljust(SECTOR, b"\0") != versions[-1][1]:
                    return False
        return place.stat().st_size == self.size

    def leave(self, place: Path, at: int, mood: Mood) -> None:
        """Write it as it may be found: its length and each sector as of some moment since the last sync."""
        safe = self.safe_until(at)
        size = _as_of(self._sizes, mood.moment(_since(self._sizes, safe, at), safe))
        pieces: dict[int, list[int]] = {}
        for number in self._sectors:
            pieces.setdefault(number // mood.together, []).append(number)
        with place.open("wb") as file:
            file.truncate(size)
            for numbers in pieces.values():
                moments = sorted({time for number in numbers for time in _since(self._sectors[number], safe, at)})
                moment = mood.moment(moments, safe)
                for number in numbers:
                    file.seek(number * SECTOR)
                    file.write(_as_of(self._sectors[number], moment)[: max(size - number * SECTOR, 0)])


class Folder(_Synced):
    """What a folder names, and the changes that led there."""

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[str, File | Folder] = {}
        self._changes: list[tuple[int, Mapping[str, File | Folder | None]]] = []

    def change(self, time: int, names: Mapping[str, "File | Folder | None"]) -> None:
        """Give or take names, all in one step."""
        self._changes.append((time, names))
        _apply(self.names, names)

    def leave(self, place: Path, at: int, mood: Mood) -> None:
        """Write it as it may be found, with all in it: each change since the last sync may be missing."""
        safe = self.safe_until(at)
        found: dict[str, File | Folder] = {}
        for time, names in self._changes:
            if time <= safe or (time <= at and mood.is_there()):
                _apply(found, names)
        place.mkdir()
        for name, node in found.items():
            node.leave(place / name, at, mood)


def _apply(names: "dict[str, File | Folder]", change: "Mapping[str, File | Folder | None]") -> None:
    for name, node in change.items():
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node


def _since(versions: Sequence[tuple[int, object]], safe: int, at: int) -> list[int]:
    return [time for time, _ in versions if safe < time <= at]


def _as_of(versions: Sequence[tuple[int, T]], time: int) -> T:
    return versions[bisect_right(versions, time, key=lambda version: version[0]) - 1][1]


class Platter:
    """A disk with one folder, whose path is the root's."""

    def __init__(self) -> None:
        self.root = Folder()

    def at(self, path: PurePosixPath) -> "File | Folder | None":
        """What is at a path, relative to the root."""
        node: File | Folder | None = self.root
        for part in path.parts:
            node = node.names.get(part) if isinstance(node, Folder) else None
        return node

    def folder_of(self, path: PurePosixPath) -> Folder:
        """The folder that names a path; it is there."""
        folder = self.at(path.parent)
        assert isinstance(folder, Folder), path
        return folder
