"""Holding a manifest's rows against the ledger: what is new, what is kept, what may be bought again."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Any

from pipeline.job import Job, UnfitRow, named
from pipeline.ledger import presence, steps
from pipeline.ledger.hands import Alive, with_another
from pipeline.ledger.opening import numbers
from pipeline.ledger.records import Admission, Policy, Run, Verdict
from pipeline.ledger.sql import Connection
from pipeline.ledger.states import JobState

_COMPACT = json.JSONEncoder(sort_keys=True, separators=(",", ":"))

# CROSS JOIN: the planner must begin with what is asked for, however few rows it believes the tables to have.
_FIND_JOBS = """
SELECT j.key, j.id, j.state, j.passing, j.bytes, j.holder, (SELECT max(id) FROM attempts WHERE job = j.id AND run != ?)
FROM json_each(?) AS asked CROSS JOIN jobs j ON j.key = unhex(asked.value)
"""
_FIND_PLACES = """
SELECT p.job, p.id, p.path, p.run FROM json_each(?) AS asked
CROSS JOIN placements p ON p.job = CAST(asked.value AS BIGINT)
WHERE p.batch = ? ORDER BY p.job, p.occurrence
"""
_MEET = """
UPDATE placements SET run = ?, number = met.column2, duplicate = met.column3, wanted = met.column4,
    seen_attempt = CAST(met.column5 AS BIGINT)
