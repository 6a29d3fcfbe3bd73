"""The shards that a worker has in hand: how many, how far each is, and when there are none."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pipeline.report import Snapshot


@dataclass(slots=True)
class Hands:
    """What is in hand, by its number. Used inside one event loop."""

    _runs: dict[int, tuple[str, Callable[[], Snapshot]]] = field(default_factory=dict)
    _at_work: int = 0
    _free: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        """Begin with nothing in hand."""
        self._free.set()

    @contextmanager
    def at(self, number: int) -> Iterator[None]:
        """While something is done about a shard, whether it comes to a run or not."""
        self._at_work += 1
        self._free.clear()
        try:
            yield
        finally:
            self._runs.pop(number, None)
            self._at_work -= 1
            if not self._at_work:
                self._free.set()

    def watch(self, number: int, name: str, snapshot: Callable[[], Snapshot]) -> None:
        """Take note of a shard's run, which can be asked how far it is from here on."""
        self._runs[number] = name, snapshot

    async def empty(self) -> None:
        """Wait until nothing is in hand."""
        await self._free.wait()

    def told(self) -> list[Mapping[str, Any]]:
        """Each run as the board tells of it."""
        return [_told(name, snapshot()) for name, snapshot in self._runs.values()]


def _told(name: str, now: Snapshot) -> Mapping[str, Any]:
    return {
        "shard": name,
        "stored": now.stored,
        "to_buy": now.to_buy,
        "in_flight": now.in_flight,
        "queued": now.queued,
        "waiting": now.waiting,
    }
