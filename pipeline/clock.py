"""Time as the stages see it: given to them, so that tests and simulations run on a clock of their own."""

import time
from typing import Protocol

import anyio


class Clock(Protocol):
    """Two clocks and a wait. Intervals inside a process use ``monotonic``; what other processes read uses ``wall``."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary moment; never goes back."""
        ...

    def wall(self) -> float:
        """Seconds since 1970 UTC; may jump when somebody sets the machine's clock."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait that long on the monotonic clock."""
        ...


def uptime() -> float:
    """Seconds since this machine was started, those in which it or this process slept included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class SystemClock:
    """The machine's own clocks."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary moment; never goes back."""
        return time.monotonic()

    def wall(self) -> float:
        """Seconds since 1970 UTC."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Wait that long."""
        await anyio.sleep(seconds)
