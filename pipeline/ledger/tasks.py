"""A task that a provider has taken (K): it is written down, taken over from the dead, and settled like any request."""

from collections.abc import Callable, Collection
from typing import Any

from pipeline.ledger import hands, steps
from pipeline.ledger.hands import Alive
from pipeline.ledger.records import Reservation, Submitted
from pipeline.ledger.sql import Connection


def submit(connection: Connection, *, attempt: int, task: str, polling_url: str, submitted_at: float) -> None:
    """K: the provider has taken the task; from here on it can be asked after, by whichever run."""
    taken = connection.execute(
        "UPDATE attempts SET task = ?, polling_url = ?, submitted_at = ? WHERE id = ? AND money = 'reserved'"
        " RETURNING id",
        (task, polling_url, submitted_at, attempt),
    ).get
    if taken is None:
        raise ValueError(f"attempt {attempt} is settled already")


def submitted(connection: Connection, *, run: int, alive: Alive, own: bool = False) -> list[Submitted]:
    """What providers have taken, and no run that is on asks after; the first taken first.

    Args:
        own: What ``run`` itself asks after, too.
    """
    elsewhere = hands.others(connection, run=run, alive=alive)
    rows = connection.execute(
        "SELECT j.key, a.id, a.price_microusd, coalesce(a.provider, r.provider), a.task, a.polling_url, a.submitted_at,"
        " coalesce(j.ratio, json_extract(j.asked, '$.follows')), p.wanted, j.model, j.prompt, j.seed, j.holder"
        " FROM attempts a JOIN jobs j ON j.id = a.job"
        " JOIN runs r ON r.id = a.run JOIN placements p ON p.id = a.placement"
        " WHERE a.money = 'reserved' AND a.submitted_at IS NOT NULL ORDER BY a.submitted_at"
    )
    return [
        Submitted(
            key=key.hex(),
            reservation=Reservation(attempt=attempt, price_microusd=price),
            provider=provider,
            task=task,
            polling_url=polling_url,
            submitted_at=submitted_at,
            ratio=ratio,
            wanted=wanted,
            model=model,
            prompt=prompt,
            seed=seed,
            holder=holder,
        )
        for (
            key,
            attempt,
            price,
            provider,
            task,
            polling_url,
            submitted_at,
            ratio,
            wanted,
            model,
            prompt,
            seed,
            holder,
        ) in rows
        if (own or holder != run) and holder not in elsewhere
    ]


def adopt(
    connection: Connection,
    *,
    run: int,
    providers: Collection[str],
    fetchable: Callable[[str], bool],
    alive: Alive,
    own: bool = False,
) -> list[Submitted]:
    """Take over what providers have taken from runs that are over; no other run asks after it meanwhile.

    Args:
        providers: Those that this run can ask.
        fetchable: Whether this run can keep a picture where its row wants it.
        own: What this run itself submitted, too: a process of it that was to ask after it ended early.
    """
    tasks = [
        task
        for task in submitted(connection, run=run, alive=alive, own=own)
        if task.provider in providers and fetchable(task.wanted)
    ]
    return [task for task in tasks if _take(connection, run, task)]


def _take(connection: Connection, run: int, task: Submitted) -> bool:
    """Take one over, unless another run has done so meanwhile; doing it again changes nothing."""
    taken = connection.execute(
        "UPDATE jobs SET holder = ? WHERE key = ? AND state = 'buying'"
        " AND (holder IS NOT DISTINCT FROM ? OR holder = ?) RETURNING id",
        (run, bytes.fromhex(task.key), task.holder, run),
    ).get
    return taken is not None


def abandon(connection: Connection, *, key: str, at: float) -> None:
    """D by a person's word, where a provider has taken the task (K) and will not be asked after it again."""
    tasks: list[Any] = connection.execute(
        "SELECT a.id FROM attempts a JOIN jobs j ON j.id = a.job WHERE j.key = ? AND a.money = 'reserved'"
        " AND a.submitted_at IS NOT NULL",
        (bytes.fromhex(key),),
    ).fetchall()
    for (attempt,) in tasks:
        message = "settled before the provider was asked again"
        steps.lose_answer(connection, attempt=attempt, kind="interrupted", message=message, request_id="", at=at)
