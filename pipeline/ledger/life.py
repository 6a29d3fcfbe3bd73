"""How a run on a ledger's file shows that it lives, from its first record to its last."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pipeline.ledger import runfile
from pipeline.ledger.runfile import RunFile
from pipeline.ledger.sql import Connection

T = TypeVar("T")


class FileLife:
    """Keeps the file of the run that is on; all of it on the committer's thread, but for ``close``."""

    def __init__(self, ledger: Path) -> None:
        self._ledger = ledger
        self._file: RunFile | None = None

    def beginning(self, step: Callable[[Connection], T], *, run_id: str, purpose: str) -> Callable[[Connection], T]:
        """The step that begins a run, with the run's file made before it."""

        def begin(connection: Connection) -> T:
            self._drop()
            runfile.sweep(self._ledger)
            self._file = RunFile.make(self._ledger, run_id, purpose=purpose)
            try:
                return step(connection)
            except BaseException:  # closed or undone, whatever it is, and raised again
                self._drop()
                raise

        return begin

    def ending(self, step: Callable[[Connection], T]) -> Callable[[Connection], T]:
        """The step that ends a run, with the run's file gone after it."""

        def end(connection: Connection) -> T:
            came = step(connection)
            self._drop()
            return came

        return end

    @property
    def handle(self) -> int:
        """The descriptor of the run's file, which a process that is a part of the run inherits; ValueError without."""
        if self._file is None:
            raise ValueError(f"{self._ledger}: no run is on")
        return self._file.handle

    def join(self, run_id: str, handle: int) -> None:
        """Be a part of a run that another process has begun and will end."""
        self._file = RunFile.inherited(self._ledger, run_id, handle)

    def alive(self, run_id: str) -> bool:
        """Whether the run of that id is on."""
        return runfile.is_alive(self._ledger, run_id)

    def give_way(self) -> bool:
        """Make room on a full disk; whether there was any to make."""
        return self._file is not None and self._file.give_way()

    def close(self) -> None:
        """A run that was not ended is dead from here on."""
        if self._file is not None:
            self._file.close()

    def _drop(self) -> None:
        if self._file is not None:
            self._file.remove()
            self._file = None
