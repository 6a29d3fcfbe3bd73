"""Questions to the ledger about single requests, for holding them against the provider's bill; nothing here writes."""

from typing import Any

from pipeline.ledger.hands import Alive
from pipeline.ledger.sql import Connection
from pipeline.ledger.states import AttemptMoney
from pipeline.ledger.views import AttemptRecord

_ATTEMPTS = """
SELECT a.id, j.key, j.model, a.day, a.money, a.price_microusd, a.started_at, a.ended_at, coalesce(a.request_id, ''),
    a.error_kind IS NOT NULL, coalesce(a.settled_at > a.ended_at, FALSE), r.run_id, r.ended_at IS NULL,
    (SELECT count(*) FROM attempts o WHERE o.job = a.job AND o.money IN ('unknown', 'reserved'))
FROM attempts a JOIN jobs j ON j.id = a.job JOIN runs r ON r.id = a.run JOIN batches b ON b.id = r.batch
WHERE coalesce(a.provider, r.provider) = ? AND b.simulated = ? AND a.day BETWEEN ? AND ? ORDER BY a.started_at, a.id
"""


def attempts(
    connection: Connection, *, provider: str, simulated: bool, since: str, until: str, alive: Alive
) -> list[AttemptRecord]:
    """Every request to a provider that counts in these days, both included; the first first.

    Args:
        since: A local date, ``2026-11-23``.
        until: Another.
        alive: Whether the run of that id is on.
    """
    rows: list[Any] = connection.execute(_ATTEMPTS, (provider, simulated, since, until)).fetchall()
    living = {run_id for run_id in {row[11] for row in rows if row[12]} if alive(run_id)}
    return [_record(row, living) for row in rows]


def _record(row: tuple[Any, ...], living: set[str]) -> AttemptRecord:
    number, key, model, day, money, price, started_at, ended_at, request_id, troubled, judged, run_id, _, still = row
    return AttemptRecord(
        id=number,
        key=key.hex(),
        model=model,
        day=day,
        money=AttemptMoney(money),
        price_microusd=price,
        started_at=started_at,
        ended_at=ended_at,
        request_id=request_id,
        troubled=bool(troubled),
        judged=bool(judged),
        under_way=money == AttemptMoney.RESERVED and run_id in living,
        open_of_job=still,
    )


def first_day(connection: Connection, *, provider: str, simulated: bool) -> str | None:
    """The local date of the first request to a provider; None when there is none."""
    day = connection.execute(
        "SELECT min(a.day) FROM attempts a JOIN runs r ON r.id = a.run JOIN batches b ON b.id = r.batch"
        " WHERE coalesce(a.provider, r.provider) = ? AND b.simulated = ?",
        (provider, simulated),
    ).get
    return None if day is None else str(day)


def providers(connection: Connection) -> list[tuple[str, bool]]:
    """Every provider that runs named, and whether the money was make-believe; real money first."""
    rows = connection.execute(
        "SELECT r.provider, b.simulated FROM runs r JOIN batches b ON b.id = r.batch UNION"
        " SELECT a.provider, b.simulated FROM attempts a JOIN runs r ON r.id = a.run JOIN batches b ON b.id = r.batch"
        " WHERE a.provider IS NOT NULL ORDER BY 2, 1"
    )
    return [(name, bool(simulated)) for name, simulated in rows]
