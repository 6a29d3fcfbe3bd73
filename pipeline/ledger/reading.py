"""Questions to the ledger, as SQL: nothing here writes."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal

from pipeline.ledger import hands, opening, presence
from pipeline.ledger.hands import Alive
from pipeline.ledger.records import Trouble, Unfetched, Unplaced
from pipeline.ledger.sql import Connection
from pipeline.ledger.states import JobState
from pipeline.ledger.views import COLUMNS, BatchName, BatchStatus, Known, Row, SpendLine
from pipeline.money import format_usd

SpendBy = Literal["day", "month", "model", "manifest", "provider"]

_GROUPS: dict[SpendBy, str] = {
    "day": "a.day",
    "month": "substr(a.day, 1, 7)",
    "model": "j.model",
    "manifest": "iif(b.edition = '', b.manifest, b.manifest || ' / ' || b.edition)",
    "provider": "coalesce(a.provider, r.provider)",
}


def unfetched(connection: Connection, *, run: int, alive: Alive) -> list[Unfetched]:
    """What is bought and not stored, and no other run that is on fetches; earliest deadline first."""
    elsewhere = hands.others(connection, run=run, alive=alive)
    rows = connection.execute(
        "SELECT j.key, a.id, j.url, j.bought_at, j.deadline, coalesce(j.ratio, json_extract(j.asked, '$.follows')),"
        " p.wanted, j.holder, p.batch, p.run, j.model, j.prompt, j.seed FROM jobs j"
        " JOIN attempts a ON a.id = (SELECT max(id) FROM attempts WHERE job = j.id AND money = 'spent')"
        " JOIN placements p ON p.id = a.placement WHERE j.state = 'bought' ORDER BY j.deadline IS NULL, j.deadline"
    )
    return [
        Unfetched(
            key=key.hex(),
            attempt=attempt,
            url=url,
            bought_at=bought_at,
            deadline=deadline,
            ratio=ratio,
            wanted=wanted,
            holder=holder,
            batch=batch,
            seen_by=seen_by,
            model=model,
            prompt=prompt,
            seed=seed,
        )
        for key, attempt, url, bought_at, deadline, ratio, wanted, holder, batch, seen_by, model, prompt, seed in rows
        if holder not in elsewhere
    ]


def unplaced(connection: Connection, *, run: int, folder: Path) -> list[Unplaced]:
    """Rows of a run whose picture is stored, but not yet where they want it, in the manifest's order.

    Args:
        folder: The ledger's. Of several places the picture is recorded at, one is named that has it.
    """
    rows = connection.execute(
        "SELECT p.id, p.number, p.wanted, j.sha256, j.bytes, p.job FROM placements p JOIN jobs j ON j.id = p.job"
        " WHERE p.run = ? AND p.path IS NULL AND j.state = 'stored'"
        " AND j.error_kind IS DISTINCT FROM ? ORDER BY p.number",
        (run, presence.PRUNED),
    )
    found = []
    for placement, number, wanted, sha256, size, job in rows:
        paths = presence.recorded(connection, job)
        stored = next((path for path in paths if presence.is_there(folder, path, size)), paths[0] if paths else None)
        if stored is not None:
            found.append(Unplaced(placement=placement, stored=stored, wanted=wanted, sha256=sha256.hex(), index=number))
    return found


def unaccounted(connection: Connection, *, run: int, batch: int, paths: Sequence[str]) -> list[str]:
    """Which of these files no row knows; none once an earlier run of the same manifest and edition has seen rows.

    Args:
        paths: Files that are there, relative to the ledger's folder.
    """
    if connection.execute("SELECT 1 FROM placements WHERE batch = ? AND run != ? LIMIT 1", (batch, run)).get:
        return []
    rows = connection.execute(
        "SELECT path FROM placements WHERE path IN (SELECT value FROM json_each(?))", (json.dumps(paths),)
    )
    known = {path for (path,) in rows}
    return [path for path in paths if path not in known]


def troubles(connection: Connection, *, run: int, limit: int) -> list[Trouble]:
    """The first rows of a run whose job is failed, unknown, lost or spoiled, in the manifest's order."""
    rows = connection.execute(
        "SELECT p.number, j.state, j.prompt, coalesce(j.error_message, j.error_kind, '') FROM placements p"
        " JOIN jobs j ON j.id = p.job WHERE p.run = ? AND NOT j.settled"
        " AND (j.state IN ('failed', 'unknown', 'lost', 'spoiled')"
        " OR (j.state = 'buying' AND j.error_kind = 'submitted'))"
        " ORDER BY p.number LIMIT ?",
        (run, limit),
    )
    return [
        Trouble(index=number, state=JobState(state), prompt=prompt, message=message)
        for number, state, prompt, message in rows
    ]


