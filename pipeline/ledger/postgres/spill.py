"""What a run has paid for while the server is away, in a file beside the pictures, until the server has it."""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pipeline.ledger.address import MARK

_START = f"{MARK}-spill-"


class Spill:
    """One run's file; it is there only while something is in it that the server may not have."""

    def __init__(self, folder: Path, run_id: str) -> None:
        self.path = folder / f"{_START}{run_id}"
        self._told: set[int] = set()

    def keep(self, calls: Iterable[dict[str, Any]]) -> None:
        """Make calls durable here; those that are, already, are not written again.

        Only their owner may read them: an address of a picture is good for whoever has it.

        Raises:
            OSError: It cannot be written.
        """
        fresh = [call for call in calls if id(call) not in self._told]
        if not fresh:
            return
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(b"".join(json.dumps(call).encode() + b"\n" for call in fresh))
            file.flush()
            os.fsync(handle)
        if not self._told:
            _sync(self.path.parent)
        self._told |= {id(call) for call in fresh}

    def done(self, calls: Iterable[dict[str, Any]]) -> None:
        """The server has these; the file goes with the last."""
        if not self._told:
            return
        self._told -= {id(call) for call in calls}
        if not self._told:
            self.path.unlink(missing_ok=True)


def left_behind(folder: Path) -> Iterator[tuple[str, Path, list[dict[str, Any]]]]:
    """What runs have left here: each one's run_id, file and calls. A line that a crash cut off is none."""
    for path in sorted(folder.glob(f"{_START}*")):
        yield path.name.removeprefix(_START), path, list(_calls(path.read_text("utf-8", "replace")))


def _calls(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        try:
            call = json.loads(line)
        except ValueError:
            continue
        if isinstance(call, dict) and {"step", "with"} <= call.keys():
            yield call


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
