"""Room in memory for what is sent with a request: had before it waits for its lane, and held until it ends."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pipeline.produce.halt import Halt
from pipeline.produce.judge import Errand
from pipeline.produce.partners import Darkroom


@asynccontextmanager
async def memory_for(errand: Errand, darkroom: Darkroom | None, halt: Halt) -> AsyncIterator[bool]:
    """Have room for an errand's input images; False where buying stopped before there was any."""
    if darkroom is None or not errand.ready:
        yield True
        return
    taken = False
    with halt.interruptible():
        await darkroom.take(errand.ready)
        taken = True
    try:
        yield taken
    finally:
        if taken:
            darkroom.give(errand.ready)