def keys_like(connection: Connection, start: str) -> list[str]:
    """The keys of jobs that begin with these hex digits; two at most, which is enough to know that it is not one."""
    rows = connection.execute("SELECT key FROM jobs WHERE hex(key) LIKE ? LIMIT 2", (start.upper() + "%",))
    return [key.hex() for (key,) in rows]


def unknown_keys(connection: Connection) -> list[str]:
    """The keys of all jobs with unknown money."""
    rows = connection.execute("SELECT key FROM jobs WHERE unknown_microusd > 0 OR state = 'unknown' ORDER BY id")
    return [key.hex() for (key,) in rows]


EXPORT_QUERY = """
SELECT j.key, b.manifest, b.edition, p.number, j.model, j.prompt, j.ratio, j.seed, j.state,
    (SELECT count(*) FROM attempts a WHERE a.placement = p.id AND a.counted),
    (SELECT total(price_microusd) FROM attempts a WHERE a.placement = p.id AND a.money = 'spent'),
    (SELECT total(price_microusd) FROM attempts a WHERE a.placement = p.id AND a.money IN ('unknown', 'reserved')),
    p.path, j.sha256, j.bytes, j.width, j.height, j.format, j.verdict, j.bought_at, j.deadline, j.stored_at,
    j.url_age_s, j.error_kind, j.error_message, j.request_id,
    (SELECT coalesce(a.provider, r.provider) FROM attempts a JOIN runs r ON r.id = a.run WHERE a.placement = p.id
        ORDER BY a.id DESC LIMIT 1)
FROM batches b CROSS JOIN placements p ON p.batch = b.id CROSS JOIN jobs j ON j.id = p.job
ORDER BY b.id, p.number, p.id
"""


def _utc(at: float | None) -> str | None:
    """ISO 8601 in UTC with milliseconds, as every time in an export."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


#: How a column's stored value is written in an export; the others go as they are.
_WRITTEN: dict[str, Callable[[Any], Any]] = {
    "key": bytes.hex,
    "spend_usd": lambda total: format_usd(int(total)),
    "unknown_usd": lambda total: format_usd(int(total)),
    "sha256": lambda digest: digest.hex() if digest else None,
    "bought_at": _utc,
    "deadline": _utc,
    "stored_at": _utc,
    "url_age_s": lambda age: None if age is None else round(age, 3),
}


def export_rows(connection: Connection) -> Iterator[Row]:
    """One row a job of every manifest, in the order of manifests and their rows; money counts where it was spent."""
    for values in opening.rows_of(connection, EXPORT_QUERY):
        named = dict(zip(COLUMNS, values, strict=True))
        yield Row(**named | {name: written(named[name]) for name, written in _WRITTEN.items()})


def spend(connection: Connection, by: SpendBy) -> list[SpendLine]:
    """What was spent, is unknown and is reserved, by group; make-believe money last."""
    rows = connection.execute(
        f"SELECT b.simulated, {_GROUPS[by]} AS grouped, j.model, coalesce(a.provider, r.provider),"  # noqa: S608 - from the table above
        " count(*) FILTER (WHERE a.money = 'spent'),"
        " total(a.price_microusd) FILTER (WHERE a.money = 'spent'),"
        " total(a.price_microusd) FILTER (WHERE a.money = 'unknown'),"
        " total(a.price_microusd) FILTER (WHERE a.money = 'reserved')"
        " FROM attempts a JOIN jobs j ON j.id = a.job JOIN runs r ON r.id = a.run JOIN batches b ON b.id = r.batch"
        " WHERE a.money != 'released' GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"
    )
    return [
        _spend_line(group, list(parts), simulated=bool(simulated))
        for (simulated, group), parts in groupby(rows, key=itemgetter(0, 1))
    ]


def _spend_line(group: str, parts: list[tuple[Any, ...]], *, simulated: bool) -> SpendLine:
    models: Counter[str] = Counter()
    providers: Counter[str] = Counter()
    for _, _, model, provider, pictures, spent, _, _ in parts:
        models[model] += pictures
        providers[provider] += int(spent)
    spent, unknown, reserved = (int(sum(part[column] for part in parts)) for column in (5, 6, 7))
    return SpendLine(
        group=group,
        simulated=simulated,
        models={model: pictures for model, pictures in models.items() if pictures},
        spent_microusd=spent,
        unknown_microusd=unknown,
        reserved_microusd=reserved,
        providers=dict(providers),
    )


def status(connection: Connection) -> list[BatchStatus]:
    """Every manifest and edition, the one run last first."""
    states: dict[int, dict[JobState, int]] = {}
    for batch, state, number in connection.execute(
        "SELECT p.batch, j.state, count(*) FROM placements p JOIN jobs j ON j.id = p.job GROUP BY 1, 2"
    ):
        states.setdefault(batch, {})[JobState(state)] = number
    rows = connection.execute(
        "SELECT b.id, b.manifest, b.edition, b.simulated, coalesce(s.spent, 0), coalesce(s.unknown, 0),"
        " coalesce(s.reserved, 0), r.run_id, r.started_at, r.exit_code FROM batches b"
        " LEFT JOIN sums s ON s.scope = 'batch:' || b.id"
        " LEFT JOIN runs r ON r.id = (SELECT max(id) FROM runs WHERE batch = b.id) ORDER BY r.id DESC NULLS LAST"
    )
    return [
        BatchStatus(
            manifest=manifest,
            edition=edition,
            simulated=bool(simulated),
            states=states.get(batch, {}),
            spent_microusd=spent,
            unknown_microusd=unknown,
            reserved_microusd=reserved,
            last_run=run_id,
            last_started_at=started_at,
            last_exit_code=exit_code,
        )
        for batch, manifest, edition, simulated, spent, unknown, reserved, run_id, started_at, exit_code in rows
    ]


_UNSEEN = Known(state=None, passing=False, in_last_run=False)

# CROSS JOIN: the planner must begin with what is asked for, however few rows it believes the tables to have.
KNOWN_QUERY = """
SELECT j.key, j.id, j.state, j.passing, EXISTS (SELECT 1 FROM placements WHERE job = j.id AND run = ?),
    (SELECT path FROM placements WHERE job = j.id AND path IS NOT NULL ORDER BY id LIMIT 1), j.bytes
