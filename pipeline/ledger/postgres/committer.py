"""The writing connection to a server: a thread owns it, sends what waits as one call, and outlives an outage."""

import asyncio
import json
import queue
import secrets
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from typing import Any, TypeVar

from pipeline.clock import uptime
from pipeline.errors import FluxbatchError, StorageError
from pipeline.ledger.address import Server
from pipeline.ledger.handover import Handover, Outcome, Step
from pipeline.ledger.postgres import lives
from pipeline.ledger.postgres.calls import RECORDS, as_call, outcome
from pipeline.ledger.postgres.connection import Connection, driver, translate, translated
from pipeline.ledger.postgres.opening import know_folder, open_writing
from pipeline.ledger.postgres.spill import Spill, left_behind

T = TypeVar("T")

#: How many waiting steps share one call at most.
MAX_CALL = 64
#: How long the server may be away, in seconds, before a run gives up: well beyond a restart, well within the lease.
OUTAGE_S = 90.0
#: How often a run that has nothing to say says that it is there, in seconds.
BEAT_S = 2.0
#: How long to wait before a connection is tried again, in seconds: at first, and at most.
_AGAIN_S = (0.05, 2.0)


class ServerCommitter(Handover):
    """Takes steps from an event loop, has the server do them, and says so once they are durable there."""

    def __init__(self, server: Server, *, outage_s: float = OUTAGE_S, beat_s: float = BEAT_S) -> None:
        super().__init__(server)
        self._server = server
        self._outage_s = outage_s
        self._beat_s = beat_s
        # All of these are the thread's own.
        self._me = {
            "id": secrets.token_hex(16),
            "machine": lives.machine(),
            "process": lives.process(),
            "signature": lives.signature("a run"),
        }
        self._number = 0  # of the last call
        self._ahead: deque[tuple[Step, asyncio.Future[Any]]] = deque()  # taken from the queue, and still to be done
        self._calls: dict[int, dict[str, Any] | None] = {}  # by the step's future
        self._in_hand: list[dict[str, Any]] = []
        self._busy = False
        self._lost_at: float | None = None
        self._pause_s = _AGAIN_S[0]
        self._spill: Spill | None = None
        self._connection: Connection

    async def do_if_room(self, step: Callable[[Any], T]) -> T:
        """Hand over a step that leads to more buying: refused once the server was away for too long.

        Raises:
            StorageError: It was.
        """
        if self._ill is not None:
            raise StorageError(self._ill.message, remedy=self._ill.remedy)
        return await self.do(step)

    def alive(self, run_id: str) -> bool:
        """Whether the run of that id is on; inside a step only."""
        return lives.is_on(self._connection, run_id)

    def _work(self) -> None:
        try:
            self._connection = open_writing(self._server, lost=self._await_server)
            with closing(self._connection):
                with translated(self._server):
                    know_folder(self._connection, self._server)
                self._resolve([(self._opened, None, None)])
                while group := self._next_group():
                    self._resolve(self._do_all(group))
                self._say_goodbye()
        except FluxbatchError as error:
            self._resolve([(self._opened, None, error)])

    def _next_group(self) -> list[tuple[Step, asyncio.Future[Any]]]:
        """Wait for a step and take what waits with it; empty once the last is done."""
        while not self._ahead and not self._last:
            self._take(wait_s=self._beat_s)
            if not self._ahead and not self._last:
                self._beat()
        while len(self._ahead) < MAX_CALL and self._take():
            pass
        return [self._ahead.popleft() for _ in range(min(MAX_CALL, len(self._ahead)))]

    def _take(self, *, wait_s: float = 0.0) -> bool:
        """Take one step from the queue; whether there was one."""
        try:
            entry = self._steps.get(timeout=wait_s) if wait_s else self._steps.get_nowait()
        except queue.Empty:
            return False
        if entry is None:
            self._last = True
            return False
        self._ahead.append(entry)
        self._calls[id(entry[1])] = as_call(entry[0])
        return True

    def _do_all(self, group: Sequence[tuple[Step, asyncio.Future[Any]]]) -> list[Outcome]:
        """Do a group in its order: what the server does, as one call; the rest one after the other."""
        self._busy = True
        outcomes: list[Outcome] = []
        together: list[tuple[asyncio.Future[Any], dict[str, Any]]] = []
        for step, future in group:
            call = self._calls.pop(id(future))
            if call is not None:
                together.append((future, call))
                continue
            outcomes += self._call(together)
            together = []
            outcomes.append((future, *self._do_here(step)))
        outcomes += self._call(together)
        self._busy = False
        return outcomes

    def _do_here(self, step: Step) -> tuple[Any, BaseException | None]:
        try:
            result = step(self._connection)
        except FluxbatchError as error:
            return None, error
        except driver().Error as error:
            return None, translate(error, self._server)
        except Exception as error:  # noqa: BLE001 - carried to whoever waits; the thread must outlive one step's bug
            failure = FluxbatchError(f"{self._server}: a step was refused: {error}")
            failure.__cause__ = error
            return None, failure
        self._well()
        return result, None

    def _call(self, together: Sequence[tuple[asyncio.Future[Any], dict[str, Any]]]) -> list[Outcome]:
        if not together:
            return []
        calls = [call for _, call in together]
        sent_at = uptime()
        begun = next((call["with"] for call in calls if call["step"] == "begin"), None)
        try:
            if begun is not None:
                lives.pronounce_dead(self._connection)
                self._me["signature"] = lives.signature(f"run of {begun['manifest']}")
            came = self._perform(calls)
            if begun is not None:
                self._spill = Spill(self._server.folder, begun["run_id"])
            if any(call["step"] in {"begin", "bury_dead"} for call in calls):
                self._make_good()
        except FluxbatchError as error:
            return [(future, None, error) for future, _ in together]
        except driver().Error as error:
            failure = translate(error, self._server)
            return [(future, None, failure) for future, _ in together]
        return [
            (future, *outcome(call, each, self._server, sent_at=sent_at))
            for (future, call), each in zip(together, came, strict=True)
        ]

    def _perform(self, calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Have the server do some steps: once, however often this must be sent."""
        self._number += 1
        self._in_hand = calls
        came: list[dict[str, Any]] = self._connection.call(
            "SELECT perform(%s::JSONB, %s, %s::JSONB)", json.dumps(self._me), self._number, json.dumps(calls)
        )
        self._in_hand = []
        self._well()
        if self._spill is not None:
            self._spill.done(calls)
        return came

    def _well(self) -> None:
        self._lost_at, self._pause_s = None, _AGAIN_S[0]

    def _await_server(self, error: Exception) -> None:
        """Wait a little for a server that is away; what is paid for is kept here meanwhile.

        Raises:
            StorageError: It was away for too long.
        """
        now = time.monotonic()
        self._lost_at = now if self._lost_at is None else self._lost_at
        while self._take():
            pass
        kept = self._keep_what_is_paid()
        if self._last and not self._busy and not self._ahead:
            raise StorageError(translate(error, self._server).message)  # nothing is to be recorded any more
        if now - self._lost_at >= self._outage_s:
            self._ill = translate(error, self._server)
            raise StorageError(f"{self._ill.message}{kept}", remedy=self._ill.remedy) from None
        time.sleep(self._pause_s)
        self._pause_s = min(2 * self._pause_s, _AGAIN_S[1])

    def _keep_what_is_paid(self) -> str:
        """Write what money and pictures have come to where the next run finds it; in words, for an error."""
        waiting = [call for _, future in self._ahead if (call := self._calls[id(future)]) is not None]
        records = [call for call in (*self._in_hand, *waiting) if call["step"] in RECORDS]
        if not records or self._spill is None:
            return ""
        try:
            self._spill.keep(records)
        except OSError as error:
            return f" (and {self._spill.path} cannot be written: {error.strerror})"
        return f" (what is paid for is kept in {self._spill.path})"

    def _make_good(self) -> None:
        """Have the server record what runs that are over could only write down here."""
        for run_id, path, calls in left_behind(self._server.folder):
            if not lives.is_on(self._connection, run_id):
                for call in calls:
                    self._perform([call])  # what is recorded already is refused, and nothing else
                path.unlink(missing_ok=True)

    def _beat(self) -> None:
        """Say that this writer lives, and look who of this machine does not; an outage is no matter here."""
        with suppress(FluxbatchError, driver().Error):
            self._connection.call("UPDATE writers SET seen_at = clock_timestamp() WHERE id = %s", self._me["id"])
            lives.pronounce_dead(self._connection)
            self._well()

    def _say_goodbye(self) -> None:
        """A run that was not ended is dead from here on."""
        with suppress(FluxbatchError, driver().Error):
            self._connection.call("DELETE FROM writers WHERE id = %s", self._me["id"])


class ServerLife:
    """How a run on a server shows that it lives: the committer says so."""

    def __init__(self, committer: ServerCommitter) -> None:
        self.alive = committer.alive

    def beginning(self, step: Callable[[Any], T], **_: str) -> Callable[[Any], T]:
        """The step itself."""
        return step

    def ending(self, step: Callable[[Any], T]) -> Callable[[Any], T]:
        """The step itself."""
        return step

    def close(self) -> None:
        """The committer says goodbye."""
