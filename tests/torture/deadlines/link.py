"""A fluid model of the way in: a link that all share, hosts with bounds of their own, connections that stall or break.

One byte stands for a kilobyte, so that thousands of pictures of one to two megabytes are fetched in seconds.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from itertools import pairwise
from random import Random

import anyio
from PIL import Image

from pipeline.transport import Download, LostError, NeverSentError
from tests.torture.simulation.timeline import VirtualLoop

#: How finely the fluid flows, in seconds.
TICK_S = 0.1
#: What a connection hands over at a time: so many bytes, or what came in so many seconds.
CHUNK_BYTES, CHUNK_S = 256, 0.5
#: The transport's own patience with a silent connection.
READ_S = 30.0

#: KB/s by the moment from which they hold, the first from 0.
Speeds = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostModel:
    """One place where pictures are handed out.

    Attributes:
        share: Its part of the pictures, beside the other hosts'.
        speed: KB/s in all.
        per_connection: KB/s of one connection.
        ranges: Whether it resumes.
        most: More connections than these are turned away with 429.
        not_yet_s: A new picture is not found for so long.
    """

    share: float = 1.0
    speed: Speeds = ((0.0, 1e9),)
    per_connection: float = 1e9
    ranges: bool = True
    most: int = 1000
    not_yet_s: float = 0.0


@dataclass(slots=True)
class Picture:
    """What a URL leads to."""

    data: bytes
    host: str
    made_at: float
    dies_at: float


@dataclass(eq=False, slots=True)
class _Flow:
    host: str
    left: float
    stalls_at: float
    come: float = 0.0
    taken: int = 0
    waits_for: float = 0.0
    woken: asyncio.Event = field(default_factory=asyncio.Event)


def at(speeds: Speeds, moment: float) -> float:
    """The speed that holds at a moment."""
    return [speed for since, speed in speeds if since <= moment][-1]


def carried(speeds: Speeds, since: float, until: float) -> float:
    """What could come between two moments, in KB."""
    marks = sorted({since, until, *(moment for moment, _ in speeds if since < moment < until)})
    return sum(at(speeds, first) * (last - first) for first, last in pairwise(marks))


def shared(capacity: float, wants: Sequence[float]) -> list[float]:
    """Give each what it wants, or an equal part of what the modest leave."""
    given, left = [0.0] * len(wants), capacity
    for done, place in enumerate(sorted(range(len(wants)), key=wants.__getitem__)):
        given[place] = min(wants[place], left / (len(wants) - done))
        left -= given[place]
    return given


@cache
def drawn() -> tuple[bytes, ...]:
    """Pictures of one to two thousand bytes."""
    pictures = []
    for number in range(24):
        side = 17 + number // 3
        noise = Image.frombytes("RGB", (side, side), Random(number).randbytes(3 * side * side))
        buffer = BytesIO()
        noise.save(buffer, "PNG")
        pictures.append(buffer.getvalue())
    return tuple(pictures)


class LinkModel:
    """In the place of the download transport.

    Args:
        speed: KB/s of the link that all hosts share.
        hosts: By name.
        stalls: Which part of the connections stands still for ever, somewhere on the way.
        cuts: Which part breaks off.
    """

    def __init__(
        self,
        *,
        loop: VirtualLoop,
        chance: Random,
        speed: Speeds,
        hosts: Mapping[str, HostModel],
        stalls: float = 0.0,
        cuts: float = 0.0,
    ) -> None:
        self.pictures: dict[str, Picture] = {}
        self.busiest = 0
        self.resumed = 0
        self._loop = loop
        self._chance = chance
        self._speed = speed
        self._hosts = hosts
        self._stalls = stalls
        self._cuts = cuts
        self._flows: dict[_Flow, None] = {}  # in the order of their beginning
        self._ticking = False

    @asynccontextmanager
    async def get(self, url: str, headers: Mapping[str, str] | None = None) -> AsyncIterator[Download]:
        """Answer as the host would."""
        picture = self.pictures[url]
        model = self._hosts[picture.host]
        await anyio.sleep(self._chance.uniform(0.05, 0.25))
        await self._connect(model)
        now = self._loop.now
        if sum(flow.host == picture.host for flow in self._flows) >= model.most:
            yield _answer(429)
        elif now >= picture.dies_at or now < picture.made_at + model.not_yet_s:
            yield _answer(404)
        else:
            start = 0
            if headers and model.ranges:
                assert headers["If-Range"] == '"strong"'
                start = int(headers["Range"].removeprefix("bytes=").removesuffix("-"))
                self.resumed += 1
            flow = _Flow(picture.host, left=len(picture.data) - start, stalls_at=self._fate(self._stalls))
            self._flows[flow] = None
            self.busiest = max(self.busiest, len(self._flows))
            self._tick_on()
            try:
                yield self._download(picture, flow, start)
            finally:
                self._flows.pop(flow)

    async def _connect(self, model: HostModel) -> None:
        """Nothing answers while nothing moves at all."""
        until = self._loop.now + 10
        while not at(model.speed, self._loop.now) or not at(self._speed, self._loop.now):
            if self._loop.now >= until:
                raise NeverSentError("cdn.example: no connection in time", kind="connect_timeout")
            await anyio.sleep(0.5)

    def _fate(self, likely: float) -> float:
        return self._chance.uniform(0, 2000) if self._chance.random() < likely else 1e9

    def _download(self, picture: Picture, flow: _Flow, start: int) -> Download:
        total = len(picture.data)
        headers = {"etag": '"strong"'} if self._hosts[picture.host].ranges else {}
        if start:
            headers["content-range"] = f"bytes {start}-{total - 1}/{total}"
        return Download(
            status=206 if start else 200,
            length=total - start,
            content_type="image/png",
            chunks=self._pour(picture.data[start:], flow, self._fate(self._cuts)),
            headers=headers,
        )

    async def _pour(self, data: bytes, flow: _Flow, cut_at: float) -> AsyncIterator[bytes]:
        while flow.taken < len(data):
            flow.waits_for, since = min(CHUNK_BYTES, len(data) - flow.taken), self._loop.now
            while flow.come - flow.taken < flow.waits_for - 1e-6:
                if self._loop.now - since >= CHUNK_S and flow.come - flow.taken >= 1:
                    break
                if self._loop.now - since >= READ_S:
                    raise LostError("cdn.example: nothing came in time", kind="timeout")
                flow.woken.clear()
                with anyio.move_on_after(CHUNK_S):
                    await flow.woken.wait()
            chunk = data[flow.taken : int(flow.come + 1e-6)]
            flow.taken += len(chunk)
            if flow.taken >= cut_at:
                raise LostError("cdn.example: the connection broke", kind="cut")
            yield chunk

    # --- the fluid ---------------------------------------------------------------------------------------------

    def _tick_on(self) -> None:
        if not self._ticking:
            self._ticking = True
            self._loop.call_later(TICK_S, self._tick)

    def _tick(self) -> None:
        self._ticking = False
        flows = list(self._flows)
        wants = dict.fromkeys(flows, 0.0)
        for name, model in self._hosts.items():
            here = [flow for flow in flows if flow.host == name and flow.come < flow.stalls_at and flow.left > 0]
            for flow, want in zip(
                here, shared(at(model.speed, self._loop.now), [model.per_connection] * len(here)), strict=True
            ):
                wants[flow] = min(want, flow.left / TICK_S)
        for flow, speed in zip(flows, shared(at(self._speed, self._loop.now), list(wants.values())), strict=True):
            come = min(flow.left, speed * TICK_S)
            flow.come += come
            flow.left -= come
            if flow.come - flow.taken >= flow.waits_for - 1e-6:
                flow.woken.set()
        if flows:
            self._tick_on()


def _answer(status: int) -> Download:
    async def nothing() -> AsyncIterator[bytes]:
        yield b""

    return Download(status=status, length=0, content_type="", chunks=nothing(), headers={})
