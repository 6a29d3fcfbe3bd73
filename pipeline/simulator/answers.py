"""What a success looks like: the picture as a link, or inside the answer, in each form compatible servers use."""

import base64
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from pipeline.simulator.account import Charge
from pipeline.simulator.gallery import Exhibit, Gallery
from pipeline.simulator.orders import Order
from pipeline.simulator.settings import Answer
from pipeline.simulator.studio import Studio

_INSIDE: frozenset[Answer] = frozenset({"b64_json", "b64_json_prefixed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Makes the body of a success in the settings' form, or in the one the request insists on."""

    answer: Answer
    gallery: Gallery
    studio: Studio

    async def body(self, exhibit: Exhibit, order: Order, charge: Charge, request: web.Request) -> dict[str, Any]:
        """The answer's JSON; a link lives from this moment."""
        return {"created": int(charge.time), "data": [await self._image(exhibit, order, request)]}

    async def _image(self, exhibit: Exhibit, order: Order, request: web.Request) -> dict[str, str]:
        form = self._form(order)
        if form == "url":
            return {"url": f"{request.url.origin()}{self.gallery.hang(exhibit)}"}
        if form == "relative_url":
            return {"url": self.gallery.hang(exhibit)}
        encoded = base64.b64encode(await self.studio.draw(exhibit.recipe)).decode()
        prefixed = f"data:{exhibit.content_type};base64,{encoded}"
        match form:
            case "b64_json":
                return {"b64_json": encoded}
            case "b64_json_prefixed":
                return {"b64_json": prefixed}
            case "data_url":
                return {"url": prefixed}

    def _form(self, order: Order) -> Answer:
        """The settings' form where it is of the kind the request wants, else the plain one of that kind."""
        wanted = order.response_format
        if wanted is None or (wanted == "b64_json") == (self.answer in _INSIDE):
            return self.answer
        return wanted
