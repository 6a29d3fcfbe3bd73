"""The running sums of money by scope, and the caps they are held against."""

from datetime import datetime
from typing import Any

from pipeline.ledger.records import CapReached, Caps
from pipeline.ledger.sql import Connection
from pipeline.ledger.states import AttemptMoney

#: The scopes an amount counts in; see ``scopes``.
Scopes = tuple[str, str, str, str]

# One statement each, because each lets go of the interpreter's lock, which is what most of a step costs.
_RESERVE = (
    "INSERT INTO sums (scope, reserved) VALUES (?, ?), (?, ?), (?, ?), (?, ?)"
    " ON CONFLICT (scope) DO UPDATE SET reserved = sums.reserved + excluded.reserved"
)
_MOVE = "UPDATE sums SET spent = spent + ?, unknown = unknown + ?, reserved = reserved + ? WHERE scope IN (?, ?, ?, ?)"
_OF_SCOPE = "coalesce((SELECT spent + unknown + reserved FROM sums WHERE scope = ?), 0)"
_COMMITTED = f"SELECT {', '.join([_OF_SCOPE] * 4)}"


def local_day(at: float) -> str:
    """The calendar day, local time, that money spent at that moment counts in."""
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d")


def scopes(batch: int, day: str, *, simulated: bool) -> Scopes:
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


def reserve(connection: Connection, names: Scopes, amount: int) -> None:
    """Add an amount to what is reserved in each scope; one that is new begins with it."""
    connection.execute(_RESERVE, tuple(value for name in names for value in (name, amount)))


def move(connection: Connection, names: Scopes, amount: int, *, to: AttemptMoney, out_of: AttemptMoney) -> None:
    """Take an amount out of what it was in each scope, and add it to what it has become.

    Raises:
        ValueError: A scope has no sums, although the amount was reserved in it.
    """
    moved = dict.fromkeys((AttemptMoney.SPENT, AttemptMoney.UNKNOWN, AttemptMoney.RESERVED), 0)
    if to in moved:
        moved[to] += amount
    moved[out_of] -= amount
    connection.execute(_MOVE, (*moved.values(), *names))
    if connection.changes() != len(names):
        raise ValueError(f"no sums in one of {', '.join(names)}")


def cap_reached(connection: Connection, names: Scopes, caps: Caps, price: int) -> CapReached | None:
    """The first cap that one more price would pass; None when there is room under all of them."""
    limits = (caps.batch, caps.daily, caps.monthly, caps.total)
    if limits == (None, None, None, None):
        return None
    amounts: Any = connection.execute(_COMMITTED, names).get
    for name, cap, committed in zip(names, limits, amounts, strict=True):
        if cap is not None and committed + price > cap:
            return CapReached(
                scope=in_words(name), cap_microusd=cap, committed_microusd=committed, price_microusd=price
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
        CAST(total(price) FILTER (WHERE money = 'spent') AS BIGINT) AS spent,
        CAST(total(price) FILTER (WHERE money = 'unknown') AS BIGINT) AS unknown,
        CAST(total(price) FILTER (WHERE money = 'reserved') AS BIGINT) AS reserved
    FROM scoped GROUP BY scope
)
"""


_CONTRADICTED = f"""{_PROVEN}
SELECT coalesce(p.scope, s.scope), coalesce(s.spent + s.unknown + s.reserved, 0),
    coalesce(p.spent + p.unknown + p.reserved, 0) FROM proven p FULL JOIN sums s ON s.scope = p.scope
WHERE (s.spent, s.unknown, s.reserved) IS DISTINCT FROM (p.spent, p.unknown, p.reserved)
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


def in_words(name: str) -> str:
    """What people call a scope."""
    kind, _, detail = name.removeprefix("simulated:").partition(":")
    return {"batch": "this manifest", "total": "the whole ledger"}.get(kind, f"{kind} {detail}")
