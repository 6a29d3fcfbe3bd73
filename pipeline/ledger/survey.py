"""Everything a report shows, asked of the ledger in one view of it: rows, money, ages, budgets. Nothing here writes."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

from pipeline.ledger.shown import (
    AgeBar,
    BudgetLine,
    MoneyLine,
    Progress,
    RunLine,
    Scope,
    Shown,
    StateCount,
    Survey,
)
from pipeline.ledger.sql import Connection
from pipeline.ledger.states import JobState
from pipeline.ledger.sums import local_day

#: Seconds at which one bar of the ages ends and the next begins; the first begins at 0, the last has no end.
AGE_BOUNDS_S = (1, 2, 5, 10, 30, 60, 120, 300, 600)
#: Seconds over which a run's pace is counted.
PACE_S = 60.0
#: Runs and manifests that are listed, the newest first.
_LISTED = 50

_OPEN = "(j.state IN ('failed', 'unknown', 'lost', 'spoiled', 'bought') AND NOT j.settled)"
_AGE_BAR = " + ".join(f"CAST(j.url_age_s >= {bound} AS INTEGER)" for bound in AGE_BOUNDS_S)

# Which rows they are is told first: sorted with all their columns, and what they cost added up, every row of the ledger
# would be read whole.
_SHOWN = f"""
SELECT p.id, j.key, b.manifest, b.edition, b.simulated, p.number, j.model, j.prompt, j.ratio, j.seed, j.asked, j.state,
    p.duplicate, j.settled, j.passing, j.attempts,
    (SELECT total(price_microusd) FROM attempts a WHERE a.placement = p.id AND a.money = 'spent'),
    (SELECT total(price_microusd) FROM attempts a WHERE a.placement = p.id AND a.money IN ('unknown', 'reserved')),
    p.path, j.sha256, j.bytes, j.width, j.height, j.format, j.verdict, j.bought_at, j.stored_at, j.url_age_s,
    j.error_kind, j.error_message, j.request_id,
    (SELECT coalesce(a.provider, r.provider) FROM attempts a JOIN runs r ON r.id = a.run WHERE a.placement = p.id
        ORDER BY a.id DESC LIMIT 1), {_OPEN}
FROM placements p JOIN jobs j ON j.id = p.job JOIN batches b ON b.id = p.batch
WHERE p.id IN (
    SELECT p.id FROM placements p JOIN jobs j ON j.id = p.job JOIN batches b ON b.id = p.batch
    WHERE {{scope}} ORDER BY {_OPEN} DESC, p.id DESC LIMIT :limit
) ORDER BY {_OPEN} DESC, p.id DESC
"""  # noqa: S608 - from the text above
_COOKED: dict[str, Callable[[Any], Any]] = {
    "key": bytes.hex,
    "simulated": bool,
    "asked": json.loads,
    "state": JobState,
    "duplicate": bool,
    "settled": bool,
    "passing": bool,
    "spent_microusd": int,
    "unknown_microusd": int,
    "sha256": lambda digest: digest.hex() if digest else None,
    "open": bool,
}
#: What the database gives otherwise than ``Shown`` has it: where it stands, and how it is turned into that.
_COOKS = [(place, _COOKED[field.name]) for place, field in enumerate(fields(Shown)) if field.name in _COOKED]
#: What of a row may change, in one value.
_MARK = "j.state || j.attempts || j.settled || p.duplicate || ':' || coalesce(p.path, '') || ':' || p.number"


def survey(connection: Connection, scope: Scope, *, limit: int, prompts: int, now: float) -> Survey:
    """All of it; open troubles come first among the rows, then the newest, until one of the bounds is reached.

    Args:
        limit: The most rows.
        prompts: The most characters in the prompts of all of them.
        now: Seconds since 1970; the day and month whose budgets are told.
    """
    with one_view(connection):
        rows = list(_shown(connection, scope, limit=limit, prompts=prompts))
        return Survey(
            counts=_counts(connection, scope),
            rows=tuple(rows),
            money=_money(connection, scope),
            ages=_ages(connection, scope),
            budgets=(*_batch_budgets(connection, scope), *_wide_budgets(connection, scope, now)),
            runs=_runs(connection, scope),
        )


def marks(connection: Connection, scope: Scope, *, limit: int) -> dict[int, str]:
    """The newest rows by their numbers, each with a text that is another one whenever the row has changed."""
    rows = connection.execute(
        f"SELECT p.id, {_MARK} FROM placements p JOIN jobs j ON j.id = p.job JOIN batches b ON b.id = p.batch"  # noqa: S608 - from the text above
        f" WHERE {_rows_of(scope)} ORDER BY p.id DESC LIMIT :limit",
        {**_bindings(scope), "limit": limit},
    )
    return dict(rows)


def rows_of(connection: Connection, numbers: Sequence[int]) -> list[Shown]:
    """Rows by their numbers."""
    statement = _SHOWN.format(scope="p.id IN (SELECT CAST(value AS BIGINT) FROM json_each(:numbers))")
    found = connection.execute(statement, {"numbers": json.dumps(list(numbers)), "limit": len(numbers)})
    return [Shown(*_cooked(values)) for values in found]


def progress(connection: Connection, scope: Scope, *, now: float) -> Progress | None:
    """How far the last run that belongs has come; None before the first.

    Args:
        now: Seconds since 1970, for the pace of the last minute.
    """
    last = connection.execute(
        "SELECT r.id, r.run_id, r.started_at, r.ended_at, r.exit_code FROM runs r JOIN batches b ON b.id = r.batch"  # noqa: S608 - from the text above
        f" WHERE {_money_of(scope)} ORDER BY r.ended_at IS NOT NULL, r.id DESC LIMIT 1",
        _bindings(scope),
    ).get
    if last is None:
        return None
    run, run_id, started, ended, code = last
    states = dict(
        connection.execute(
            "SELECT j.state, count(*) FROM placements p JOIN jobs j ON j.id = p.job WHERE p.run = ? GROUP BY 1", (run,)
        )
    )
    recent = connection.execute(
        "SELECT count(DISTINCT j.id) FROM placements p JOIN jobs j ON j.id = p.job"
        " WHERE p.run = ? AND j.stored_run = p.run AND j.stored_at > ?",
        (run, now - PACE_S),
    ).get
    return Progress(
        run_id=run_id,
        started_at=started,
        ended_at=ended,
        exit_code=code,
        states={JobState(state): number for state, number in states.items()},
        stored_lately=int(recent),
    )


def has(connection: Connection, scope: Scope) -> bool:
    """Whether the ledger knows the manifest or run that a scope names."""
    bindings = _bindings(scope)
    if scope.run is not None:
        return bool(connection.execute("SELECT count(*) FROM runs WHERE run_id = :run", bindings).get)
    known = "SELECT count(*) FROM batches WHERE CAST(:manifest AS TEXT) IS NULL OR manifest = :manifest"
    return scope.manifest is None or bool(connection.execute(known, bindings).get)


@contextmanager
def one_view(connection: Connection) -> Iterator[None]:
    """Let several questions be answered from the same moment."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("COMMIT")


