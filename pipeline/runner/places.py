"""Two ways to say where a file is: relative to the output folder, and relative to the ledger's, which records it."""

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath


@dataclass(frozen=True, slots=True)
class Places:
    """Translates between the two, so that output and ledger may be moved together.

    Attributes:
        output: The output folder.
        ledger_folder: Where the ledger is; what recorded paths are relative to.
    """

    output: Path
    ledger_folder: Path

    def recorded(self, path: str) -> str:
        """From relative to the output folder to what the ledger records."""
        return PurePosixPath(os.path.normpath(PurePosixPath(self._between(), path))).as_posix()

    def in_output(self, recorded: str) -> str | None:
        """From what the ledger records to relative to the output folder; None for a place outside it."""
        absolute = os.path.normpath(self.ledger_folder.resolve() / recorded)
        try:
            return PurePosixPath(Path(absolute).relative_to(self.output.resolve())).as_posix()
        except ValueError:
            return None

    def _between(self) -> str:
        return os.path.relpath(self.output.resolve(), self.ledger_folder.resolve())
