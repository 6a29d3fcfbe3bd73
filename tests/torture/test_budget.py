"""The budget is a wall: any order of steps by several runs, against books kept in plain Python, on a real file.

Runs begin, share, crash and end; requests are answered, refused, lost; a person settles; days and months go by. After
each step the ledger's sums are the books', and no cap is passed that was in force when money was reserved under it.
"""

import hashlib
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from pipeline.errors import LedgerBusyError, UsageError
from pipeline.job import Job, PictureRequest, job_key
from pipeline.ledger import (
    CapReached,
    Caps,
    JobState,
    Picture,
    Policy,
    Reservation,
    Run,
    admission,
    recovery,
    steps,
    sums,
)
from pipeline.ledger.connection import Connection, open_writing
from pipeline.ledger.settling import settle
from pipeline.ratio import Ratio

T = TypeVar("T")

#: Where there is memory for it, ledgers stand there: nothing here is about what a disk does.
_MEMORY = Path("/dev/shm")
#: Far from UTC, and not by whole hours, so that a day computed elsewhere is another.
_ZONE, _AHEAD = "Asia/Kathmandu", timedelta(hours=5, minutes=45)
#: 23:45 there, some days before a month's end.
_START = datetime(2026, 11, 26, 18, 0, tzinfo=UTC).timestamp()
_BATCHES = (("poster", False), ("cover", False), ("trial", True))
_JOBS = 6
_HELD = ("spent", "unknown", "reserved")

_CAP = st.none() | st.integers(0, 14) | st.integers(0, 14)
#: What becomes of a request: nothing yet, billed, lost, or refused in one way or another.
_FATES = st.sampled_from(
    ["reserved", "spent", "unknown", "released passing counted", "released final passing", "released final", "released"]
)
_CAPS = st.builds(Caps, batch=_CAP, daily=_CAP, monthly=_CAP, total=_CAP, resend=st.none() | st.integers(0, 6))


@dataclass
class Entry:
    """One attempt in the books; ``interrupted`` is one that is unknown only because its run has died."""

    attempt: int
    job: int
    run: int
    batch: int
    simulated: bool
    price: int
    day: str
    resent: bool
    money: str = "reserved"
    interrupted: bool = False

    def scopes(self) -> tuple[str, str, str, str]:
        """The batch, day, month and total it counts in."""
        realm = "simulated:" if self.simulated else ""
        return f"batch:{self.batch}", f"{realm}day:{self.day}", f"{realm}month:{self.day[:7]}", f"{realm}total"


@dataclass
class Running:
    """A run that is on, as a process of its own would have it."""

    run: Run
    connection: Connection
    placements: list[int]


def _day(at: float) -> str:
    """The calendar day there, without asking the system."""
    return f"{datetime.fromtimestamp(at, UTC) + _AHEAD:%Y-%m-%d}"


def _job(index: int) -> Job:
    request = PictureRequest(model="flux-kontext-pro", prompt=f"picture {index}", ratio=Ratio(1, 1))
    key = job_key(request, repeat=1, edition="", simulated=False)
    return Job(index=index, key=key, request=request, repeat=1, path=f"{index}", source=f"poster.yaml:{index}")


JOBS = [_job(index) for index in range(_JOBS)]


