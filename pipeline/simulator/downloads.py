"""Handing pictures out: signed links in, bytes out, and all that can go wrong between."""

import asyncio
import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import anyio
from aiohttp import web

from pipeline.simulator.faults import FaultPlan, Stage
from pipeline.simulator.gallery import Exhibit, Gallery
from pipeline.simulator.links import LinkSigner
from pipeline.simulator.studio import Studio
from pipeline.simulator.wire import Wire, hand_over

_STATUSES = {"dl_403": 403, "dl_404": 404, "dl_429": 429, "dl_500": 500}
_REDIRECTS = frozenset({"dl_redirect", "dl_redirect_loop", "dl_redirect_private"})
#: Nothing listens there, and no client should go and look.
_PRIVATE_PLACE: Final = "http://127.0.0.1:1/"
_PAGE = (
    "<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body><h1>Sign in to this network</h1></body></html>\n"
)

#: The drops of a trickle: never a silence long enough for a read time-out.
_DROP_EVERY_S = 0.1
#: What ``dl_wrong_length`` promises too much.
_EXCESS_BYTES = 1000
#: Faults after whose half the rest may be asked for; ``dl_changed`` names another picture's tag.
_RESUMABLE = frozenset({"dl_changed", "dl_cut", "dl_stall", "dl_trickle", "dl_wrong_range"})
#: How much is sent at a time where the bandwidth is bounded, so that downloads share it.
_PIECE_BYTES = 4096


