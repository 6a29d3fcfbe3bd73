"""Making pictures for money: one request through key, limits, charge and answer."""

import asyncio
import hmac
import json
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import anyio
from aiohttp import web

from pipeline.simulator.account import Account
from pipeline.simulator.answers import Answers
from pipeline.simulator.drawing import ImageFormat, Recipe
from pipeline.simulator.edits import Sitter, fetch_input, read_form
from pipeline.simulator.faults import FaultPlan, Stage
from pipeline.simulator.gallery import Exhibit
from pipeline.simulator.gate import Gate
from pipeline.simulator.orders import Order, order_of, read_order, size_of
from pipeline.simulator.refusals import RefusalError, gateway_page, refusal_for
from pipeline.simulator.settings import SimulatorSettings
from pipeline.simulator.wire import REQUEST_ID, Wire, hand_over

_CONTENT_TYPE: Mapping[ImageFormat, str] = {"jpeg": "image/jpeg", "png": "image/png"}
_PAGES = frozenset({"gateway_504", "gateway_524", "html_200"})
#: Seeds the provider chooses fit the 32 bits that most tools take.
_SEED_BITS = 32


@dataclass(slots=True, kw_only=True)
class Generations:
    """Serves ``POST /v1/images/generations``. ``requests`` counts all of them, the refused ones too."""

    settings: SimulatorSettings
    account: Account
    gate: Gate
    plan: FaultPlan
    answers: Answers
    stopping: asyncio.Event
    source: random.Random
    requests: int = field(default=0, init=False)

    async def post(self, request: web.Request) -> web.StreamResponse:
        """Answer one generation.

        Raises:
            RefusalError: It is refused, unbilled.
        """
        self.requests += 1
        check_key(request, self.settings.keys)
        if request.content_type != "application/json":
            raise RefusalError(415, "The Content-Type must be application/json")
        order = read_order(await request.read(), self.settings.wire)
        return await self._serve(request, order, [partial(fetch_input, text) for text in order.inputs])

    async def post_edit(self, request: web.Request) -> web.StreamResponse:
        """Answer one edit that comes as a form.

        Raises:
            RefusalError: It is refused, unbilled.
        """
        self.requests += 1
        check_key(request, self.settings.keys)
        fields, image = await read_form(request)
        return await self._serve(request, order_of(fields, "flat", edit=True), [lambda: image])

    async def _serve(
        self, request: web.Request, order: Order, inputs: Sequence[Callable[[], bytes]]
    ) -> web.StreamResponse:
        price_microusd = self.settings.prices_microusd.get(order.model)
        if price_microusd is None:
            raise refusal_for("model_gone")
        with self.gate.admitted():
            sitters = [await self.answers.studio.look(each) for each in inputs]
            return await self._produce(request, order, price_microusd, sitters)

    async def _produce(
        self, request: web.Request, order: Order, price_microusd: int, sitters: Sequence[Sitter]
    ) -> web.StreamResponse:
        match self.plan.pick(Stage.BEFORE_CHARGE, order.markers, order.prompt):
            case None:
                pass
            case "lost_before_charge":
                return Wire(request, self.stopping).reset()
            case "overload_502":
                return gateway_page("overload_502")
            case refused:
                raise refusal_for(refused)
        self.account.require(price_microusd)
        await anyio.sleep(self.latency_s())
        charge = self.account.charge(
            model=order.model, prompt=order.prompt, microusd=price_microusd, request_id=request[REQUEST_ID]
        )
        body = await self.answers.body(self.exhibit(order, sitters), order, charge, request)
        fault = self.plan.pick(Stage.AFTER_CHARGE, order.markers, order.prompt)
        if fault is not None:
            return await self.spoil(fault, request, body, charge.request_id)
        response = web.json_response(body, headers=self.gate.headers())
        if await hand_over(request, response):
            self.account.mark_delivered(charge.request_id)
        return response

    def latency_s(self) -> float:
        """How long the next picture takes, in seconds."""
        median = self.settings.latency_s
        if not median or not self.settings.latency_spread:
            return median
        return self.source.lognormvariate(math.log(median), self.settings.latency_spread)

    async def sitters(self, order: Order) -> list[Sitter]:
        """Look at an order's input images.

        Raises:
            RefusalError: One will not do.
        """
        return [await self.answers.studio.look(partial(fetch_input, text)) for text in order.inputs]

    def exhibit(self, order: Order, sitters: Sequence[Sitter] = ()) -> Exhibit:
        """What is drawn for an order."""
        flaws = self.plan.pick_all(Stage.PICTURE, order.markers, order.prompt)
        ratio = order.aspect_ratio or f"{sitters[0].width}:{sitters[0].height}"
        if order.size is not None:
            ratio = f"{order.size[0]}:{order.size[1]}"
        width, height = order.size or size_of(ratio)
        if "wrong_shape" in flaws:
            width, height = size_of("1:1")
        image_format = order.output_format
        if "wrong_format" in flaws:
            image_format = "png" if image_format == "jpeg" else "jpeg"
        # Drawn for every picture, so that a given seed shifts none of the others.
        chosen_seed = self.source.getrandbits(_SEED_BITS)
        recipe = Recipe(
            model=order.model,
            prompt=order.prompt,
            ratio=ratio,
            seed=chosen_seed if order.seed is None else order.seed,
            safety_tolerance=order.safety_tolerance,
            prompt_upsampling=order.prompt_upsampling,
            width=width // self.settings.scale,
            height=height // self.settings.scale,
            image_format=image_format,
            input_small=sitters[0].small if sitters else b"",
        )
        content_type = "text/plain" if "wrong_content_type" in flaws else _CONTENT_TYPE[image_format]
        return Exhibit(recipe=recipe, content_type=content_type, markers=order.markers)

    async def spoil(self, fault: str, request: web.Request, body: dict[str, Any], charged: str) -> web.StreamResponse:
        """The answer to a picture that is charged, when all does not go well."""
        if fault in _PAGES:
            return gateway_page(fault)
        match fault:
            case "timeout_408":
                return refusal_for(fault).response()
            case "empty_data":
                return web.json_response({**body, "data": []})
            case "task_id_200":
                return web.json_response({"id": f"task-{charged}", "status": "processing"})
            case "redirect_307":
                return web.Response(status=307, headers={"Location": request.raw_path})
            case _:
                return await self._break(fault, request, json.dumps(body).encode(), charged)

    async def _break(self, fault: str, request: web.Request, text: bytes, charged: str) -> web.StreamResponse:
        """An answer that does not come whole, or not at all."""
        wire = Wire(request, self.stopping)
        half = text[: len(text) // 2]
        json_type = {"Content-Type": "application/json; charset=utf-8"}
        match fault:
            case "half_body":
                wire.send_head({**json_type, "Content-Length": str(len(text))})
                wire.send(half)
            case "half_chunked":
                wire.send_head({**json_type, "Transfer-Encoding": "chunked"})
                wire.send_chunk(half)
                wire.send_chunk(b"")
            case "slow_end":
                wire.send_head({**json_type, "Transfer-Encoding": "chunked"})
                wire.send_chunk(text)
                if await wire.stay(self.settings.slow_end_s):
                    wire.send_chunk(b"")
                    self.account.mark_delivered(charged)
            case "hang":
                await wire.stay()
                return wire.reset()
            case _:
                return wire.reset()
        return wire.close()


def check_key(request: web.Request, keys: frozenset[str]) -> None:
    """Refuse a request without one of the keys; with no keys, none is refused.

    Raises:
        RefusalError: 401.
    """
    if not keys:
        return
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not offers_key(given, keys):
        raise refusal_for("bad_key")


def offers_key(given: str, keys: frozenset[str]) -> bool:
    """Whether what was given is one of the keys."""
    offered = given.strip().encode("utf-8", "surrogateescape")
    return any(hmac.compare_digest(key.encode(), offered) for key in keys)