FROM (VALUES {}) AS met WHERE placements.id = met.column1
"""


def admit(
    connection: Connection,
    *,
    run: Run,
    rows: Sequence[tuple[Job | UnfitRow, str]],
    policy: Policy,
    folder: Path,
    alive: Alive,
) -> list[Admission]:
    """Record that this run has seen these rows, and say of each what is to be done.

    Args:
        rows: Each with the place it wants (relative to the ledger's folder, no suffix).
        folder: The ledger's. What is stored is looked for there: a picture that is gone is not kept, but lost (I).
        alive: Whether the run of that id is on. What such a run buys or fetches is ordered too, to wait for it.

    Raises:
        StorageError: It cannot be seen whether a picture is still there.
    """
    jobs = _jobs(connection, run, [row for row, _ in rows])
    places = _placements(connection, run, rows, jobs, alive)
    return [
        _judge(connection, row, jobs[row.key], place, policy, folder)
        for (row, _), place in zip(rows, places, strict=True)
    ]


@dataclass(slots=True)
class _Known:
    """A job, as far as a row needs to know it.

    Attributes:
        seen_attempt: The last attempt of other runs, 0: none.
        held: Whether another run that is on is about it; None until that was asked.
    """

    job: int
    state: JobState
    passing: bool
    size: int | None
    holder: int | None
    seen_attempt: int
    held: bool | None = None

    def elsewhere(self, connection: Connection, run: Run, alive: Alive) -> bool:
        """Whether another run that is on buys or fetches it."""
        if self.held is None:
            under_way = self.state in {JobState.BUYING, JobState.BOUGHT}
            self.held = under_way and with_another(connection, self.holder, run=run.id, alive=alive)
        return self.held


@dataclass(slots=True)
class _Place:
    """One row's own placement; ``run`` is the one that saw it last."""

    placement: int
    path: str | None
    run: int
    duplicate: bool = False


def _judge(
    connection: Connection, row: Job | UnfitRow, known: _Known, place: _Place, policy: Policy, folder: Path
) -> Admission:
    """Say what is to be done about a row, after a look at its job's files."""
    path, verdict, stored_path = place.path, Verdict.SETTLED, None
    if known.state is JobState.STORED and path is not None and presence.is_there(folder, path, known.size or 0):
        return Admission(row=row, placement=place.placement, verdict=verdict, state=known.state)
    state = known.state = _look(connection, folder, known.job, known.state)
    if state is JobState.STORED:
        stored_path = _elsewhere(connection, folder, known.job, place.placement, path, known.size or 0)
        verdict = Verdict.SETTLED if stored_path is None else Verdict.PLACE
    elif isinstance(row, Job) and not place.duplicate and (known.held or policy.buys(state, passing=known.passing)):
        verdict = Verdict.BUY
    return Admission(row=row, placement=place.placement, verdict=verdict, state=state, stored_path=stored_path)


def _look(connection: Connection, folder: Path, job: int, state: JobState) -> JobState:
    """The job's state once its files have been looked for."""
    found = presence.as_found(connection, folder, job, state)
    if found is not state:
        if found is JobState.LOST:
            steps.miss(connection, job=job, path=next(iter(presence.recorded(connection, job)), "its file"))
        else:
            steps.find(connection, job=job)
    return found


def _elsewhere(
    connection: Connection, folder: Path, job: int, placement: int, path: str | None, size: int
) -> str | None:
    """Where a stored picture is, for a row that does not have it at its own place; None if it has, or it was pruned."""
    if path is not None and presence.is_there(folder, path, size):
        return None
    if _pruned(connection, job):
        return None
    if path is not None:
        connection.execute("UPDATE placements SET path = NULL WHERE id = ?", (placement,))
    return next(each for each in presence.recorded(connection, job) if presence.is_there(folder, each, size))


def _pruned(connection: Connection, job: int) -> bool:
    kind = connection.execute("SELECT error_kind FROM jobs WHERE id = ?", (job,)).get
    return bool(kind == presence.PRUNED)


def _jobs(connection: Connection, run: Run, rows: Sequence[Job | UnfitRow]) -> dict[str, _Known]:
    """The rows' jobs by key; those that nobody has asked for before are written down.

    A few statements for all of them: each lets go of the interpreter's lock, and most of what it costs is to get it
    back.
    """
    asked = json.dumps(list(dict.fromkeys(row.key for row in rows)))
    jobs = _found(connection, run, asked)
    known, fresh = set(jobs), []
    new = numbers(connection, "jobs", len({row.key for row in rows} - known))
    for row in rows:
        if row.key not in jobs:
            number = next(new)
            fresh.append((number, *_written(row)))
            state = JobState.FAILED if isinstance(row, UnfitRow) else JobState.PLANNED
            jobs[row.key] = _Known(number, state, passing=False, size=None, holder=None, seen_attempt=0)
        elif isinstance(row, UnfitRow) and row.key in known:  # the same row may stand on another line by now
            _say_where(connection, jobs[row.key].job, row)
    if fresh:
        fresh.sort(key=itemgetter(1))  # two runs that write the same keys must not wait for each other in a ring
        columns = "(id, key, state, model, prompt, ratio, seed, asked, error_kind, error_message)"
        insert = f"INSERT INTO jobs {columns} VALUES {_groups(fresh)} ON CONFLICT DO NOTHING"  # noqa: S608 - groups of question marks
        connection.execute(insert, list(chain.from_iterable(fresh)))
        if connection.changes() < len(fresh):  # another run was first with some, or the same was sent again
            return _found(connection, run, asked)
    return jobs


def _found(connection: Connection, run: Run, asked: str) -> dict[str, _Known]:
    """The jobs of these keys that are written down."""
    return {
        key.hex(): _Known(job, JobState(state), bool(passing), size, holder, seen or 0)
        for key, job, state, passing, size, holder, seen in connection.execute(_FIND_JOBS, (run.id, asked))
    }


def _written(row: Job | UnfitRow) -> tuple[Any, ...]:
    """What is written down of a job that nobody has asked for before."""
    key = bytes.fromhex(row.key)
    if isinstance(row, UnfitRow):
        return (key, JobState.FAILED, "", "", None, None, "{}", "unfit_row", _unfit(row))
    asked = row.request.identity()
    model, prompt, _, seed = (asked.pop(name) for name in ("model", "prompt", "ratio", "seed"))
    ratio = str(row.request.ratio) if row.request.ratio else None
    if row.found_at:
        asked["found_at"] = [named(source) for source in row.found_at]
        asked["follows"] = str(row.follows) if row.follows else None
    rest = _COMPACT.encode({"repeat": row.repeat, **asked})
    return (key, JobState.PLANNED, model, prompt, ratio, seed, rest, None, None)


def _groups(rows: Sequence[tuple[Any, ...]]) -> str:
    """Question marks for the values of so many rows."""
    return ", ".join([f"({', '.join('?' * len(rows[0]))})"] * len(rows))


def _say_where(connection: Connection, job: int, row: UnfitRow) -> None:
    connection.execute("UPDATE jobs SET error_message = ? WHERE id = ?", (_unfit(row), job))


def _unfit(row: UnfitRow) -> str:
    return f"{row.source}: {row.message}"


def _own_place(row: Job | UnfitRow, equals: list[_Place], run: Run) -> tuple[_Place | None, bool]:
    """A row's placement, None where it is new, and whether this run has seen an equal row before."""
    if isinstance(row, Job) and row.placement is not None:
        place: _Place | None = next(each for each in equals if each.placement == row.placement)
    else:
        place = next((each for each in equals if each.run != run.id), None)
    return place, any(each.run == run.id for each in equals if each is not place)


def _placements(
    connection: Connection,
    run: Run,
    rows: Sequence[tuple[Job | UnfitRow, str]],
    jobs: dict[str, _Known],
    alive: Alive,
) -> list[_Place]:
    """Each row's own placement: the first of its equals that this run has not seen yet, else a new one."""
    places: dict[int, list[_Place]] = {known.job: [] for known in jobs.values()}
    for job, placement, path, seen_by in connection.execute(_FIND_PLACES, (json.dumps(list(places)), run.batch)):
        places[job].append(_Place(placement, path, seen_by))
    new = numbers(connection, "placements", len(rows))
    chosen, fresh, met = [], [], []
    for row, wanted in rows:
        known = jobs[row.key]
        equals = places[known.job]
        seen = None if known.elsewhere(connection, run, alive) else known.seen_attempt
        place, duplicate = _own_place(row, equals, run)
        if place is None:
            number = next(new)
            place = _Place(number, None, run.id, duplicate)
            equals.append(place)
            fresh.append((number, run.batch, known.job, len(equals), row.index, run.id, duplicate, wanted, seen))
        else:
            place.run, place.duplicate = run.id, duplicate
            met.append((place.placement, row.index, duplicate, wanted, seen))
        chosen.append(place)
    if fresh:
        columns = "(id, batch, job, occurrence, number, run, duplicate, wanted, seen_attempt)"
        connection.execute(
            f"INSERT INTO placements {columns} VALUES {_groups(fresh)} ON CONFLICT (id) DO NOTHING",  # noqa: S608 - groups of question marks
            list(chain.from_iterable(fresh)),
        )
    if met:
        connection.execute(_MEET.format(_groups(met)), [run.id, *chain.from_iterable(met)])
    return chosen
