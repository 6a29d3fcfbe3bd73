"""A person's word on money that bought nothing (H): the one change of the ledger that no run makes."""

from typing import Any

from pipeline.clock import Clock
from pipeline.errors import UsageError
from pipeline.ledger import lookup, reading, steps, sums, tasks
from pipeline.ledger.address import Address
from pipeline.ledger.opening import changing
from pipeline.ledger.records import Settlement
from pipeline.ledger.sql import Connection
from pipeline.ledger.states import AttemptMoney, JobState


def settle(path: Address, keys: list[str], *, billed: bool, clock: Clock) -> list[Settlement]:
    """Settle jobs, all of them or none; see ``resolve``. What a dead run had under way is unknown by then (D).

    Args:
        path: The ledger, which the caller holds.
        keys: Job keys, or the first digits of them; empty for every job with unknown money. A job that is named is
            settled even where its provider has the task still (K).
        billed: Whether the provider's bill has the money in question.

    Raises:
        NotFoundError: There is no such ledger, or no such job.
        UsageError: A key is too short or not the only one, or the job has nothing to settle.
        StorageError: The disk is full or fails.
    """
    with changing(path) as connection:
        steps.abandon_reserved(connection, run=None, at=clock.wall())
        found = [lookup.key_of(connection, path, key) for key in keys] if keys else reading.unknown_keys(connection)
        for key in found if keys else ():
            tasks.abandon(connection, key=key, at=clock.wall())
        settled = [resolve(connection, key=key, billed=billed, at=clock.wall()) for key in dict.fromkeys(found)]
        connection.execute("COMMIT")
    return settled


def resolve(connection: Connection, *, key: str, billed: bool, at: float) -> Settlement:
    """H: a person has read the provider's bill, and says what became of a job's money that bought nothing.

    One question at a time. While some of the job's money is unknown, that is what the word is about: all of it becomes
    spent or is given back, and an unknown job then is lost and accepted as such, or planned again (lost, where an
    earlier attempt was paid). For a job that is lost or spoiled and has no unknown money, ``billed`` accepts the loss,
    and ``not billed`` records that the provider gave the money back: it is planned, and the next run buys it.

    Raises:
        UsageError: The job has nothing to settle.
    """
    job, text, settled, unknown = connection.execute(
        "SELECT id, state, settled, unknown_microusd > 0 OR state = 'unknown' FROM jobs WHERE key = ?",
        (bytes.fromhex(key),),
    ).get
    before = JobState(text)
    gone = before in {JobState.LOST, JobState.SPOILED}
    if not unknown and (not gone or (billed and settled)):
        raise UsageError(
            f"job {key[:12]} is {before}, and none of its money is unknown", remedy="see fluxbatch ledger verify"
        )
    amount = 0
    if unknown or not billed:
        in_question = AttemptMoney.UNKNOWN if unknown else AttemptMoney.SPENT
        amount = _say(connection, job, in_question, AttemptMoney.SPENT if billed else AttemptMoney.RELEASED, at=at)
    after = _after(connection, job, before, billed=billed, unknown=bool(unknown))
    accepted = billed and after in {JobState.LOST, JobState.SPOILED} and (not unknown or before is JobState.UNKNOWN)
    connection.execute("UPDATE jobs SET state = ?, settled = ? WHERE id = ?", (after, accepted, job))
    if after is JobState.PLANNED:
        steps.forget_picture(connection, job=job)
    return Settlement(key=key, before=before, after=after, amount_microusd=amount, accepted=accepted)


def _say(connection: Connection, job: int, money: AttemptMoney, to: AttemptMoney, *, at: float) -> int:
    """Change what became of all a job's money of one kind; how much it was, in micro-dollars."""
    attempts: list[Any] = connection.execute(
        "SELECT id FROM attempts WHERE job = ? AND money = ?", (job, money)
    ).fetchall()
    amount = sum(sums.change(connection, attempt, to=to, at=at) for (attempt,) in attempts)
    connection.execute(
        "UPDATE jobs SET"
        " spend_microusd = (SELECT total(price_microusd) FROM attempts WHERE job = jobs.id AND money = 'spent'),"
        " unknown_microusd = (SELECT total(price_microusd) FROM attempts WHERE job = jobs.id AND money = 'unknown')"
        " WHERE id = ?",
        (job,),
    )
    return amount


def _after(connection: Connection, job: int, before: JobState, *, billed: bool, unknown: bool) -> JobState:
    if before is JobState.UNKNOWN:
        paid = connection.execute("SELECT 1 FROM attempts WHERE job = ? AND money = 'spent' LIMIT 1", (job,)).get
        return JobState.LOST if paid else JobState.PLANNED
    given_back = before in {JobState.LOST, JobState.SPOILED} and not unknown and not billed
    return JobState.PLANNED if given_back else before