def _bindings(scope: Scope) -> dict[str, Any]:
    return {"manifest": scope.manifest, "run": scope.run}


def _rows_of(scope: Scope) -> str:
    """Which placements ``p`` of batches ``b`` belong: what a run saw last, or bought."""
    if scope.run is not None:
        run = "(SELECT id FROM runs WHERE run_id = :run)"
        return f"(p.run = {run} OR p.id IN (SELECT placement FROM attempts WHERE run = {run}))"  # noqa: S608
    return "b.manifest = :manifest" if scope.manifest is not None else "TRUE"


def _money_of(scope: Scope) -> str:
    """Which attempts' runs ``r`` of batches ``b`` belong."""
    if scope.run is not None:
        return "r.run_id = :run"
    return "b.manifest = :manifest" if scope.manifest is not None else "TRUE"


def _counts(connection: Connection, scope: Scope) -> tuple[StateCount, ...]:
    rows = connection.execute(
        f"SELECT b.simulated, j.state, count(*), count(*) FILTER (WHERE {_OPEN})"  # noqa: S608 - from the text here
        f" FROM placements p JOIN jobs j ON j.id = p.job JOIN batches b ON b.id = p.batch WHERE {_rows_of(scope)}"
        " GROUP BY 1, 2 ORDER BY 1, 2",
        _bindings(scope),
    )
    return tuple(
        StateCount(simulated=bool(simulated), state=JobState(state), rows=number, open=open_ones)
        for simulated, state, number, open_ones in rows
    )


def _shown(connection: Connection, scope: Scope, *, limit: int, prompts: int) -> Iterator[Shown]:
    statement = _SHOWN.format(scope=_rows_of(scope))
    told = 0
    for values in connection.execute(statement, {**_bindings(scope), "limit": limit}):
        row = Shown(*_cooked(values))
        told += len(row.prompt)
        if told > prompts:
            return
        yield row


def _cooked(values: tuple[Any, ...]) -> list[Any]:
    """A row of ``_SHOWN`` as the fields of ``Shown``, in their order."""
    cooked = list(values)
    for place, cook in _COOKS:
        cooked[place] = cook(cooked[place])
    return cooked


