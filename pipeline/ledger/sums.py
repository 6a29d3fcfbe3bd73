"""The running sums of money by scope, and the caps they are held against."""

from datetime import datetime

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


def _in_words(name: str) -> str:
    kind, _, detail = name.removeprefix("simulated:").partition(":")
    return {"batch": "this manifest", "total": "the whole ledger"}.get(kind, f"{kind} {detail}")
