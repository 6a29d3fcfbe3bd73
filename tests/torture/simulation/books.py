"""A provider that keeps its own books: what it was asked, what it charged, and what it sold."""

import asyncio
import base64
import io
import json
import math
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from random import Random
from typing import Any, Self

import anyio
from PIL import Image

from pipeline.transport import ApiResponse, ApiTimeouts, Download, LostError, NeverSentError
from tests.torture.simulation.timeline import BEGINNING, VirtualLoop

PRICES = {"flux-kontext-pro": 35_000, "flux-kontext-max": 70_000}
WINDOW_S = 600.0
_SIZES = {"1:1": (32, 32), "16:9": (64, 36), "3:2": (48, 32)}

#: What a request comes to, with its weight in fair weather and in foul.
FATES: Mapping[str, tuple[float, float]] = {
    "good": (80, 30),
    "inline": (3, 3),
    "invalid": (1, 2),
    "moderated": (2, 3),
    "overloaded": (2, 8),
    "overloaded_long": (0.5, 3),
    "throttled": (2, 6),
    "unreachable": (1, 3),
    "lost_before_charge": (1, 4),
    "lost_after_charge": (1, 4),
    "hangs": (0.5, 2),
    "gateway": (0.5, 3),
    "gateway_charged": (0.5, 3),
    "html_200": (0.5, 2),
    "cut_200": (0.5, 2),
    "no_model": (0.2, 0.6),
    "no_balance": (0.1, 0.4),
    "bad_key": (0.1, 0.3),
}
#: Charged whatever becomes of the answer.
CHARGED = {"good", "inline", "lost_after_charge", "hangs", "gateway_charged", "html_200", "cut_200"}
#: What a picture's first downloads come to; later ones are good, but for the last of these.
TRIES: Mapping[str, tuple[float, float]] = {
    "good": (85, 50),
    "not_yet": (3, 8),
    "broken_500": (2, 6),
    "cut": (2, 6),
    "short": (1, 4),
    "stalls": (1, 4),
    "trickles": (1, 3),
    "garbage_once": (1, 4),
    "gzip": (0.5, 1),
    "garbage": (0.5, 2),
    "html": (0.5, 2),
    "never": (0.5, 3),
}


def _response(status: int, body: bytes, *, wait_s: int | None = None, complete: bool = True) -> ApiResponse:
    headers = {} if wait_s is None else {"retry-after": str(wait_s)}
    return ApiResponse(status=status, headers=headers, body=body, complete=complete)


def _error(code: str) -> bytes:
    return json.dumps({"error": {"code": code, "type": code, "message": f"this is {code}"}}).encode()


_PAGE = b"<html>there is nothing here</html>"
#: Fates that take as long as a picture.
_SLOW = {"good", "inline", "html_200", "cut_200", "gateway", "gateway_charged"}
#: Fates without an answer, by what the line says.
_LOST = {"lost_before_charge": "disconnected", "lost_after_charge": "disconnected", "hangs": "timeout"}
#: What the others answer, one of several.
_ANSWERS = {
    "html_200": [_response(200, _PAGE)],
    "cut_200": [_response(200, b'{"created": 1, "data": [{"url": "https://im', complete=False)],
    "gateway": [_response(504, _PAGE), _response(524, _PAGE)],
    "gateway_charged": [_response(504, _PAGE), _response(524, _PAGE)],
    "throttled": [_response(429, _error("rate_limit_exceeded"), wait_s=wait_s) for wait_s in (None, 3, 20)],
    "overloaded": [_response(503, _error("overloaded")), _response(500, _error("overloaded"))],
    "overloaded_long": [_response(503, _error("overloaded"), wait_s=45)],
    "invalid": [_response(400, _error("invalid_request_error"))],
    "moderated": [_response(400, _error("content_policy_violation"))],
    "no_model": [_response(404, _error("model_not_found"))],
    "no_balance": [_response(402, _error("insufficient_user_quota"))],
    "bad_key": [_response(401, _error("invalid_api_key"))],
}


