"""The running sums of money by scope, and the caps they are held against."""

from datetime import datetime
from typing import Any

from pipeline.ledger.connection import Connection
from pipeline.ledger.records import CapReached, Caps
from pipeline.ledger.states import AttemptMoney


def local_day(at: float) -> str:
    """The calendar day, local time, that money spent at that moment counts in."""
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d")


def scopes(batch: int, day: str, *, simulated: bool) -> tuple[str, str, str, str]:
    """The sums an amount counts in: batch, day, month, total. Make-believe money has a day, month and total apart."""
    realm = "simulated:" if simulated else ""
    return f"batch:{batch}", f"{realm}day:{day}", f"{realm}month:{day[:7]}", f"{realm}total"


def change(connection: Connection, attempt: int, *, to: AttemptMoney, at: float) -> int:
    """Change what has become of an attempt's price, in the sums of the day it was reserved on; the price."""
    price, day, before, batch, simulated = connection.execute(
        "SELECT a.price_microusd, a.day, a.money, b.id, b.simulated FROM attempts a"
        " JOIN runs r ON r.id = a.run JOIN batches b ON b.id = r.batch WHERE a.id = ?",
        (attempt,),
    ).get
    move(connection, scopes(batch, day, simulated=bool(simulated)), price, to=to, out_of=AttemptMoney(before))
    connection.execute("UPDATE attempts SET money = ?, settled_at = ? WHERE id = ?", (to, at, attempt))
    return int(price)


def move(
    connection: Connection,
    names: tuple[str, ...],
    amount: int,
    *,
    to: AttemptMoney,
    out_of: AttemptMoney | None = None,
) -> None:
    """Add an amount to what it has become in each scope, and take it out of what it was."""
    moved = dict.fromkeys((AttemptMoney.SPENT, AttemptMoney.UNKNOWN, AttemptMoney.RESERVED), 0)
    if to in moved:
        moved[to] += amount
    if out_of is not None:
        moved[out_of] -= amount
    # The constraints must hold for the row an upsert proposes too, so the row comes first and the change second.
    for name in names:
        connection.execute("INSERT INTO sums (scope) VALUES (?) ON CONFLICT DO NOTHING", (name,))
        connection.execute(
            "UPDATE sums SET spent = spent + ?, unknown = unknown + ?, reserved = reserved + ? WHERE scope = ?",
            (*moved.values(), name),
        )


def cap_reached(connection: Connection, names: tuple[str, ...], caps: Caps, price: int) -> CapReached | None:
    """The first cap that one more price would pass; None when there is room under all of them."""
    limits = (caps.batch, caps.daily, caps.monthly, caps.total)
    for name, cap in zip(names, limits, strict=True):
        if cap is None:
            continue
        committed = connection.execute("SELECT spent + unknown + reserved FROM sums WHERE scope = ?", (name,)).get or 0
        if committed + price > cap:
            return CapReached(
                scope=_in_words(name), cap_microusd=cap, committed_microusd=committed, price_microusd=price
            )
    return None


_PROVEN = """
WITH counted AS (
    SELECT a.money, a.price_microusd AS price, r.batch, a.day, iif(b.simulated, 'simulated:', '') AS realm
    FROM attempts a JOIN runs r ON r.id = a.run JOIN batches b ON b.id = r.batch
), scoped AS (
    SELECT 'batch:' || batch AS scope, money, price FROM counted
    UNION ALL SELECT realm || 'day:' || day, money, price FROM counted
    UNION ALL SELECT realm || 'month:' || substr(day, 1, 7), money, price FROM counted
    UNION ALL SELECT realm || 'total', money, price FROM counted
), proven AS (
    SELECT scope,
        CAST(total(price) FILTER (WHERE money = 'spent') AS INTEGER) AS spent,
        CAST(total(price) FILTER (WHERE money = 'unknown') AS INTEGER) AS unknown,
        CAST(total(price) FILTER (WHERE money = 'reserved') AS INTEGER) AS reserved
    FROM scoped GROUP BY scope
)
"""


_CONTRADICTED = f"""{_PROVEN}
SELECT coalesce(p.scope, s.scope), coalesce(s.spent + s.unknown + s.reserved, 0),
    coalesce(p.spent + p.unknown + p.reserved, 0) FROM proven p FULL JOIN sums s ON s.scope = p.scope
WHERE (s.spent, s.unknown, s.reserved) IS NOT (p.spent, p.unknown, p.reserved)
"""  # noqa: S608 - from the text above
_RECOUNT = f"""DELETE FROM sums;
INSERT INTO sums (scope, spent, unknown, reserved) {_PROVEN} SELECT scope, spent, unknown, reserved FROM proven
"""  # noqa: S608 - from the text above


def contradicted(connection: Connection) -> list[tuple[str, int, int]]:
    """The scopes whose running sums are not those of their attempts: each with what is recorded and what is right."""
    rows: list[Any] = connection.execute(_CONTRADICTED).fetchall()
    return [(scope, int(recorded), int(counted)) for scope, recorded, counted in rows]


def recount(connection: Connection) -> None:
    """Make the running sums anew from the attempts, which are the truth."""
    connection.execute(_RECOUNT)


def _in_words(name: str) -> str:
    kind, _, detail = name.removeprefix("simulated:").partition(":")
    return {"batch": "this manifest", "total": "the whole ledger"}.get(kind, f"{kind} {detail}")
