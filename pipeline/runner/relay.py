"""What Python itself would write to a process's standard error: passed on by the line, and without secrets."""

import io
import threading
from collections.abc import Callable, Sequence

from pipeline.discretion import discreet


class Relay(io.TextIOBase):
    """Stands in the place of ``sys.stderr``: a library's log, a warning, a thread's traceback come here.

    Several processes that share one standard error would mix their lines, and a traceback may repeat a key.
    """

    def __init__(self, tell: Callable[[str], None], *, secrets: Sequence[str] = ()) -> None:
        """Say who is told each line.

        Args:
            secrets: Left out of every line, besides what ``discreet`` leaves out.
        """
        self._tell = tell
        self._secrets = tuple(secrets)
        self._begun = ""
        self._lock = threading.RLock()  # what tells may be warned itself

    def writable(self) -> bool:
        """As of any stream that is written to."""
        return True

    def write(self, text: str, /) -> int:
        """Pass on the lines that are whole."""
        with self._lock:
            *lines, self._begun = (self._begun + text).split("\n")
            for line in lines:
                self._tell(discreet(line, self._secrets))
        return len(text)