def _money(connection: Connection, scope: Scope) -> tuple[MoneyLine, ...]:
    rows = connection.execute(
        "SELECT b.simulated, a.day, j.model, count(*) FILTER (WHERE a.money = 'spent'),"  # noqa: S608 - from the text here
        " total(a.price_microusd) FILTER (WHERE a.money = 'spent'),"
        " total(a.price_microusd) FILTER (WHERE a.money IN ('unknown', 'reserved'))"
        " FROM attempts a JOIN jobs j ON j.id = a.job JOIN runs r ON r.id = a.run JOIN batches b ON b.id = r.batch"
        f" WHERE a.money != 'released' AND {_money_of(scope)} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
        _bindings(scope),
    )
    return tuple(
        MoneyLine(
            simulated=bool(simulated),
            day=day,
            model=model,
            pictures=pictures,
            spent_microusd=int(spent),
            unknown_microusd=int(unknown),
        )
        for simulated, day, model, pictures, spent, unknown in rows
    )


def _ages(connection: Connection, scope: Scope) -> tuple[AgeBar, ...]:
    counted = {
        (bool(simulated), bar): number
        for simulated, bar, number in connection.execute(
            f"SELECT b.simulated, {_AGE_BAR}, count(DISTINCT j.id)"  # noqa: S608 - from the text above
            " FROM placements p JOIN jobs j ON j.id = p.job JOIN batches b ON b.id = p.batch"
            f" WHERE j.state = 'stored' AND j.url_age_s IS NOT NULL AND {_rows_of(scope)} GROUP BY 1, 2",
            _bindings(scope),
        )
    }
    bounds = (0, *AGE_BOUNDS_S, None)
    return tuple(
        AgeBar(simulated=realm, from_s=bounds[bar] or 0, to_s=bounds[bar + 1], pictures=counted.get((realm, bar), 0))
        for realm in sorted({realm for realm, _ in counted})
        for bar in range(len(AGE_BOUNDS_S) + 1)
    )


def _batch_budgets(connection: Connection, scope: Scope) -> Iterator[BudgetLine]:
    """What each manifest and edition may spend by its last run, and what it has."""
    rows = connection.execute(
        "SELECT b.manifest, b.edition, b.simulated, r.caps, coalesce(s.spent, 0), coalesce(s.unknown + s.reserved, 0)"  # noqa: S608 - from the text here
        " FROM batches b JOIN runs r ON r.id = (SELECT max(id) FROM runs WHERE batch = b.id)"
        f" LEFT JOIN sums s ON s.scope = 'batch:' || b.id WHERE {_money_of(scope)} ORDER BY r.id DESC LIMIT {_LISTED}",
        _bindings(scope),
    )
    for manifest, edition, simulated, caps, spent, unknown in rows:
        cap = json.loads(caps or "{}").get("batch")
        if cap is not None:
            yield BudgetLine(
                kind="batch",
                name=f"{manifest} / {edition}" if edition else manifest,
                simulated=bool(simulated),
                cap_microusd=cap,
                spent_microusd=spent,
                unknown_microusd=unknown,
            )


def _wide_budgets(connection: Connection, scope: Scope, now: float) -> Iterator[BudgetLine]:
    """The day's, the month's and the ledger's, as the last run that belongs had them."""
    day = local_day(now)
    kinds = {"daily": f"day:{day}", "monthly": f"month:{day[:7]}", "total": "total"}
    for simulated in (False, True):
        caps = connection.execute(
            "SELECT r.caps FROM runs r JOIN batches b ON b.id = r.batch"  # noqa: S608 - from the text here
            f" WHERE b.simulated = :simulated AND {_money_of(scope)} ORDER BY r.id DESC LIMIT 1",
            {**_bindings(scope), "simulated": simulated},
        ).get
        for kind, name in kinds.items():
            cap = json.loads(caps or "{}").get(kind)
            if cap is None:
                continue
            spent, unknown = connection.execute(
                "SELECT spent, unknown + reserved FROM sums WHERE scope = ?",
                (f"simulated:{name}" if simulated else name,),
            ).get or (0, 0)
            yield BudgetLine(
                kind=kind,
                name=name.partition(":")[2],
                simulated=simulated,
                cap_microusd=cap,
                spent_microusd=spent,
                unknown_microusd=unknown,
            )


def _runs(connection: Connection, scope: Scope) -> tuple[RunLine, ...]:
    rows = connection.execute(
        "SELECT r.run_id, b.manifest, b.edition, b.simulated, r.started_at, r.ended_at, r.exit_code"  # noqa: S608 - from the text here
        f" FROM runs r JOIN batches b ON b.id = r.batch WHERE {_money_of(scope)} ORDER BY r.id DESC LIMIT {_LISTED}",
        _bindings(scope),
    )
    return tuple(
        RunLine(
            run_id=run_id,
            manifest=manifest,
            edition=edition,
            simulated=bool(simulated),
            started_at=started,
            ended_at=ended,
            exit_code=code,
        )
        for run_id, manifest, edition, simulated, started, ended, code in rows
    )
