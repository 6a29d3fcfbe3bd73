"""The only module that reads a provider's own log of what it billed, as gateways of the one-api family keep it.

``GET /api/log/self`` answers one page at a time, the newest entry first. What its many versions disagree on, and this
module lives with: pages count from 0 or from 1; they hold 10 entries whatever is asked; ``data`` is a list, or a
mapping with ``items``; an entry's ``id`` is left out, cut to its remainder by 1,024, or its place in the answer, so
that it tells no two entries apart; what is refused comes as HTTP 200 with ``success: false``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

from pipeline.catalog import ProviderLog
from pipeline.clock import Clock
from pipeline.errors import ConfigurationError, KeyRefusedError, ProviderUnavailableError
from pipeline.provider.complaints import clean, read_complaint, read_json
from pipeline.provider.waits import retry_after_s
from pipeline.transport import ApiResponse, TransportError

#: What is asked for; the gateways hand out no more.
PAGE_SIZE = 10
#: More than these are refused, so that a log without end ends.
MAX_PAGES = 10_000
MAX_ENTRIES = 100_000

#: How often a page is asked for before a passing failure counts.
_TRIES = 3
#: The longest wait before a page is asked for again, in seconds.
_LONGEST_WAIT_S = 60.0
#: How often the whole log is read before it is given up that it stands still meanwhile.
_READINGS = 3
_CONSUMPTION = 2
_MAX_UNITS = 10**15
_BAD_TOKEN = re.compile("(?i)token|access|unauthori|forbidden|denied|log ?in|new-api-user|令牌|无权|权限|登录")
_SHORTER = "compare a shorter period: --since DATE --until DATE"

_Entry = dict[str, Any]


class Getter(Protocol):
    """What the log needs of a transport; see ``pipeline.transport.LookupTransport``."""

    @property
    def host(self) -> str:
        """Where it asks, for messages."""
        ...

    async def get(self, path: str, query: Mapping[str, str | int]) -> ApiResponse:
        """Ask once; raise ``TransportError``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Billed:
    """One request that the provider billed.

    Attributes:
        at: When, in whole seconds since 1970 on the provider's clock.
        model: As the provider calls it.
        microusd: The amount, in micro-dollars, rounded to the nearest.
        request_id: The provider's name for it, or "".
        token_name: What the account's owner calls the API key it came with, or "".
    """

    at: int
    model: str
    microusd: int
    request_id: str = ""
    token_name: str = ""


