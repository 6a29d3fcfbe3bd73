"""Where pictures are drawn: worker threads, few at a time, never the event loop."""

from collections.abc import Callable

import anyio
from anyio import to_thread

from pipeline.simulator.drawing import Recipe, draw_picture
from pipeline.simulator.edits import Sitter, sit

_THREADS = 2


class Studio:
    """Draws pictures one or two at a time; made inside a running event loop."""

    def __init__(self) -> None:
        self._limiter = anyio.CapacityLimiter(_THREADS)

    async def look(self, fetch: Callable[[], bytes]) -> Sitter:
        """An input image, as far as a picture of it needs it.

        Raises:
            RefusalError: It will not do.
        """
        return await to_thread.run_sync(lambda: sit(fetch()), limiter=self._limiter)

    async def draw(self, recipe: Recipe) -> bytes:
        """The bytes of a picture."""
        return await to_thread.run_sync(draw_picture, recipe, limiter=self._limiter)
