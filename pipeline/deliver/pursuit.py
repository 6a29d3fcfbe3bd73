"""The only module that tries again: one purchase is pursued until its picture is kept or its window has closed."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.clock import Clock
from pipeline.deliver.fetch import AgainError, Fetcher
from pipeline.deliver.keeper import Keeper, Kept
from pipeline.deliver.limits import Limits
from pipeline.deliver.proof import UnprovenError
from pipeline.deliver.purchase import Outcome, Purchase, host_of
from pipeline.deliver.rest import Draw, Worker, back_off_s
from pipeline.deliver.resume import Body
from pipeline.deliver.shelf import UnsyncedError
from pipeline.deliver.window import Window
from pipeline.errors import ConfigurationError, StorageError
from pipeline.transport import ForbiddenAddressError, TransportError

#: What a cut connection looks like where the length was not announced.
_CUT = frozenset({"empty", "truncated"})

Setback = AgainError | UnprovenError | UnsyncedError | TransportError


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """A paid picture that will not be had."""

    outcome: Literal[Outcome.LOST, Outcome.SPOILED]
    kind: str
    message: str


class Pursuer:
    """Pursues purchases, one call each; holds no state of any of them."""

    def __init__(
        self, *, fetcher: Fetcher, keeper: Keeper, clock: Clock, limits: Limits, draw: Draw = random.uniform
    ) -> None:
        """Take what is needed."""
        self._fetcher = fetcher
        self._keeper = keeper
        self._clock = clock
        self._limits = limits
        self._draw = draw

    async def pursue(
        self, purchase: Purchase, body: Body, window: Window, *, worker: Worker, on_retry: Callable[[str], None]
    ) -> Kept | Missed:
        """Fetch, prove and keep a picture, trying again while the window lasts; at least once in any case.

        A try that breaks off leaves what the next may build on, where the server lets it (``Held``).

        Args:
            purchase: What was bought; its URL is not INLINE.
            body: Where its bytes go, a name that is free; nothing is held of it yet.
            window: Its time.
            worker: Lent to others while only waiting.
            on_retry: Told why, before each wait.

        Raises:
            ConfigurationError: The URL leads where downloads may not go.
            StorageError: The file could not be made durable, several times over.
            OSError: The disk is full or fails.
        """
        setbacks: Counter[type[Exception]] = Counter()
        tries = 0
        while True:
            tries += 1
            try:
                return await self._try(purchase, body, window, first=tries == 1)
            except ForbiddenAddressError as exc:
                raise _forbidden(exc, purchase) from exc
            except (AgainError, UnprovenError, UnsyncedError, TransportError) as exc:
                setback: Setback = exc
            setbacks[type(setback)] += 1
            wait_s = self._wait_s(setback, tries, window)
            missed = await self._judge(setback, body.part, count=setbacks[type(setback)], out_of_time=wait_s is None)
            if missed is not None or wait_s is None:
                return missed or _too_late(setback, gone=self._clock.monotonic() >= window.closes)
            on_retry(f"{setback.kind}: {setback.message}")
            async with worker.rest(setback.kind):
                await self._clock.sleep(wait_s)

    async def _try(self, purchase: Purchase, body: Body, window: Window, *, first: bool) -> Kept:
        if not first and body.held is None:  # before the first one nothing is there
            await self._keeper.discard(body.part)
        fetched = await self._fetcher.fetch(purchase.url, body, until=window.first_until if first else window.until)
        try:
            kept = await self._keeper.keep(body.part, purchase, body=fetched.body)
        except UnprovenError as exc:
            if fetched.resumed:
                raise AgainError("bad_range", f"joined from two answers: {exc.message}") from exc
            if exc.kind in _CUT and not fetched.announced:
                raise AgainError("short_body", exc.message) from exc
            raise UnprovenError(exc.kind, f"{exc.message} (content type {fetched.content_type[:80]!r})") from exc
        if kept is None:
            raise AgainError("vanished", f"{body.part.name} was removed before it was proven")
        return kept

    async def _judge(self, setback: Setback, part: Path, *, count: int, out_of_time: bool) -> Missed | None:
        fruitless = count >= self._limits.fruitless_tries
        if isinstance(setback, UnprovenError) and fruitless:
            return Missed(outcome=Outcome.SPOILED, kind=setback.kind, message=setback.message)
        if isinstance(setback, UnsyncedError):
            await self._keeper.discard(part)  # its bytes may be gone from the disk: never to be taken for evidence
            if fruitless or out_of_time:
                raise StorageError(f"{part}: {setback.message}", remedy="check the disk, then run again") from setback
        return None

    def _wait_s(self, setback: Setback, tries: int, window: Window) -> float | None:
        slower = isinstance(setback, AgainError) and setback.slower
        left_s = window.until - self._clock.monotonic()
        return back_off_s(self._limits, tries, left_s, slower=slower, draw=self._draw)


def _too_late(setback: Setback, *, gone: bool) -> Missed:
    kind = "gone" if gone and setback.kind == "gone" else "window_closed"
    return Missed(outcome=Outcome.LOST, kind=kind, message=f"{setback.kind}: {setback.message}")


def _forbidden(error: ForbiddenAddressError, purchase: Purchase) -> ConfigurationError:
    host = error.host or host_of(purchase.url)
    return ConfigurationError(
        f"a bought picture is at {host}, where downloads may not go: {error.message}",
        remedy=f"if that is right, write provider: {{allow_hosts: [{host}]}} and run again within the picture's window",
    )
