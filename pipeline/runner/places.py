"""Two ways to say where a file is: relative to the output folder, and relative to the ledger's, which records it."""

import os
import posixpath
from pathlib import Path, PurePosixPath


class Places:
    """Translates between the two, so that output and ledger may be moved together."""

    def __init__(self, output: Path, ledger_folder: Path) -> None:
        """Look once where links lead: a million rows ask.

        Args:
            output: The output folder.
            ledger_folder: Where the ledger is; what recorded paths are relative to.
        """
        self._output = output.resolve()
        self._ledger_folder = ledger_folder.resolve()
        self._between = PurePosixPath(os.path.relpath(self._output, self._ledger_folder)).as_posix()

    def recorded(self, path: str) -> str:
        """From relative to the output folder to what the ledger records."""
        return posixpath.normpath(f"{self._between}/{path}")

    def in_output(self, recorded: str) -> str | None:
        """From what the ledger records to relative to the output folder; None for a place outside it."""
        absolute = os.path.normpath(self._ledger_folder / recorded)
        try:
            return PurePosixPath(Path(absolute).relative_to(self._output)).as_posix()
        except ValueError:
            return None