class BudgetMachine(RuleBasedStateMachine):
    """The ledger's steps beside the books."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None)
        self.path = Path(self._folder.name) / "ledger.db"
        self.at = _START
        self.begun = 0
        self.on: dict[int, Running] = {}
        self.books: list[Entry] = []
        #: What each scope may hold: the highest cap under which anything was reserved in it; None for none.
        self.ceilings: dict[str, float] = {}
        self.reader = open_writing(self.path)

    def teardown(self) -> None:
        for running in self.on.values():
            running.connection.close()
        self.reader.close()
        self._folder.cleanup()

    # --- runs ---------------------------------------------------------------------------------------------------

    @initialize(caps=st.lists(_CAPS, min_size=3, max_size=3))
    def first_runs(self, caps: list[Caps]) -> None:
        for which, each in enumerate(caps):
            self.begin(which, each)

    @rule(which=st.integers(0, 2), caps=_CAPS)
    def begin(self, which: int, caps: Caps) -> None:
        """A run begins beside those that are on; what dead ones had under way is unknown from now on."""
        connection = open_writing(self.path)
        self.begun += 1
        run_id, batch = f"run {self.begun}", (_BATCHES[which][0], "", _BATCHES[which][1])
        if which in self.on:
            with closing(connection), pytest.raises(LedgerBusyError):
                self._in_transaction(
                    connection,
                    lambda: recovery.begin(
                        connection, run_id=run_id, batch=batch, provider="p", caps=caps, at=self.at, alive=self._alive
                    ),
                )
            self._bury()
            self._check()
            return
        number, of, _ = self._in_transaction(
            connection,
            lambda: recovery.begin(
                connection, run_id=run_id, batch=batch, provider="p", caps=caps, at=self.at, alive=self._alive
            ),
        )
        self._bury()
        run = Run(
            id=number, run_id=run_id, batch=of, manifest=batch[0], edition="", simulated=_BATCHES[which][1], caps=caps
        )
        self.on[which] = Running(run, connection, [])
        seen = self._in_transaction(
            connection,
            lambda: admission.admit(
                connection,
                run=run,
                rows=[(job, job.path) for job in JOBS],
                policy=Policy(),
                folder=self.path.parent,
                alive=self._alive,
            ),
        )
        self.on[which].placements = [one.placement for one in seen]
        self._check()

    @precondition(lambda self: self.on)
    @rule(data=st.data(), crashes=st.booleans())
    def stop(self, data: st.DataObject, crashes: bool) -> None:
        """A run ends, and what it still has under way is unknown; or its process dies, and nothing is written down."""
        running = self.on.pop(data.draw(st.sampled_from(sorted(self.on))))
        connection, run = running.connection, running.run.id
        with closing(connection):
            if not crashes:
                self._in_transaction(connection, lambda: steps.abandon_reserved(connection, run=run, at=self.at))
                connection.execute("UPDATE runs SET ended_at = ? WHERE id = ?", (self.at, run))
                self._lose_reserved(lambda entry: entry.run == run)
        self._check()

    # --- time ---------------------------------------------------------------------------------------------------

    @rule(minutes=st.sampled_from([20, 400, 1_440, 1_440, 1_440, 5_760, 44_640, -60, -1_500]))
    def time_passes(self, minutes: int) -> None:
        """Into another day or month, and back when somebody sets the clock."""
        self.at += minutes * 60

    # --- money --------------------------------------------------------------------------------------------------

    @rule(
        which=st.integers(0, 2),
        caps=_CAPS,
        orders=st.lists(st.tuples(st.integers(0, _JOBS - 1), st.integers(0, 5), _FATES), min_size=1, max_size=6),
    )
    def buy(self, which: int, caps: Caps, orders: list[tuple[int, int, str]]) -> None:
        """A run, begun if need be, reserves for some jobs; some of the answers come at once."""
        if which not in self.on:
            self.begin(which, caps)
        for index, price, fate in orders:
            reserved = self._reserve(self.on[which], index, price)
            if reserved is not None and fate != "reserved":
                self._become(reserved, self.on[which].connection, fate)

    def _reserve(self, running: Running, index: int, price: int) -> Entry | None:
        run, state = running.run, self._state(index)
        wanted = Entry(
            attempt=0,
            job=index,
            run=run.id,
            batch=run.batch,
            simulated=run.simulated,
            price=price,
            day=_day(self.at),
            resent=state == JobState.UNKNOWN,
        )
        outcome = self._in_transaction(
            running.connection,
            lambda: steps.reserve(
                running.connection,
                run=run,
                placement=running.placements[index],
                key=JOBS[index].key,
                price_microusd=price,
                at=self.at,
                alive=self._alive,
            ),
        )
        match outcome:
            case Reservation():
                assert self._fits(wanted, run.caps)
                assert not wanted.resent or self._may_resend(wanted, run.caps)
                wanted.attempt = outcome.attempt
                self.books.append(wanted)
                self._raise_ceilings(wanted, run.caps)
            case CapReached():
                assert not self._fits(wanted, run.caps)
            case None:
                assert state != JobState.PLANNED
            case _ if state == JobState.UNKNOWN:
                assert not self._may_resend(wanted, run.caps)
            case _:
                assert state in {JobState.BUYING, JobState.BOUGHT}
        self._check()
        return wanted if wanted.attempt else None

    @precondition(lambda self: self._under_way())
    @rule(data=st.data(), fate=_FATES.filter(lambda fate: fate != "reserved"))
    def hear(self, data: st.DataObject, fate: str) -> None:
        """What became of a request is known."""
        self._become(*self._pick(data), fate)

    def _become(self, entry: Entry, connection: Connection, fate: str) -> None:
        self._in_transaction(connection, lambda: self._tell(connection, entry, fate))
        entry.money = fate.partition(" ")[0]
        self._check()

    def _tell(self, connection: Connection, entry: Entry, fate: str) -> None:
        attempt, at = entry.attempt, self.at
        match fate:
            case "spent":
                steps.answer(connection, attempt=attempt, url="u", bought_at=at, deadline=None, request_id="")
            case "unknown":
                steps.lose_answer(connection, attempt=attempt, kind="k", message="m", request_id="", at=at)
            case _:
                steps.release(
                    connection,
                    attempt=attempt,
                    kind="k",
                    message="m",
                    request_id="",
                    at=at,
                    final="final" in fate,
                    passing="passing" in fate,
                    counted="counted" in fate,
                )

    @precondition(lambda self: self._interrupted())
    @rule(data=st.data(), fate=_FATES.filter(lambda fate: fate != "reserved"))
    def hear_late(self, data: st.DataObject, fate: str) -> None:
        """A run that was taken for dead, and is not, says what became of a request."""
        entry = data.draw(st.sampled_from(self._interrupted()))
        self._become(entry, self.reader, fate)
        entry.interrupted = False

    @precondition(lambda self: self._told())
    @rule(data=st.data(), fate=_FATES.filter(lambda fate: fate != "reserved"))
    def tell_what_is_told_already(self, data: st.DataObject, fate: str) -> None:
        """Nothing is given back, spent or lost twice."""
        entry = data.draw(st.sampled_from(self._told()))
        with pytest.raises(ValueError, match="already"):
            self._in_transaction(self.reader, lambda: self._tell(self.reader, entry, fate))
        self._check()

    @precondition(lambda self: self._bought())
    @rule(data=st.data(), fate=st.sampled_from([JobState.STORED, JobState.LOST, JobState.SPOILED]))
    def fetch(self, data: st.DataObject, fate: JobState) -> None:
        """What is bought is stored, lost or spoiled: money is spent in any case."""
        entry = data.draw(st.sampled_from(self._bought()))
        path = JOBS[entry.job].path
        if fate is not JobState.STORED:
            self._in_transaction(
                self.reader,
                lambda: steps.give_up(self.reader, attempt=entry.attempt, state=fate, kind="k", message="m"),
            )
        else:
            (self.path.parent / path).write_bytes(b"x")
            self._in_transaction(
                self.reader,
                lambda: steps.store(self.reader, attempt=entry.attempt, run=entry.run, path=path, picture=_picture()),
            )
        self._check()

    @precondition(lambda self: self.books)
    @rule(data=st.data(), billed=st.booleans())
    def settle(self, data: st.DataObject, billed: bool) -> None:
        """A person reads the bill, and holds the ledger alone for it: every run has died or ended."""
        for running in self.on.values():
            running.connection.close()
        self.on.clear()
        before = [(entry.money, entry.interrupted) for entry in self.books]
        self._lose_reserved(lambda _: True)
        index = data.draw(st.sampled_from(sorted({entry.job for entry in self.books})))
        money = [entry for entry in self.books if entry.job == index]
        unknown = [entry for entry in money if entry.money == "unknown"]
        try:
            [settled] = settle(self.path, [JOBS[index].key], billed=billed, clock=_Standing(self.at))
        except UsageError:
            assert not unknown
            for entry, money_before in zip(self.books, before, strict=True):
                entry.money, entry.interrupted = (
                    money_before  # nothing was done, not even for the dead: that comes when a run begins
                )
        else:
            moved = unknown or ([] if billed else [entry for entry in money if entry.money == "spent"])
            assert settled.amount_microusd == sum(entry.price for entry in moved)
            for entry in moved:
                entry.money, entry.interrupted = "spent" if billed else "released", False
        self._check()

    # --- the books ----------------------------------------------------------------------------------------------

    def _check(self) -> None:
        """The ledger says what the books say, and nothing is over its cap."""
        books: dict[str, Counter[str]] = {}
        for entry in self.books:
            for scope in entry.scopes():
                books.setdefault(scope, Counter())[entry.money] += entry.price
        rows = self.reader.execute("SELECT scope, spent, unknown, reserved FROM sums").fetchall()
        assert {scope: amounts for scope, *amounts in rows} == {
            scope: [amounts[money] for money in _HELD] for scope, amounts in books.items()
        }
        for scope, amounts in books.items():
            assert sum(amounts[money] for money in _HELD) <= self.ceilings[scope]
        assert sums.contradicted(self.reader) == []

    def _held(self, scope: str) -> int:
        return sum(entry.price for entry in self.books if entry.money in _HELD and scope in entry.scopes())

    def _fits(self, wanted: Entry, caps: Caps) -> bool:
        return all(
            cap is None or self._held(scope) + wanted.price <= cap
            for scope, cap in zip(wanted.scopes(), _in_order(caps), strict=True)
        )

    def _may_resend(self, wanted: Entry, caps: Caps) -> bool:
        """Once for each job, and within the cap, whatever run asked again."""
        if caps.resend is None:
            return True
        resent = [entry for entry in self.books if entry.resent and entry.money != "released"]
        used = sum(entry.price for entry in resent if entry.batch == wanted.batch)
        return used + wanted.price <= caps.resend and all(entry.job != wanted.job for entry in resent)

    def _raise_ceilings(self, entry: Entry, caps: Caps) -> None:
        for scope, cap in zip(entry.scopes(), _in_order(caps), strict=True):
            self.ceilings[scope] = max(self.ceilings.get(scope, 0), float("inf") if cap is None else cap)

    def _bury(self) -> None:
        living = {running.run.id for running in self.on.values()}
        self._lose_reserved(lambda entry: entry.run not in living)

    def _lose_reserved(self, of: Callable[[Entry], bool]) -> None:
        for entry in self.books:
            if entry.money == "reserved" and of(entry):
                entry.money, entry.interrupted = "unknown", True

    def _interrupted(self) -> list[Entry]:
        return [entry for entry in self.books if entry.interrupted]

    def _told(self) -> list[Entry]:
        return [entry for entry in self.books if entry.money != "reserved" and not entry.interrupted]

    def _under_way(self) -> list[tuple[Entry, Connection]]:
        """Requests of runs that are on, each with the connection of its run."""
        connections = {running.run.id: running.connection for running in self.on.values()}
        return [
            (entry, connections[entry.run])
            for entry in self.books
            if entry.money == "reserved" and entry.run in connections
        ]

    def _pick(self, data: st.DataObject) -> tuple[Entry, Connection]:
        under_way = self._under_way()
        return under_way[data.draw(st.integers(0, len(under_way) - 1))]

    def _bought(self) -> list[Entry]:
        """The last attempt of each job that is bought."""
        last = {entry.job: entry for entry in self.books}
        return [entry for entry in last.values() if self._state(entry.job) == JobState.BOUGHT]

    # --- the ledger ---------------------------------------------------------------------------------------------

    def _alive(self, run_id: str) -> bool:
        return any(running.run.run_id == run_id for running in self.on.values())

    def _state(self, index: int) -> str:
        key = bytes.fromhex(JOBS[index].key)
        return str(self.reader.execute("SELECT state FROM jobs WHERE key = ?", (key,)).get)

    def _in_transaction(self, connection: Connection, step: Callable[[], T]) -> T:
        connection.execute("BEGIN IMMEDIATE")
        try:
            result = step()
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
        return result


@dataclass(frozen=True)
class _Standing:
    """A clock that stands still."""

    at: float

    def monotonic(self) -> float:
        return self.at

    def wall(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError


def _in_order(caps: Caps) -> tuple[int | None, ...]:
    return caps.batch, caps.daily, caps.monthly, caps.total


def _picture() -> Picture:
    return Picture(
        sha256=hashlib.sha256(b"x").hexdigest(),
        size_bytes=1,
        width=1,
        height=1,
        format="png",
        verdict="ok",
        stored_at=0.0,
        url_age_s=0.0,
    )


@pytest.fixture
def _far_from_utc() -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = _ZONE
    time.tzset()
    yield
    del os.environ["TZ"]
    if before is not None:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.usefixtures("_far_from_utc")
def test_no_order_of_steps_passes_a_budget(torture: bool) -> None:
    assert _day(_START) == datetime.fromtimestamp(_START).astimezone().strftime("%Y-%m-%d") == "2026-11-26"
    run_state_machine_as_test(
        BudgetMachine,
        settings=settings(
            max_examples=5_000 if torture else 200,
            stateful_step_count=100 if torture else 30,
            deadline=None,
            derandomize=not torture,
            database=None,
            # Making a failure smaller takes minutes; what is found without is short enough to read.
            phases=[Phase.generate, Phase.shrink] if torture else [Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
