"""What a live page is told: the ledger looked at again and again, and what has changed since.

Every change of a row gets the next number. Whoever has seen up to a number is told the rows with a later one, as they
are now: a reader that is slow, or comes back, misses nothing and makes nothing wait, and no list of past events grows.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import anyio
import anyio.to_thread

from pipeline.clock import Clock, SystemClock
from pipeline.errors import FluxbatchError, NotFoundError
from pipeline.ledger import JobState, Ledger, Progress, Scope, Shown, Survey
from pipeline.report.metrics import exposition
from pipeline.report.page import MOST_PROMPTS, MOST_ROWS, Places, Source, figures, live_row, sources

#: Seconds between two looks; a large ledger is looked at less often, so that it takes a tenth of the time at most.
LOOK_EVERY_S = 0.5
_REST_FACTOR = 9.0
#: Rows in one event.
_ROWS_AN_EVENT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """What only the process of a run knows of it.

    Attributes:
        total: Rows of the manifest, if they have been counted.
        left_s: Seconds to go at the pace so far, if that can be told.
        waiting: Why less happens than could.
        stopping: Buying has stopped.
    """

    total: int | None
    in_flight: int
    queued: int
    left_s: float | None
    waiting: str | None
    stopping: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """The ledger, once: the rows that are new or changed, and everything that is counted."""

    marks: dict[int, str]
    rows: list[Shown]
    figures: dict[str, Any]
    progress: Progress | None
    alive: bool


class Feed:
    """Looks at a ledger, and lets those who wait know what has changed. Lives in one event loop."""

    def __init__(
        self,
        places: Places,
        scope: Scope,
        *,
        now: Callable[[], Now | None] = lambda: None,
        may_stop: bool = True,
        most_rows: int = MOST_ROWS,
        clock: Clock | None = None,
    ) -> None:
        self.places = places
        self.scope = scope
        self.most_rows = most_rows
        self.ended = False
        self.number = 0
        self._now = now
        self._may_stop = may_stop
        self._clock = clock or SystemClock()
        self._marks: dict[int, str] = {}
        self._rows: dict[int, Shown] = {}
        self._changed: dict[int, int] = {}
        self._figures: dict[str, Any] = figures(Survey(counts=(), rows=(), money=(), ages=(), budgets=(), runs=()))
        self._figures |= {"made_at": self._clock.wall(), "total": 0}
        self._figures_changed = 0
        self._progress: Progress | None = None
        self._alive = False
        self._stop_asked = ""
        self._news = asyncio.Event()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            took_s = await self.look()
            await anyio.sleep(max(LOOK_EVERY_S, took_s * _REST_FACTOR))

    async def look(self) -> float:
        """Look once; how long it took, in seconds."""
        begun = time.monotonic()
        try:
            found = await anyio.to_thread.run_sync(partial(self._ask, dict(self._marks)))
        except FluxbatchError:
            return time.monotonic() - begun  # not there yet, or busy: what is known stays
        self._take(found)
        return time.monotonic() - begun

    def end(self) -> None:
        """Say that nothing more will come."""
        self.ended = True
        self._tell()

    def stop_asked(self) -> None:
        """Remember that the run that is on was asked to stop."""
        self._stop_asked = self._progress.run_id if self._progress is not None else ""
        self._tell()

    @property
    def run_to_stop(self) -> str | None:
        """The run that is on and was not asked to stop yet."""
        progress = self._progress
        if progress is None or progress.ended_at is not None or not self._alive or self._is_stopping:
            return None
        return progress.run_id

    async def news(self) -> None:
        """Wait until something may have changed."""
        await self._news.wait()

    def page(self) -> dict[str, Any]:
        """Everything, for a page that begins now."""
        rows = [live_row(row, self.places) for row in self._rows.values()]
        return {"rows": rows, **self._figures, "live": self.live()}

    def since(self, number: int) -> list[tuple[str, Any]]:
        """Events that bring whoever has seen up to a number to where the ledger is, each with its name."""
        late = [row for row in self._rows.values() if self._changed[row.id] > number]
        told: list[tuple[str, Any]] = [
            ("rows", [live_row(row, self.places) for row in late[start : start + _ROWS_AN_EVENT]])
            for start in range(0, len(late), _ROWS_AN_EVENT)
        ]
        if self._figures_changed > number:
            told.append(("figures", self._figures))
        return told

    def live(self) -> dict[str, Any]:
        """How far the run has come, as the page shows it."""
        progress, now = self._progress, self._now()
        states = progress.states if progress is not None else {}
        on = progress is not None and progress.ended_at is None and self._alive
        return {
            "since": self.number,
            "state": self._state(on=on),
            "may_stop": self._may_stop and on,
            "stopping": on and self._is_stopping,
            "there": states.get(JobState.STORED, 0),
            "seen": sum(states.values()),
            "total": now.total if now is not None else (None if on else sum(states.values())),
            "in_flight": now.in_flight if now is not None else states.get(JobState.BUYING, 0),
            "queued": now.queued if now is not None else states.get(JobState.BOUGHT, 0),
            "pace": progress.stored_lately if progress is not None else 0,
            "left_s": now.left_s if now is not None and on else None,
            "waiting": now.waiting if now is not None and on else None,
            "exit_code": progress.exit_code if progress is not None else None,
        }

    def metrics(self, accept: str) -> tuple[bytes, str]:
        """What every manifest's last run came to, asked of the ledger now, in this thread; see ``exposition``.

        Raises:
            FluxbatchError: The ledger cannot be read.
        """
        with Ledger(self.places.ledger) as ledger:
            return exposition(ledger.standings(), accept=accept, now=self._clock.wall())

    def picture(self, number: int) -> Source | None:
        """A stored picture by the ledger's number for its row."""
        row = self._rows.get(number)
        return None if row is None else next(iter(sources([row], self.places.picture_file)), None)

    def picture_of(self, sha256: str) -> Source | None:
        """A stored picture by its digest."""
        row = next((row for row in self._rows.values() if row.sha256 == sha256), None)
        return None if row is None else self.picture(row.id)

    @property
    def _is_stopping(self) -> bool:
        now, progress = self._now(), self._progress
        asked = progress is not None and self._stop_asked == progress.run_id
        return asked or (now is not None and now.stopping)

    def _state(self, *, on: bool) -> str:
        if self._progress is None:
            return "idle"
        if on:
            return "on"
        return "died" if self._progress.ended_at is None else "ended"

    def _ask(self, marks: dict[int, str]) -> _Look:
        """Ask the ledger, in a thread."""
        with Ledger(self.places.ledger) as ledger:
            found = ledger.marks(self.scope, limit=self.most_rows)
            changed = [number for number, mark in found.items() if marks.get(number) != mark]
            progress = ledger.progress(self.scope, clock=self._clock)
            try:
                survey = ledger.survey(self.scope, limit=0, prompts=MOST_PROMPTS, clock=self._clock)
            except NotFoundError:  # a manifest's first run has not begun
                survey = Survey(counts=(), rows=(), money=(), ages=(), budgets=(), runs=())
            return _Look(
                marks=found,
                rows=ledger.rows_of(changed) if changed else [],
                figures={**figures(survey), "total": survey.total},
                progress=progress,
                alive=progress is not None and progress.ended_at is None and ledger.is_on(progress.run_id),
            )

    def _take(self, found: _Look) -> None:
        self.number += 1
        for row in found.rows:
            self._rows[row.id] = row
            self._changed[row.id] = self.number
        for gone in self._rows.keys() - found.marks.keys():
            del self._rows[gone], self._changed[gone]
        self._marks = found.marks
        told = {**found.figures, "made_at": self._figures["made_at"]}
        if told != self._figures:
            self._figures = {**told, "made_at": self._clock.wall()}
            self._figures_changed = self.number
        self._progress, self._alive = found.progress, found.alive
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()
