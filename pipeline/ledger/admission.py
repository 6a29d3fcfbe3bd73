"""Holding a manifest's rows against the ledger: what is new, what is kept, what may be bought again."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.job import Job, UnfitRow
from pipeline.ledger import presence, steps
from pipeline.ledger.connection import Connection
from pipeline.ledger.hands import Alive, with_another
from pipeline.ledger.records import Admission, Policy, Run, Verdict
from pipeline.ledger.states import JobState


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
    return [_admit(connection, run, row, wanted, policy, folder, alive) for row, wanted in rows]


def _admit(
    connection: Connection, run: Run, row: Job | UnfitRow, wanted: str, policy: Policy, folder: Path, alive: Alive
) -> Admission:
    job = _job(connection, row)
    text, passing, size, holder = connection.execute(
        "SELECT state, passing, bytes, holder FROM jobs WHERE id = ?", (job,)
    ).get
    state, verdict, stored_path = JobState(text), Verdict.SETTLED, None
    under_way = state in {JobState.BUYING, JobState.BOUGHT}
    elsewhere = under_way and with_another(connection, holder, run=run.id, alive=alive)
    seen = None if elsewhere else steps.last_attempt_of_others(connection, job, run=run.id)
    placement, path, duplicate = _placement(connection, run, row, wanted, job, seen)
    if state is JobState.STORED and path is not None and presence.is_there(folder, path, size):
        return Admission(row=row, placement=placement, verdict=verdict, state=state)
    state = _look(connection, folder, job, state)
    if state is JobState.STORED:
        stored_path = _elsewhere(connection, folder, job, placement, path, size)
        verdict = Verdict.SETTLED if stored_path is None else Verdict.PLACE
    elif isinstance(row, Job) and not duplicate and (elsewhere or policy.buys(state, passing=bool(passing))):
        verdict = Verdict.BUY
    return Admission(row=row, placement=placement, verdict=verdict, state=state, stored_path=stored_path)


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


def _job(connection: Connection, row: Job | UnfitRow) -> int:
    key = bytes.fromhex(row.key)
    found = connection.execute("SELECT id FROM jobs WHERE key = ?", (key,)).get
    if found is not None:
        if isinstance(row, UnfitRow):  # the same row may stand on another line by now
            _say_where(connection, int(found), row)
        return int(found)
    if isinstance(row, UnfitRow):
        values = (key, JobState.FAILED, "", "", None, None, "{}", "unfit_row", _unfit(row))
    else:
        asked = row.request.identity()
        named = [asked.pop(name) for name in ("model", "prompt", "ratio", "seed")]
        ratio = str(row.request.ratio) if row.request.ratio else None
        named[2] = ratio
        rest = json.dumps({"repeat": row.repeat, **asked}, sort_keys=True, separators=(",", ":"))
        values = (key, JobState.PLANNED, *named, rest, None, None)
    inserted = connection.execute(
        "INSERT INTO jobs (key, state, model, prompt, ratio, seed, asked, error_kind, error_message)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
        values,
    ).get
    return int(inserted)


def _say_where(connection: Connection, job: int, row: UnfitRow) -> None:
    connection.execute("UPDATE jobs SET error_message = ? WHERE id = ?", (_unfit(row), job))


def _unfit(row: UnfitRow) -> str:
    return f"{row.source}: {row.message}"


def _placement(
    connection: Connection, run: Run, row: Job | UnfitRow, wanted: str, job: int, seen_attempt: int | None
) -> tuple[int, str | None, bool]:
    """The row's own placement: the first of its equals that this run has not seen yet, else a new one."""
    places: list[Any] = connection.execute(
        "SELECT id, path, run FROM placements WHERE batch = ? AND job = ? ORDER BY occurrence", (run.batch, job)
    ).fetchall()
    duplicate = any(seen == run.id for _, _, seen in places)
    for placement, path, seen in places:
        if seen != run.id:
            connection.execute(
                "UPDATE placements SET number = ?, run = ?, duplicate = ?, wanted = ?, seen_attempt = ? WHERE id = ?",
                (row.index, run.id, duplicate, wanted, seen_attempt, placement),
            )
            return placement, path, duplicate
    inserted = connection.execute(
        "INSERT INTO placements (batch, job, occurrence, number, run, duplicate, wanted, seen_attempt)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
        (run.batch, job, len(places) + 1, row.index, run.id, duplicate, wanted, seen_attempt),
    ).get
    return int(inserted), None, duplicate