@dataclass(slots=True, kw_only=True)
class Downloads:
    """Serves ``/delivery/...`` and, after a redirect, ``/moved/...``.

    Attributes:
        bytes_per_s: For all downloads together; None for no bound. ``throttle`` changes it.
        served: Pictures handed out whole, or of which one that had the beginning was handed the rest.
    """

    gallery: Gallery
    signer: LinkSigner
    plan: FaultPlan
    studio: Studio
    stopping: asyncio.Event
    expired_status: int
    trickle_bytes_per_s: int
    wall: Callable[[], float]
    bytes_per_s: int | None = None
    served: int = 0
    _busy_until: float = 0.0
    _throttled: asyncio.Event = field(default_factory=asyncio.Event)

    async def get(self, request: web.Request) -> web.StreamResponse:
        """Answer one download."""
        picture_id = request.match_info["picture"]
        verdict = self.signer.check(picture_id, request.query, now=self.wall())
        if verdict == "forged":
            return web.Response(status=403, text="Signature did not match")
        if verdict == "expired":
            return web.Response(status=self.expired_status, text="The link has expired")
        exhibit = self.gallery.find(picture_id)
        if exhibit is None:
            return web.Response(status=404, text="There is no such picture")
        spared = _REDIRECTS if request.path.startswith("/moved/") else frozenset[str]()
        fault = self.plan.pick(Stage.DOWNLOAD, exhibit.markers, picture_id, spared=spared)
        if fault in _STATUSES:
            return web.Response(status=_STATUSES[fault], text="The picture is not available")
        if fault in _REDIRECTS:
            return _redirect(request, fault)
        picture = await self.studio.draw(exhibit.recipe)
        if fault is None:
            return await self._serve(request, exhibit, picture)
        if fault == "dl_wrong_range" and "Range" in request.headers:
            return await self._serve(request, exhibit, picture, early=1)
        return _lie(fault, exhibit, picture) or await self._break(fault, exhibit, picture, Wire(request, self.stopping))

    async def _serve(
        self, request: web.Request, exhibit: Exhibit, picture: bytes, *, early: int = 0
    ) -> web.StreamResponse:
        """Hand out the picture, or the part of it that is asked for; ``early`` bytes too soon."""
        headers = {"Accept-Ranges": "bytes", "ETag": _tag(picture)}
        start, stop = _range(request, picture)
        if start >= stop:
            return web.Response(status=416, headers={"Content-Range": f"bytes */{len(picture)}"})
        is_whole = stop - start == len(picture)
        if not is_whole:
            start -= early
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(picture)}"
        response = web.StreamResponse(status=200 if is_whole else 206, headers=headers)
        response.content_type = exhibit.content_type
        response.content_length = stop - start
        is_rest = "If-Range" in request.headers and stop == len(picture)
        if await self._pour(request, response, picture[start:stop]) and (is_whole or is_rest):
            self.served += 1
        return response

    async def _pour(self, request: web.Request, response: web.StreamResponse, body: bytes) -> bool:
        """Send a body at the speed there is; whether the client was still there at its end."""
        try:
            await response.prepare(request)
            for start in range(0, len(body), _PIECE_BYTES):
                piece = body[start : start + _PIECE_BYTES]
                await self._take_turn(len(piece))
                await response.write(piece)
        except ConnectionError:
            return False
        return await hand_over(request, response)

    def throttle(self, bytes_per_s: int | None) -> None:
        """Change the bandwidth; what waits at the old one goes on at once."""
        self.bytes_per_s, self._busy_until = bytes_per_s, 0.0
        self._throttled.set()
        self._throttled = asyncio.Event()

    async def _take_turn(self, size_bytes: int) -> None:
        """Wait until the line has carried so many bytes more; whoever comes first goes first."""
        if self.bytes_per_s is None:
            return
        now = anyio.current_time()
        self._busy_until = max(now, self._busy_until) + size_bytes / self.bytes_per_s
        with anyio.move_on_after(self._busy_until - now):
            await self._throttled.wait()

    async def _break(self, fault: str, exhibit: Exhibit, picture: bytes, wire: Wire) -> web.Response:
        """A body that does not come whole, or not as its head says."""
        promised = len(picture) + (_EXCESS_BYTES if fault == "dl_wrong_length" else 0)
        length = {} if fault == "dl_short_no_length" else {"Content-Length": str(promised)}
        tag = {"ETag": _tag(picture[1:] if fault == "dl_changed" else picture)} if fault in _RESUMABLE else {}
        wire.send_head({"Content-Type": exhibit.content_type, **length, **tag})
        half = picture[: len(picture) // 2]
        match fault:
            case "dl_cut" | "dl_changed" | "dl_wrong_range":
                wire.send(half)
                # A moment, so that the half is under way before the reset overtakes it.
                await wire.stay(0.01)
                return wire.reset()
            case "dl_short_no_length":
                wire.send(half)
            case "dl_stall":
                wire.send(half)
                await wire.stay()
            case "dl_trickle":
                await self._trickle(picture, wire)
            case _:
                wire.send(picture)
        return wire.close()

    async def _trickle(self, picture: bytes, wire: Wire) -> None:
        drop_bytes = max(1, round(self.trickle_bytes_per_s * _DROP_EVERY_S))
        for start in range(0, len(picture), drop_bytes):
            wire.send(picture[start : start + drop_bytes])
            if not await wire.stay(_DROP_EVERY_S):
                return


def _tag(picture: bytes) -> str:
    return f'"{hashlib.sha256(picture).hexdigest()[:32]}"'


def _range(request: web.Request, picture: bytes) -> tuple[int, int]:
    """What is asked for: all of it where the condition does not hold or the range cannot be read (RFC 9110 14.2)."""
    whole = 0, len(picture)
    if request.headers.get("If-Range", _tag(picture)) != _tag(picture):
        return whole
    try:
        start, stop, _ = request.http_range.indices(len(picture))
    except ValueError:
        return whole
    return start, stop


def _redirect(request: web.Request, fault: str) -> web.Response:
    place = {
        "dl_redirect": request.raw_path.replace("/delivery/", "/moved/", 1),
        "dl_redirect_loop": request.raw_path,
        "dl_redirect_private": _PRIVATE_PLACE,
    }[fault]
    return web.Response(status=302, headers={"Location": place})


def _lie(fault: str, exhibit: Exhibit, picture: bytes) -> web.Response | None:
    """An answer that is good HTTP and no picture, or None for other faults."""
    match fault:
        case "dl_html":
            return web.Response(text=_PAGE, content_type="text/html")
        case "dl_empty":
            body = b""
        case "dl_garbage":
            body = random.Random(picture).randbytes(len(picture))
        case "dl_truncated_image":
            body = picture[: len(picture) * 2 // 3]
        case "dl_gzip_lie":
            headers = {"Content-Encoding": "gzip"}
            return web.Response(body=picture, content_type=exhibit.content_type, headers=headers)
        case _:
            return None
    return web.Response(body=body, content_type=exhibit.content_type)
