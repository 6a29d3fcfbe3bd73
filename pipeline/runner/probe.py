"""Trying a provider with one picture, its cheapest: what it honours, how long its URLs live, what its headers say."""

import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from time import strftime
from typing import Any, Literal

from pipeline.catalog import Profile, models
from pipeline.clock import Clock, SystemClock
from pipeline.errors import ConfigurationError, UsageError
from pipeline.job import InputImage
from pipeline.ledger import Address, Ledger, Row
from pipeline.manifest import Manifest, load_manifest
from pipeline.money import format_usd
from pipeline.provider import Poster, lives_until, picture_in
from pipeline.report import Summary
from pipeline.runner import run_async
from pipeline.runner.options import RunOptions
from pipeline.transport import ApiResponse, ApiTimeouts

#: What is drawn: little enough that nobody refuses it.
PROMPT = "A red ball on a white table"
#: What is asked for at the top level; inside ``extra_body`` stands the same on its side.
RATIO = "16:9"
#: Closer to a square than this is neither lying nor standing.
_SQUARE = 1.15
#: Headers that tell of limits and of who answered.
_TELLING = ("x-request-id", "request-id", "x-oneapi-request-id", "retry-after", "x-should-retry", "server")

Honoured = Literal["flat", "extra_body", "neither"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """What one picture has told of a provider.

    Attributes:
        summary: Of the run that bought it.
        row: The picture in the ledger; None where none was ordered.
        wire: Where parameters were read, by the shape that came; None where that cannot be told.
        shape: The parameter that asked for the shape, such as ``aspect_ratio``: what ``wire`` is true of; "" for none.
        tells: The cheapest model here that is asked for a ratio, which gateways drop first; "" where there is none.
        window_s: How long the URL itself says that it lives, in seconds; None where it does not say.
        answer: How the picture came: ``url``, ``b64`` or ``task``; "" where none came.
        latency_s: From the request to its answer, in seconds; None where there was none.
        headers: Those of the answer that tell of limits, or who answered.
        status: Of the answer to the request.
    """

    profile: Profile
    model: str
    price_microusd: int
    summary: Summary
    row: Row | None
    wire: Honoured | None
    shape: str
    tells: str
    window_s: float | None
    answer: str
    latency_s: float | None
    headers: Mapping[str, str]
    status: int | None


def cheapest(profile: Profile, model: str | None) -> tuple[str, int]:
    """The model to try, and its price in micro-dollars.

    Raises:
        ConfigurationError: The profile names no prices.
        UsageError: The model that is wanted has none.
    """
    prices = {name: profile.prices[name] for name in models() if name in profile.prices}
    if not prices:
        raise ConfigurationError(
            f"the profile {profile.name} names no price, and nothing is bought at an unknown one",
            remedy="write prices: {MODEL: USD} into it",
        )
    if model is not None and model not in prices:
        raise UsageError(f"{profile.name} has no price for {model}", remedy=f"one of {', '.join(prices)}")
    name = model or min(prices, key=lambda each: prices[each])
    return name, prices[name]


def _asked_for_a_ratio(profile: Profile) -> str:
    shapes = {name: spec.parameters.ratio for name, spec in models().items() if name in profile.prices}
    by_ratio = [
        name for name, shape in shapes.items() if shape and (shape.step is None or name in profile.ratio_models)
    ]
    return min(by_ratio, key=lambda name: profile.prices[name], default="")


async def probe(profile: Profile, options: RunOptions, *, model: str | None, clock: Clock | None = None) -> Probed:
    """Buy one picture, as a run would, with everything written down; and say what it tells.

    Args:
        profile: By the name that manifests know it by.
        options: Where pictures and the ledger are.
        model: What to ask for; the cheapest when None.

    Raises:
        FluxbatchError: As ``run_async``.
    """
    name, price = cheapest(profile, model)
    manifest = _manifest(profile, name, price)
    taps: list[_Tap] = []

    def tapped(poster: Poster) -> Poster:
        taps.append(_Tap(poster, clock or SystemClock(), contrary=profile.api == "images"))
        return taps[-1]

    summary = await run_async(manifest, replace(options, poster=tapped), clock=clock)
    row = _row(options.ledger_path, manifest)
    tap = taps[0] if taps else None
    response = tap.response if tap else None
    answer, window_s = _answer(profile, response)
    return Probed(
        profile=profile,
        model=name,
        price_microusd=price,
        summary=summary,
        row=row,
        wire=_honoured(row) if profile.api == "images" else None,
        shape=tap.shape if tap else "",
        tells=_asked_for_a_ratio(profile),
        window_s=window_s,
        answer=answer,
        latency_s=tap.took_s if tap else None,
        headers=_telling(response.headers) if response else {},
        status=response.status if response else None,
    )


def _manifest(profile: Profile, model: str, price_microusd: int) -> Manifest:
    """A manifest of one picture, whose edition is new, so that it is bought whatever was bought before."""
    budget = format_usd(price_microusd)
    edition = f"{strftime('%Y%m%dT%H%M%S')}-{secrets.token_hex(2)}"
    text = (
        f"version: 1\nname: probe-{profile.name}\nedition: '{edition}'\nprovider: simulator\n"
        f"limits: {{concurrency: 1, budget_usd: '{budget}'}}\noutput: {{folder: '{{name}}', file: '{{edition}}'}}\n"
        f"jobs:\n  - [{PROMPT}, '{RATIO}', {model}]\n"
    )
    with tempfile.TemporaryDirectory(prefix="fluxbatch-probe-") as folder:
        path = Path(folder) / f"probe-{profile.name}.yaml"
        path.write_text(text, encoding="utf-8")
        manifest = load_manifest(path)
    return replace(manifest, profiles=(profile.model_copy(update={"wire": "flat"}),))


class _Tap:
    """Hears what is answered; and asks for the picture on its side, too, where another wire would read it."""

    def __init__(self, poster: Poster, clock: Clock, *, contrary: bool) -> None:
        self.response: ApiResponse | None = None
        self.took_s: float | None = None
        self.shape = ""
        self._poster = poster
        self._clock = clock
        self._contrary = contrary

    async def post_json(self, path: str, payload: Mapping[str, Any], *, timeouts: ApiTimeouts) -> ApiResponse:
        """Post once."""
        self.shape = next((name for name in ("aspect_ratio", "size", "width") if name in payload), "")
        body = {**payload, "extra_body": _on_its_side(payload)} if self._contrary else payload
        began = self._clock.monotonic()
        self.response = await self._poster.post_json(path, body, timeouts=timeouts)
        self.took_s = self._clock.monotonic() - began
        return self.response

    async def post_document(self, path: str, document: bytes, *, timeouts: ApiTimeouts) -> ApiResponse:
        """Post an edit once; a probe asks for none."""
        return await self._poster.post_document(path, document, timeouts=timeouts)

    async def post_form(
        self, path: str, fields: Mapping[str, str], *, name: str, image: InputImage, timeouts: ApiTimeouts
    ) -> ApiResponse:
        """Post an edit once; a probe asks for none."""
        return await self._poster.post_form(path, fields, name=name, image=image, timeouts=timeouts)


def _on_its_side(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The shape that is asked for, with its sides exchanged."""
    turned: dict[str, Any] = {}
    for name, between in (("aspect_ratio", ":"), ("size", "x")):
        if isinstance(payload.get(name), str):
            turned[name] = between.join(reversed(payload[name].split(between)))
    if "width" in payload and "height" in payload:
        turned |= {"width": payload["height"], "height": payload["width"]}
    return turned


def _row(path: Address, manifest: Manifest) -> Row | None:
    with Ledger(path) as ledger:
        found = [row for row in ledger.rows() if (row.manifest, row.edition) == (manifest.name, manifest.edition)]
    return found[-1] if found else None


def _honoured(row: Row | None) -> Honoured | None:
    if row is None or not row.width or not row.height:
        return None
    if max(row.width, row.height) < _SQUARE * min(row.width, row.height):
        return "neither"
    return "flat" if row.width > row.height else "extra_body"


def _answer(profile: Profile, response: ApiResponse | None) -> tuple[str, float | None]:
    """How the picture came, and how long its URL says that it lives."""
    if response is None or response.status >= 300:
        return "", None
    if profile.api == "bfl":
        return "task", None
    url = picture_in(response.body)
    if url is None:
        return "", None
    until, now = lives_until(url), SystemClock().wall()
    return ("url" if url else "b64"), None if until is None else max(0.0, until - now)


def _telling(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name in _TELLING or name.startswith("x-ratelimit")}
