"""Where pictures are drawn: worker threads, few at a time, never the event loop."""

import anyio
from anyio import to_thread

from pipeline.simulator.drawing import Recipe, draw_picture

_THREADS = 2


class Studio:
    """Draws pictures one or two at a time; made inside a running event loop."""

    def __init__(self) -> None:
        self._limiter = anyio.CapacityLimiter(_THREADS)

    async def draw(self, recipe: Recipe) -> bytes:
        """The bytes of a picture."""
        return await to_thread.run_sync(draw_picture, recipe, limiter=self._limiter)