@cache
def picture(ratio: str, shade: int) -> bytes:
    """A real picture of that shape."""
    held = io.BytesIO()
    Image.new("RGB", _SIZES[ratio], (shade, shade // 2, 255 - shade)).save(held, "JPEG" if shade % 3 else "PNG")
    return held.getvalue()


@dataclass(slots=True)
class Asked:
    """One request the provider has seen."""

    prompt: str
    model: str
    at: float
    fate: str
    charged: bool


@dataclass(slots=True)
class Sold:
    """One picture that was sold by URL."""

    prompt: str
    bytes: bytes
    dies_at: float
    fate: str
    tries: int = 0


@dataclass
class Provider:
    """The far side of a world; it outlives the processes of the near one.

    Attributes:
        foul: From 0, fair weather, to 1.
        calm: Nothing goes wrong any more.
        down: Nobody can connect.
        on_ask: Called with the prompt when a request arrives, before anything else.
        on_fetch: Called with the URL when a download arrives.
        on_event: Called at each moment at which a process may as well die.
    """

    chance: Random
    foul: float
    max_in_flight: int
    calm: bool = False
    down: bool = False
    on_ask: Callable[[str], None] = lambda _: None
    on_fetch: Callable[[str], None] = lambda _: None
    on_event: Callable[[str], None] = lambda _: None
    asked: list[Asked] = field(default_factory=list)
    sold: dict[str, Sold] = field(default_factory=dict)
    seen: Counter[str] = field(default_factory=Counter)
    in_flight: int = 0

    def charges(self) -> Counter[str]:
        """Pictures charged, by prompt."""
        return Counter(asked.prompt for asked in self.asked if asked.charged)

    def charged_microusd(self) -> int:
        return sum(PRICES[asked.model] for asked in self.asked if asked.charged)

    def restart(self) -> None:
        """The client's connections are gone."""
        self.in_flight = 0

    def _draw(self, weights: Mapping[str, tuple[float, float]]) -> str:
        if self.calm:
            return "good"
        if self.down and weights is FATES:
            return "unreachable"
        mixed = [fair + (bad - fair) * self.foul for fair, bad in weights.values()]
        return self.chance.choices(list(weights), mixed)[0]

    async def post(self, payload: Mapping[str, Any], timeouts: ApiTimeouts) -> ApiResponse:
        """Answer one request for a picture."""
        fate = self._draw(FATES)
        if fate == "unreachable":
            self.seen[fate] += 1
            await anyio.sleep(self.chance.uniform(0, timeouts.connect_s))
            raise NeverSentError("api.example: cannot connect", kind="connect")
        prompt, model = payload["prompt"], payload["model"]
        self.on_ask(prompt)
        if self.in_flight >= self.max_in_flight and not self.calm:
            fate = "throttled"
        self.seen[fate] += 1
        self.asked.append(Asked(prompt, model, _now(), fate, fate in CHARGED))
        self.on_event("asked")
        self.in_flight += 1
        try:
            return await self._fulfil(fate, payload, timeouts)
        finally:
            self.in_flight -= 1

    async def _fulfil(self, fate: str, payload: Mapping[str, Any], timeouts: ApiTimeouts) -> ApiResponse:
        if fate == "hangs":
            await anyio.sleep(timeouts.first_byte_s)
        elif fate in _SLOW:
            await anyio.sleep(min(self.chance.lognormvariate(math.log(8), 0.5), 120.0))
        else:
            await anyio.sleep(self.chance.uniform(0, 1))
        self.on_event("answered")
        if fate in {"good", "inline"}:
            return self._sell(payload, inline=fate == "inline")
        if fate in _LOST:
            raise LostError("api.example: the connection broke", kind=_LOST[fate])
        return self.chance.choice(_ANSWERS[fate])

    def _sell(self, payload: Mapping[str, Any], *, inline: bool) -> ApiResponse:
        prompt = payload["prompt"]
        data = picture(payload.get("aspect_ratio", "1:1"), sha256(prompt.encode()).digest()[0])
        if inline:
            held = {"b64_json": base64.b64encode(data).decode()}
        else:
            url = f"https://images.example/{len(self.sold)}.jpeg?sig=S{len(self.sold)}"
            self.sold[url] = Sold(prompt, data, _now() + WINDOW_S, self._draw(TRIES))
            held = {"url": url}
        return _response(200, json.dumps({"created": int(BEGINNING + _now()), "data": [held]}).encode())

    @asynccontextmanager
    async def get(self, url: str, headers: Mapping[str, str] | None = None) -> AsyncIterator[Download]:
        """Hand out a picture that was sold."""
        self.on_fetch(url)
        self.on_event("fetched")
        sold = self.sold[url]
        sold.tries += 1
        await anyio.sleep(self.chance.uniform(0.01, 0.5))
        fate = sold.fate if sold.tries == 1 or sold.fate in {"garbage", "html", "never"} else "good"
        self.seen[f"dl_{fate}"] += 1
        if _now() >= sold.dies_at or fate in {"not_yet", "never"}:
            yield _download(404, b"", 0)
            return
        if fate == "broken_500":
            yield _download(500, b"", 0)
            return
        data = b"<html>no</html>" if fate == "html" else sold.bytes
        data = self.chance.randbytes(len(data)) if fate.startswith("garbage") else data
        announced: int | None = len(data)
        if fate == "short":
            data, announced = data[: len(data) // 2], None
        headers = {"content-encoding": "gzip"} if fate == "gzip" else {}
        yield Download(
            status=200,
            length=announced,
            content_type="image/jpeg",
            chunks=self._pour(data, fate),
            headers=headers,
        )

    async def _pour(self, data: bytes, fate: str) -> AsyncIterator[bytes]:
        half = len(data) // 2
        yield data[:half]
        self.on_event("half")
        match fate:
            case "cut":
                raise LostError("images.example: the connection broke", kind="cut")
            case "stalls":
                await anyio.sleep(30)
                raise LostError("images.example: nothing came in time", kind="timeout")
            case "trickles":
                for place in range(half, len(data)):
                    await anyio.sleep(1)
                    yield data[place : place + 1]
            case _:
                await anyio.sleep(self.chance.uniform(0, 0.3))
                yield data[half:]


class Line:
    """In the place of a transport: an open way to the provider."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def post_json(self, path: str, payload: Mapping[str, Any], *, timeouts: ApiTimeouts) -> ApiResponse:
        assert path == "/images/generations"
        return await self._provider.post(payload, timeouts)

    def get(self, url: str, headers: Mapping[str, str] | None = None) -> Any:
        return self._provider.get(url)


def _now() -> float:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop.now


def _download(status: int, body: bytes, length: int) -> Download:
    async def chunks() -> AsyncIterator[bytes]:
        yield body

    return Download(status=status, length=length, content_type="text/plain", chunks=chunks(), headers={})
