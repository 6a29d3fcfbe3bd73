"""What a command did to a disk and said to the provider, in that order: read from its system calls."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import ClassVar

from tests.torture.platters import File, Folder, Platter
from tests.torture.tracing import FILE_CALLS, Call

#: What strace is told to write down: every byte, in hexadecimal.
OPTIONS = (
    "-xx", "-s", "10000000", "-e",
    f"trace={','.join((*FILE_CALLS, 'openat', 'write', 'writev', 'sendto', 'sendmsg'))}",
)  # fmt: skip

_STRING = re.compile(rb'"((?:\\x[0-9a-f]{2})*)"')
_DESCRIPTOR = re.compile(rb"(\d+)<((?:\\x[0-9a-f]{2})*)>(.*)", re.DOTALL)
_ASKED = re.compile(rb'^POST .*"prompt": ?"([^"]+)"', re.DOTALL)
_PART = re.compile(r"\.([0-9a-f]{32})\.part")


class History:
    """One disk, and the commands that ran on it one after the other.

    Attributes:
        asked: When the provider was asked for which prompt.
        paid: When something was done that is done only once the answer for a job is on record, by half of its key.
        ends: When each call began or ended, in order.
    """

    def __init__(self, root: Path, *, inline: bool) -> None:
        self.platter = Platter()
        self.asked: list[tuple[int, str]] = []
        self.paid: list[tuple[int, str]] = []
        self.ends: list[int] = []
        self._root = root
        self._inline = inline
        self._began = 0
        self._open: dict[int, tuple[File | Folder | None, int]] = {}

    def goes_on(self, calls: list[Call]) -> None:
        """Another command ran, and this is what it did."""
        self._open.clear()
        done = [(self._began + call.ended, call) for call in calls if call.ended is not None]
        for ended, call in sorted(done, key=lambda pair: pair[0]):
            began = self._began + call.began
            self.ends += [began, ended]
            self._note(began, call)
            act = self._ACTS.get(call.name)
            if act is not None and call.result is not None and call.result >= 0:
                act(self, call, began, ended)
        self.ends = sorted(set(self.ends))
        self._began = self.ends[-1] + 1

    def is_as(self, folder: Path) -> bool:
        """Whether a folder of the root holds what it should by now; the index in shared memory is not written down."""
        return _same(self.platter.root.names.get(folder.name), folder)

    def _note(self, began: int, call: Call) -> None:
        """Note what is said to the provider, and what tells that an answer is on record."""
        if call.name in {"write", "writev", "sendto", "sendmsg"}:
            said = _ASKED.match(b"".join(_strings(call)))
            if said:
                self.asked.append((began, said[1].decode()))
            return
        for path in map(self._inside, _paths(call)):
            part = path and _PART.fullmatch(path.name)
            # An inline picture has its part before the answer is on record; it is linked only after that.
            if part and (not self._inline or call.name == "linkat"):
                self.paid.append((began, part[1]))

    def _inside(self, path: str) -> PurePosixPath | None:
        """A path relative to the root; None where it is elsewhere."""
        whole = self._root / path
        return PurePosixPath(whole.relative_to(self._root)) if whole.is_relative_to(self._root) else None

    def _opened(self, call: Call, began: int, ended: int) -> None:
        (name,) = _paths(call)
        path = self._inside(name)
        assert call.result is not None
        self._open.pop(call.result, None)
        if path is None:
            return
        node = self.platter.at(path)
        if node is None and b"O_CREAT" in call.arguments:
            node = File()
            self.platter.folder_of(path).change(ended, {path.name: node})
        self._open[call.result] = node, 0

    def _wrote(self, call: Call, began: int, ended: int) -> None:
        number, node, _ = self._file_of(call)
        if node is None:
            return
        offset = self._open[number][1]
        assert call.result is not None
        node.write(ended, offset, _strings(call)[0][: call.result])
        self._open[number] = node, offset + call.result

    def _wrote_at(self, call: Call, began: int, ended: int) -> None:
        _, node, rest = self._file_of(call)
        if node is not None:
            node.write(ended, int(rest.rpartition(b",")[2]), _strings(call)[0][: call.result])

    def _resized(self, call: Call, began: int, ended: int) -> None:
        _, node, rest = self._file_of(call)
        if node is not None:
            node.resize(ended, int(rest.rpartition(b",")[2]))

    def _allotted(self, call: Call, began: int, ended: int) -> None:
        _, node, rest = self._file_of(call)
        if node is not None:
            offset, length = map(int, rest.split(b",")[-2:])
            node.resize(ended, max(node.size, offset + length))

    def _synced(self, call: Call, began: int, ended: int) -> None:
        found = _DESCRIPTOR.match(call.arguments)
        assert found is not None
        node, _ = self._open.get(int(found[1]), (None, 0))
        if node is not None:
            node.sync(began, ended)

    def _linked(self, call: Call, began: int, ended: int) -> None:
        old, new = map(self._inside, _paths(call))
        assert old is not None
        assert new is not None
        self.platter.folder_of(new).change(ended, {new.name: self.platter.at(old)})

    def _renamed(self, call: Call, began: int, ended: int) -> None:
        old, new = map(self._inside, _paths(call))
        assert old is not None
        assert new is not None
        assert old.parent == new.parent
        self.platter.folder_of(new).change(ended, {old.name: None, new.name: self.platter.at(old)})

    def _removed(self, call: Call, began: int, ended: int) -> None:
        (name,) = _paths(call)
        if path := self._inside(name):
            self.platter.folder_of(path).change(ended, {path.name: None})

    def _made(self, call: Call, began: int, ended: int) -> None:
        (name,) = _paths(call)
        if path := self._inside(name):
            self.platter.folder_of(path).change(ended, {path.name: Folder()})

    def _file_of(self, call: Call) -> tuple[int, File | None, bytes]:
        """The descriptor, its file unless it is something else, and what stands after it."""
        found = _DESCRIPTOR.match(call.arguments)
        assert found is not None, call
        number, path = int(found[1]), _bytes(found[2])
        node = self._open.get(number, (None, 0))[0] if path.startswith(bytes(self._root) + b"/") else None
        return number, node if isinstance(node, File) else None, found[3]

    _ACTS: ClassVar[Mapping[str, Callable[["History", Call, int, int], None]]] = {
        "openat": _opened,
        "write": _wrote,
        "pwrite64": _wrote_at,
        "ftruncate": _resized,
        "fallocate": _allotted,
        "fsync": _synced,
        "fdatasync": _synced,
        "link": _linked,
        "linkat": _linked,
        "rename": _renamed,
        "renameat": _renamed,
        "renameat2": _renamed,
        "unlink": _removed,
        "unlinkat": _removed,
        "rmdir": _removed,
        "mkdir": _made,
        "mkdirat": _made,
    }


def _bytes(text: bytes) -> bytes:
    return bytes.fromhex(text.replace(rb"\x", b"").decode())


def _strings(call: Call) -> list[bytes]:
    return [_bytes(text) for text in _STRING.findall(call.arguments)]


def _paths(call: Call) -> list[str]:
    return [text.decode() for text in _strings(call)] if not _DESCRIPTOR.match(call.arguments) else []


def _same(node: File | Folder | None, place: Path) -> bool:
    if isinstance(node, Folder):
        names = {path.name for path in place.iterdir()} if place.is_dir() else None
        return names == node.names.keys() and all(_same(child, place / name) for name, child in node.names.items())
    if place.name.endswith("-shm"):
        return True
    return node is not None and place.is_file() and node.holds(place)
