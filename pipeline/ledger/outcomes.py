"""What became of a request: its price moved in every sum, and how it ended written down, once."""

from typing import NamedTuple

from pipeline.ledger import sums
from pipeline.ledger.sql import Connection
from pipeline.ledger.states import AttemptMoney

#: The provider's words kept of a refusal (wire facts: it keeps no log of failed calls).
MAX_ERROR_CHARACTERS = 2_000


class Settled(NamedTuple):
    """What an attempt was about: its job, where it took that from, and what the job's state depends on.

    Attributes:
        pictured: Whether the job has a picture on record.
        last: Whether the job waits for this attempt, or for one that was made since.
    """

    job: int
    price: int
    taken_from: str
    pictured: int
    last: int


def settle(
    connection: Connection,
    attempt: int,
    money: AttemptMoney,
    at: float,
    kind: str | None = None,
    message: str = "",
    request_id: str = "",
    body: str = "",
    *,
    counted: bool = True,
) -> Settled:
    """Move an attempt's price out of the reserved sums, and write down how it ended.

    What was held as unknown only because its run gave up, or was taken for dead, is still the run's to tell.
    """
    before, interrupted, day, batch, simulated, *rest = connection.execute(
        "SELECT a.money, a.money = 'unknown' AND a.error_kind = 'interrupted' AND a.settled_at = a.ended_at, a.day,"
        " b.id, b.simulated, a.job, a.price_microusd, a.taken_from, j.sha256 IS NOT NULL,"
        " NOT EXISTS (SELECT 1 FROM attempts WHERE job = a.job AND id > a.id)"
        " FROM attempts a JOIN jobs j ON j.id = a.job JOIN runs r ON r.id = a.run JOIN batches b ON b.id = r.batch"
        " WHERE a.id = ?",
        (attempt,),
    ).get
    if before != AttemptMoney.RESERVED and not interrupted:
        raise ValueError(f"attempt {attempt} is {before} already")
    settled = Settled(*rest)
    names = sums.scopes(batch, day, simulated=bool(simulated))
    sums.move(connection, names, settled.price, to=money, out_of=AttemptMoney(before))
    if interrupted:
        connection.execute(
            "UPDATE jobs SET unknown_microusd = unknown_microusd - ? WHERE id = ?", (settled.price, settled.job)
        )
    connection.execute(
        "UPDATE attempts SET polling_url = NULL, money = ?, settled_at = ?, ended_at = ?, counted = ?, error_kind = ?,"
        " error_message = ?, error_body = ?, request_id = ? WHERE id = ?",
        (
            money,
            at,
            at,
            counted,
            kind,
            message[:MAX_ERROR_CHARACTERS] or None,
            body[:MAX_ERROR_CHARACTERS] or None,
            request_id or None,
            attempt,
        ),
    )
    return settled
