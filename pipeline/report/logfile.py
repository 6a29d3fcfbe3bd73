"""A log of events that stays small: its file is rotated, and only its owner may read it."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from pipeline.clock import Clock
from pipeline.errors import OutputError
from pipeline.report.events import EventLog, EventName

#: A file that would grow beyond that is put aside as ``.1``, and so on.
MAX_BYTES = 1 << 20
KEPT = 5


class LogFile(EventLog):
    """Appends events to a file, each in one write. What cannot be written is left out: a log never stops a run.

    Not the interpreter's own rotating handler: that keeps what a full disk refused, and fails again when it is closed.
    """

    def __init__(self, path: Path, clock: Clock, *, max_bytes: int = MAX_BYTES) -> None:
        """Open it, its folder made where there is none.

        Raises:
            OutputError: It cannot be made.
        """
        super().__init__(clock)
        self._path = path
        self._max_bytes = max_bytes
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._open()
        except OSError as error:
            raise OutputError(
                f"{path}: the log cannot be written ({error.strerror})", remedy="name another with --log-file"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            os.close(self._handle)

    def log(self, event: EventName, facts: Mapping[str, Any]) -> None:
        """Append one event."""
        data = f"{self.line(event, facts)}\n".encode()
        with suppress(OSError):
            if os.fstat(self._handle).st_size + len(data) > self._max_bytes:
                self._rotate()
            os.write(self._handle, data)

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._handle = os.open(self._path, flags, 0o600)

    def _rotate(self) -> None:
        names = [self._path, *(self._path.with_name(f"{self._path.name}.{number}") for number in range(1, KEPT + 1))]
        for older, newer in zip(reversed(names), reversed(names[:-1]), strict=False):
            with suppress(FileNotFoundError):
                newer.replace(older)
        os.close(self._handle)
        self._open()
