"""The event loop of a process that does nothing but run: uvloop where it is installed, and a lazier collector."""

import gc
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import TypeVar, TypeVarTuple

import anyio

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

#: New objects before the collector looks: pictures leave no cycles behind, and each look costs.
_YOUNG = 20_000


def run_loop(work: Callable[[*Ts], Awaitable[T]], *arguments: *Ts) -> T:
    """Run to the end; for the command line, because it changes the collector of the whole process."""
    gc.freeze()  # what was imported stays
    gc.set_threshold(_YOUNG, 20, 20)
    return anyio.run(work, *arguments, backend_options={"use_uvloop": find_spec("uvloop") is not None})
