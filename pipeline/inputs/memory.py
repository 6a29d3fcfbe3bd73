"""The only module that bounds how much of the inputs is in memory at once: whoever wants more waits in a line."""

from collections import deque

import anyio

#: Bytes of files. What is sent of one takes about two and a half times as much besides: base64, and the body around it.
MAX_BYTES_HELD = 256_000_000


class Held:
    """A number of bytes of which parts are taken and given back; whoever came first is served first."""

    def __init__(self, most: int = MAX_BYTES_HELD) -> None:
        """Say how many there are.

        Args:
            most: More than these are never out, but for one who wants more by himself.
        """
        self._most = most
        self._free = most
        self._line: deque[tuple[int, anyio.Event]] = deque()

    async def take(self, size_bytes: int) -> None:
        """Wait for one's turn. Cancelled, nothing is taken."""
        wanted = min(size_bytes, self._most)
        if not self._line and wanted <= self._free:
            self._free -= wanted
            return
        turn = wanted, anyio.Event()
        self._line.append(turn)
        try:
            await turn[1].wait()
        except BaseException:  # cancelled, in the line or just after the turn
            if turn in self._line:
                self._line.remove(turn)
                self._serve()  # who stood behind may want less
            else:
                self.give(size_bytes)
            raise

    def give(self, size_bytes: int) -> None:
        """Give back what was taken."""
        self._free += min(size_bytes, self._most)
        self._serve()

    def _serve(self) -> None:
        while self._line and self._line[0][0] <= self._free:
            wanted, turn = self._line.popleft()
            self._free -= wanted
            turn.set()
