"""The account's log of what was charged, as gateways of the one-api family hand it out: ``GET /api/log/self``."""

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from aiohttp import web

from pipeline.simulator.account import Account, Charge
from pipeline.simulator.settings import SimulatorSettings

#: Whatever is asked for.
_PAGE_SIZE = 10
_MICRO_PER_UNIT = 2  # 500,000 units are a dollar
_TOP_UP, _CONSUMPTION = 1, 2
_API_KEY_NAME = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Logbook:
    """Serves the log to whoever has a log token, in the form and with the names that the settings say."""

    settings: SimulatorSettings
    account: Account
    opened_at: float

    async def get(self, request: web.Request) -> web.Response:
        """Answer one page, the newest entry first."""
        if not self._admits(request.headers.get("Authorization", "")):
            return web.json_response({"success": False, "message": "the access token is invalid"}, status=401)
        try:
            number, entries = self._page(request.query)
        except ValueError:
            return web.json_response({"success": False, "message": "a parameter is not a number"})
        if self.settings.log_form == "list":
            return web.json_response({"success": True, "message": "", "data": entries})
        data = {"items": entries, "total": self.account.pictures, "page": number, "page_size": _PAGE_SIZE}
        return web.json_response({"success": True, "message": "", "data": data})

    def _admits(self, offered: str) -> bool:
        """Whether the token is one of the settings'; with none there, any will do, but not none."""
        given = offered.encode("utf-8", "surrogateescape")
        tokens = self.settings.log_tokens
        return bool(given) and (not tokens or any(hmac.compare_digest(token.encode(), given) for token in tokens))

    def _page(self, query: Mapping[str, str]) -> tuple[int, list[dict[str, Any]]]:
        """The page that is asked for; in the older form they count from 0, in the newer one from 1."""
        first = 0 if self.settings.log_form == "list" else 1
        number = max(int(query.get("p", first)), first)
        since, until = int(query.get("start_timestamp", 0)), int(query.get("end_timestamp", 0))
        entries = self._entries(of_type=int(query.get("type", 0)))
        named = [("model_name", query.get("model_name")), ("token_name", query.get("token_name"))]
        wanted = (
            entry
            for entry in entries
            if since <= entry["created_at"] <= (until or entry["created_at"])
            and all(not value or entry[name] == value for name, value in named)
        )
        start = (number - first) * _PAGE_SIZE
        return number, list(islice(wanted, start, start + _PAGE_SIZE))

    def _entries(self, *, of_type: int) -> list[dict[str, Any]]:
        charges = self.account.charges
        newest = self.account.pictures + 1
        entries = [self._charged(newest - place, charge) for place, charge in enumerate(reversed(charges))]
        if of_type == _CONSUMPTION:
            return entries
        top_up = _entry(1, at=self.opened_at, of_type=_TOP_UP, model="", units=0, token_name="", other={})
        return [top_up] if of_type == _TOP_UP else [*entries, top_up]

    def _charged(self, number: int, charge: Charge) -> dict[str, Any]:
        entry = _entry(
            number,
            at=charge.time,
            of_type=_CONSUMPTION,
            model=charge.model,
            units=charge.microusd // _MICRO_PER_UNIT,
            token_name=_API_KEY_NAME,
            other={"request_path": "/v1/images/generations"},
        )
        return entry | ({"request_id": charge.request_id} if self.settings.log_request_ids else {})


def _entry(
    number: int, *, at: float, of_type: int, model: str, units: int, token_name: str, other: dict[str, Any]
) -> dict[str, Any]:
    return {
        "id": number,
        "created_at": int(at),
        "type": of_type,
        "model_name": model,
        "token_name": token_name,
        "quota": units,
        "other": json.dumps(other),
    }
