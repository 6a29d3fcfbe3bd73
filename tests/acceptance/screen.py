"""A terminal that a test holds the far end of."""

import os
import pty
import re


class FakeScreen:
    """The far end of a pseudo-terminal: what a command writes there, and what a person types."""

    def __init__(self, told: list[bytes]) -> None:
        self.told = told
        self._near, self.terminal = pty.openpty()
        os.set_blocking(self._near, False)
        self._seen = b""

    def close(self) -> None:
        self.text()
        self.told.append(self._seen)
        os.close(self._near)
        os.close(self.terminal)

    def text(self) -> str:
        """Everything written so far."""
        try:
            while piece := os.read(self._near, 65536):
                self._seen += piece
        except (BlockingIOError, OSError):
            pass
        return self._seen.decode(errors="replace")

    def plain(self) -> str:
        """The same without colours and movements."""
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", self.text())

    def type(self, words: str) -> None:
        os.write(self._near, words.encode())
