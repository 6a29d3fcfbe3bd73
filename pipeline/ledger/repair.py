"""What can be put right in a ledger without a person's word: never money that is spent or unknown, never a picture."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.bucket import Look, in_bucket, look_at
from pipeline.clock import Clock
from pipeline.errors import LedgerCorruptError
from pipeline.ledger import claims, presence, recovery, runfile, steps, sums
from pipeline.ledger.address import Address
from pipeline.ledger.opening import changing, damage, require_folder
from pipeline.ledger.sql import Connection
from pipeline.ledger.states import JobState
from pipeline.ledger.stores import Endpoint, endpoint_of
from pipeline.ledger.strangers import strangers
from pipeline.money import format_usd


def repair(path: Address, *, clock: Clock, endpoint: str | None = None) -> list[str]:
    """Put right what only has one right reading; all of it, or nothing.

    Requests of dead runs become unknown (D); stored pictures whose files are gone become lost (I), and stored again
    when they are back (J), under whatever name beside the others; running sums and jobs' counters follow the attempts.
    Then leftover parts of settled jobs go. Doing it again changes nothing.

    Args:
        path: The ledger, which the caller holds alone.
        endpoint: The server of pictures in buckets; None: as the ledger has heard, or as the environment says.

    Returns:
        What was done, a line each.

    Raises:
        NotFoundError: There is none.
        LedgerCorruptError: The database is damaged.
        StorageError: The disk is full or fails.
    """
    with changing(path) as connection:
        require_folder(path, connection)
        _refuse_damage(connection, path)
        afar: _Step = partial(_in_buckets, endpoint=endpoint_of(connection, path, said=endpoint))
        done = [line for step in (*_FIRST, afar, *_THEN) for line in step(connection, path, clock.wall())]
        connection.execute("COMMIT")
        leftovers = [each.path for each in strangers(connection, path) if each.leftover]
    done += _sweep(path, leftovers)
    return done


def _refuse_damage(connection: Connection, path: Address) -> None:
    if damage(connection, most=1):
        raise LedgerCorruptError(f"{path}: damaged beyond repair", remedy="restore it from a copy")


def _dead_runs(connection: Connection, path: Address, at: float) -> Iterator[str]:
    held = connection.execute(
        "SELECT count(*), total(price_microusd) FROM attempts WHERE money = 'reserved' AND submitted_at IS NULL"
    ).get
    number, amount = held
    recovery.bury_dead(connection, at=at, alive=lambda _: False)
    steps.abandon_reserved(connection, run=None, at=at)
    if isinstance(path, Path):
        runfile.sweep(path)
    if number:
        yield f"{number:,} reserved by runs that died, ${format_usd(int(amount))}: held as unknown"


def _pictures(connection: Connection, path: Address, _: float) -> Iterator[str]:
    jobs: list[Any] = connection.execute(
        "SELECT id, key, state FROM jobs WHERE state = 'stored' OR sha256 IS NOT NULL"
    ).fetchall()
    for job, key, state in jobs:
        found = presence.as_found(connection, path.parent, job, JobState(state))
        if found == state:
            continue
        if found is JobState.LOST:
            steps.miss(connection, job=job, path=next(iter(presence.recorded(connection, job)), "its file"))
            yield f"{key.hex()[:12]}: its picture is gone: lost"
        else:
            steps.find(connection, job=job)
            yield f"{key.hex()[:12]}: its picture is back: stored"


def _in_buckets(connection: Connection, path: Address, _: float, *, endpoint: Endpoint) -> Iterator[str]:
    """The same for pictures in buckets, which only this step and ``verify`` ask for."""
    rows: list[Any] = connection.execute(
        "SELECT j.id, j.key, j.state, p.path, j.sha256, j.bytes FROM placements p JOIN jobs j ON j.id = p.job"
        " WHERE substr(p.path, 1, 5) = 's3://' AND j.sha256 IS NOT NULL AND j.state IN ('stored', 'lost', 'unknown')"
        " AND j.error_kind IS DISTINCT FROM ? ORDER BY p.path",
        (presence.PRUNED,),
    ).fetchall()
    looks = (
        Look(key=bytes(key), recorded=place, sha256=bytes(sha256).hex(), size_bytes=size)
        for _, key, _, place, sha256, size in rows
    )
    there: dict[bytes, bool] = {}
    for look, same in look_at(looks, endpoint=endpoint):
        there[look.key] = bool(same) or there.get(look.key, False)
    for job, key, state, _, _, size in {row[0]: row for row in rows}.values():
        local = [each for each in presence.recorded(connection, job) if not in_bucket(each)]
        found = there[bytes(key)] or any(presence.is_there(path.parent, each, size) for each in local)
        if state == JobState.STORED and not found:
            steps.miss(connection, job=job, path=presence.recorded(connection, job)[0])
            yield f"{bytes(key).hex()[:12]}: its picture is gone from its bucket: lost"
        elif state != JobState.STORED and there[bytes(key)]:
            steps.find(connection, job=job)
            yield f"{bytes(key).hex()[:12]}: its picture is back in its bucket: stored"


def _taken_back(connection: Connection, path: Address, _: float) -> Iterator[str]:
    for found, file in claims.missed(connection, path):
        steps.take_back(connection, job=found.job, path=file)
        yield f"{found.key[:12]}: its picture is {file}: stored"


def _sums(connection: Connection, _path: Address, _at: float) -> Iterator[str]:
    for scope, recorded, counted in sums.contradicted(connection):
        yield f"{scope}: the running total said ${format_usd(recorded)}, the attempts say ${format_usd(counted)}"
    sums.recount(connection)


def _counters(connection: Connection, _path: Address, _at: float) -> Iterator[str]:
    changed: list[Any] = connection.execute(
        "WITH made AS (SELECT j.id AS job, count(*) FILTER (WHERE a.counted) AS attempts,"
        " total(a.price_microusd) FILTER (WHERE a.money = 'spent') AS spent,"
        " total(a.price_microusd) FILTER (WHERE a.money = 'unknown') AS unknown"
        " FROM jobs j LEFT JOIN attempts a ON a.job = j.id GROUP BY j.id)"
        " UPDATE jobs SET attempts = made.attempts, spend_microusd = made.spent, unknown_microusd = made.unknown"
        " FROM made WHERE made.job = jobs.id"
        " AND (jobs.attempts, spend_microusd, unknown_microusd)"
        " IS DISTINCT FROM (made.attempts, made.spent, made.unknown)"
        " RETURNING key"
    ).fetchall()
    for (key,) in changed:
        yield f"{key.hex()[:12]}: its count of attempts and money follows its attempts again"


_Step = Callable[[Connection, Address, float], Iterator[str]]
_FIRST: tuple[_Step, ...] = (_dead_runs, _pictures)
_THEN: tuple[_Step, ...] = (_taken_back, _sums, _counters)


def _sweep(path: Address, leftovers: list[str]) -> Iterator[str]:
    """Remove what this program left of settled jobs, and of a ledger that was not founded."""
    unfounded = [each.name for each in path.parent.glob(f"{path.name}.new-*")]
    for name in leftovers + unfounded:
        try:
            (path.parent / name).unlink()
        except OSError as error:
            yield f"{name}: a leftover that cannot be removed ({error.strerror})"
        else:
            yield f"{name}: a leftover, removed"
