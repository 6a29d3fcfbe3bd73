"""How long an event loop is kept from its timers, and how much of that is its own work."""

import asyncio
import time

#: How often it looks. A stretch is measured from the moment a look was due, so this adds nothing to it.
EVERY_S = 0.01


class LoopWatch:
    """Looks at the loop it is started on, until cancelled.

    Attributes:
        longest_stretch_ms: The most processor time that the loop's thread used between two looks. It holds at most
            ``EVERY_S`` of work that did not delay the second look, and nothing that other programs did.
        longest_wait_ms: The longest time, on the clock, that a look was late; other programs' doing is in it.
    """

    def __init__(self) -> None:
        self.longest_stretch_ms = 0.0
        self.longest_wait_ms = 0.0

    async def look(self) -> None:
        """Look again and again."""
        while True:
            due, used = time.monotonic() + EVERY_S, time.thread_time()
            await asyncio.sleep(EVERY_S)
            self.longest_wait_ms = max(self.longest_wait_ms, 1000 * (time.monotonic() - due))
            self.longest_stretch_ms = max(self.longest_stretch_ms, 1000 * (time.thread_time() - used))