FROM json_each(?) AS asked CROSS JOIN jobs j ON j.key = unhex(asked.value)
"""


def known(connection: Connection, batch: BatchName, keys: Sequence[str], *, folder: Path) -> list[Known]:
    """What a run would find of each key: its state, and whether the last run of that batch had it.

    Args:
        folder: The ledger's: a stored picture whose file is gone is as good as lost.
    """
    last = _last_run(connection, batch)
    known = {
        key.hex(): _known(connection, folder, job, JobState(state), bool(passing), bool(mine), path, size)
        for key, job, state, passing, mine, path, size in connection.execute(KNOWN_QUERY, (last, json.dumps(keys)))
    }
    return [known.get(key, _UNSEEN) for key in keys]


def _known(
    connection: Connection,
    folder: Path,
    job: int,
    state: JobState,
    passing: bool,  # noqa: FBT001 - a row's columns in their order
    mine: bool,  # noqa: FBT001
    path: str | None,
    size: int,
) -> Known:
    there = state is JobState.STORED and path is not None and presence.is_there(folder, path, size)
    seen = state if there else presence.as_found(connection, folder, job, state)
    return Known(state=seen, passing=passing, in_last_run=mine)


def last_run_rows(connection: Connection, batch: BatchName) -> int:
    """How many rows the last run of a batch saw."""
    rows = connection.execute("SELECT count(*) FROM placements WHERE run = ?", (_last_run(connection, batch),)).get
    return int(rows or 0)


def _last_run(connection: Connection, batch: BatchName) -> int | None:
    run = connection.execute(
        "SELECT max(r.id) FROM runs r JOIN batches b ON b.id = r.batch"
        " WHERE b.manifest = ? AND b.edition = ? AND b.simulated = ?",
        (batch.manifest, batch.edition, batch.simulated),
    ).get
    return None if run is None else int(run)


def committed(connection: Connection, batch: BatchName) -> int:
    """Spent, unknown and reserved of a batch over all its runs, micro-dollars."""
    amount = connection.execute(
        "SELECT s.spent + s.unknown + s.reserved FROM sums s JOIN batches b ON s.scope = 'batch:' || b.id"
        " WHERE b.manifest = ? AND b.edition = ? AND b.simulated = ?",
        (batch.manifest, batch.edition, batch.simulated),
    ).get
    return int(amount or 0)