class BillingLog:
    """Reads the log. Holds no state of its own."""

    def __init__(self, getter: Getter, *, log: ProviderLog, clock: Clock) -> None:
        self._getter = getter
        self._log = log
        self._clock = clock

    async def read(self, *, since: float, until: float, token_name: str = "") -> list[Billed]:
        """What was billed from one moment to another, both in seconds since 1970 and included; the oldest first.

        Args:
            token_name: Only what came with the API key of that name; "" for all.

        Raises:
            KeyRefusedError: The token is refused.
            ConfigurationError: There is no such log.
            ProviderUnavailableError: The provider does not answer, not with a log, with one that is longer than
                MAX_ENTRIES or MAX_PAGES, or with one that grows as fast as it is read.
        """
        query: dict[str, str | int] = {"page_size": PAGE_SIZE, "type": _CONSUMPTION}
        query |= {"start_timestamp": int(since), "end_timestamp": int(until)}
        query |= {"token_name": token_name} if token_name else {}
        for _ in range(_READINGS):
            entries, first = await self._pages(query)
            # An entry that was added meanwhile moved the others on, and one of them stands on two pages.
            if await self._page(query, 0) == first:
                wanted = filter(None, map(self._billed, entries))
                found = [each for each in wanted if since <= each.at <= until]
                return sorted(
                    (each for each in found if not token_name or each.token_name == token_name),
                    key=lambda each: each.at,
                )
        raise ProviderUnavailableError(
            f"{self._getter.host}: the log grows as fast as it is read",
            remedy="try again when the account is quiet, or compare full days only: --until DATE",
        )

    async def _pages(self, query: Mapping[str, str | int]) -> tuple[list[_Entry], list[_Entry]]:
        """Every entry on every page up to an empty one, and the first page as it came."""
        first = before = await self._page(query, 0)
        entries = list(first)
        for number in range(1, MAX_PAGES):
            page = await self._page(query, number)
            if not page:
                return entries, first
            if page != before or not _telling(page):
                entries += page
            elif number > 1:
                raise self._unreadable("every page of it is the same")
            before = page  # where page 1 is page 0 once more, pages count from 1
            if len(entries) > MAX_ENTRIES:
                break
        raise ProviderUnavailableError(
            f"{self._getter.host}: the log has more than {len(entries):,} entries in that time", remedy=_SHORTER
        )

    async def _page(self, query: Mapping[str, str | int], number: int) -> list[_Entry]:
        for tried in range(1, _TRIES + 1):
            wait_s = float(tried)
            try:
                response = await self._getter.get(self._log.path, {"p": number, **query})
            except TransportError as error:
                problem = ProviderUnavailableError(error.message, remedy="try again when it can be reached")
            else:
                if response.status == 200 and response.complete:
                    return self._entries(response.body)
                problem = self._passing(response)
                wait_s = retry_after_s(response.headers, wall=self._clock.wall()) or wait_s
            if tried < _TRIES:
                await self._clock.sleep(min(wait_s, _LONGEST_WAIT_S))
        raise problem

    def _passing(self, response: ApiResponse) -> ProviderUnavailableError:
        """What is wrong with an answer that may be better the next time.

        Raises:
            KeyRefusedError: The token is refused.
            ConfigurationError: There is no such log.
            ProviderUnavailableError: It will not be better.
        """
        host, status = self._getter.host, response.status
        if status == 200:
            return self._unreadable("it ends early, or is too long")
        words = read_complaint(response.body).words[:200]
        if status in {401, 403}:
            raise self._refused(words)
        if status == 404:
            raise ConfigurationError(
                f"{host} keeps no log at {self._log.path}", remedy="set the provider's log: {path: ...} in the manifest"
            )
        if 300 <= status < 400:
            raise self._unreadable("it leads elsewhere, where the token does not go")
        problem = ProviderUnavailableError(
            f"{host}: the log cannot be read (HTTP {status}{': ' if words else ''}{words})", remedy="try again later"
        )
        if 400 <= status < 500 and status not in {408, 429}:
            raise problem
        return problem

    def _entries(self, body: bytes) -> list[_Entry]:
        try:
            document = read_json(body)
        except ValueError:
            raise self._unreadable("it is not JSON") from None
        if not isinstance(document, dict):
            raise self._unreadable("it is not a JSON object")
        if document.get("success") is False:
            words = read_complaint(body).words[:200]
            if _BAD_TOKEN.search(words):
                raise self._refused(words)
            raise ProviderUnavailableError(
                f"{self._getter.host}: the log cannot be read ({words or 'it does not say why'})",
                remedy="try again later",
            )
        data = document.get("data", ())
        page = data.get("items", ()) if isinstance(data, dict) else data
        if page is None:  # how Go writes an empty list
            return []
        if not isinstance(page, list) or not all(isinstance(entry, dict) for entry in page):
            raise self._unreadable("it has no list of entries")
        return page

    def _billed(self, entry: _Entry) -> Billed | None:
        """An entry as it counts; None for a top-up, a grant, and whatever else is no consumption."""
        if entry.get("type") != _CONSUMPTION:
            return None
        at, units = entry.get("created_at"), entry.get("quota")
        if type(at) is not int or type(units) is not int or abs(units) > _MAX_UNITS or not 0 <= at <= _MAX_UNITS:
            raise self._unreadable("an entry has no created_at or no quota")
        return Billed(
            at=at,
            model=_text(entry.get("model_name")),
            microusd=round(Fraction(units * 1_000_000, self._log.units_per_usd)),
            request_id=_request_id(entry),
            token_name=_text(entry.get("token_name")),
        )

    def _refused(self, words: str) -> KeyRefusedError:
        told = f" ({words})" if words else ""
        return KeyRefusedError(
            f"{self._getter.host} refuses the log token{told}",
            remedy=f"put the account's system token, not the API key, into {self._log.token_env};"
            f" newer gateways want the account's number in {self._log.user_env}, too",
        )

    def _unreadable(self, what: str) -> ProviderUnavailableError:
        return ProviderUnavailableError(
            f"{self._getter.host}: what {self._log.path} answers is not a log that can be read: {what}",
            remedy="check the base URL, and the path of the provider's log",
        )


def _telling(page: list[_Entry]) -> bool:
    """Whether a page that comes twice must be the same page, rather than the next one with entries just like these."""
    return (
        len(page) < PAGE_SIZE
        or any(entry.get("id") or _request_id(entry) for entry in page)
        or any(entry.get("created_at") != page[0].get("created_at") for entry in page)
    )


def _request_id(entry: _Entry) -> str:
    """The name of the request, beside the rest or inside ``other``, which is JSON in a text, or an object."""
    other: Any = entry.get("other")
    if isinstance(other, str):
        try:
            other = read_json(other.encode())
        except ValueError:
            other = None
    inside = other.get("request_id") if isinstance(other, dict) else None
    return _text(entry.get("request_id")) or _text(inside)


def _text(value: Any) -> str:
    return clean(value)[:200] if isinstance(value, str) else ""
