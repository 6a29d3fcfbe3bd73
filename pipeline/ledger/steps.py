"""The steps of a job's life as SQL: each function is one arrow of ``states``, run inside the writer's transaction."""

from typing import Any

from pipeline.ledger import sums
from pipeline.ledger.hands import Alive, with_another
from pipeline.ledger.outcomes import MAX_ERROR_CHARACTERS, settle
from pipeline.ledger.records import CapReached, HeldForPerson, InOtherHands, Picture, Reservation, Run
from pipeline.ledger.sql import Connection
from pipeline.ledger.states import AttemptMoney, JobState

#: What is said of a task that the provider has and nobody asks after just now.
SUBMITTED = "the provider has taken it; the next run with that provider asks after it, and pays nothing more"


def reserve(
    connection: Connection,
    *,
    run: Run,
    placement: int,
    key: str,
    price_microusd: int,
    at: float,
    alive: Alive,
    provider: str | None = None,
) -> Reservation | CapReached | InOtherHands | HeldForPerson | None:
    """A: write down the intent and reserve its price, or say which budget forbids it.

    Args:
        alive: Whether the run of that id is on.
        provider: Who is to be asked; the run's own when None.

    Returns:
        ``InOtherHands`` while another run that is on is about this job. None when it is being bought, bought or stored
        already, or when another run tried for it since its row was admitted, and it is not simply still to be bought.
        ``HeldForPerson`` for an unknown one that may not be asked for again without a person's word.
    """
    job, state, passing, holder = connection.execute(
        "SELECT id, state, passing, holder FROM jobs WHERE key = ?", (bytes.fromhex(key),)
    ).get
    if state in {JobState.BUYING, JobState.BOUGHT}:
        return InOtherHands() if with_another(connection, holder, run=run.id, alive=alive) else None
    fresh = state == JobState.PLANNED or (state == JobState.FAILED and passing)
    if state == JobState.STORED or not (fresh or _as_admitted(connection, job, placement, run)):
        return None
    if state == JobState.UNKNOWN and not _may_resend(connection, job, run, price_microusd):
        return HeldForPerson()
    day = sums.local_day(at)
    names = sums.scopes(run.batch, day, simulated=run.simulated)
    reached = sums.cap_reached(connection, names, run.caps, price_microusd)
    if reached is not None:
        return reached
    sums.reserve(connection, names, price_microusd)
    attempt = connection.execute(
        "INSERT INTO attempts (job, placement, run, taken_from, money, price_microusd, day, started_at, provider)"
        " VALUES (?, ?, ?, ?, 'reserved', ?, ?, ?, ?) RETURNING id",
        (job, placement, run.id, state, price_microusd, day, at, provider),
    ).get
    connection.execute(
        "UPDATE jobs SET state = 'buying', holder = ?, settled = FALSE, attempts = attempts + 1 WHERE id = ?",
        (run.id, job),
    )
    return Reservation(attempt=attempt, price_microusd=price_microusd)


def answer(
    connection: Connection, *, attempt: int, url: str, bought_at: float, deadline: float | None, request_id: str
) -> None:
    """B: the reservation becomes spend; the URL and its deadline are durable from here on."""
    settled = settle(connection, attempt, AttemptMoney.SPENT, at=bought_at, request_id=request_id)
    connection.execute("UPDATE jobs SET spend_microusd = spend_microusd + ? WHERE id = ?", (settled.price, settled.job))
    if not settled.last:
        return
    connection.execute(
        "UPDATE jobs SET state = 'bought', url = ?, bought_at = ?, deadline = ?, request_id = ?,"
        " error_kind = NULL, error_message = NULL, passing = FALSE WHERE id = ?",
        (url, bought_at, deadline, request_id or None, settled.job),
    )
    if settled.pictured:  # it was stored, and missed
        forget_picture(connection, job=settled.job)


def release(
    connection: Connection,
    *,
    attempt: int,
    kind: str,
    message: str,
    request_id: str,
    at: float,
    final: bool,
    passing: bool,
    counted: bool,
    body: str = "",
) -> None:
    """E: refused and unbilled; the reservation is given back.

    Args:
        final: No further attempt in this run: a job that was planned or failed is now failed.
        passing: A rerun may try again by itself.
        counted: Whether it counts as one of the job's attempts (congestion does not).
        body: What the provider sent; kept with the attempt, because the provider keeps no log of failed calls.
    """
    settled = settle(connection, attempt, AttemptMoney.RELEASED, at, kind, message, request_id, body, counted=counted)
    fails = final and settled.taken_from in {JobState.PLANNED, JobState.FAILED}
    if not counted:
        connection.execute("UPDATE jobs SET attempts = attempts - 1 WHERE id = ?", (settled.job,))
    if not settled.last:
        return
    connection.execute(
        "UPDATE jobs SET state = ?, error_kind = ?, error_message = ?, passing = ?, request_id = ? WHERE id = ?",
        (
            JobState.FAILED if fails else settled.taken_from,
            kind,
            message[:MAX_ERROR_CHARACTERS],
            passing,
            request_id or None,
            settled.job,
        ),
    )


def lose_answer(
    connection: Connection, *, attempt: int, kind: str, message: str, request_id: str, at: float, body: str = ""
) -> None:
    """D: the request may have been billed; its price stays counted, as unknown, until a person decides."""
    settled = settle(connection, attempt, AttemptMoney.UNKNOWN, at, kind, message, request_id, body)
    connection.execute(
        "UPDATE jobs SET unknown_microusd = unknown_microusd + ? WHERE id = ?", (settled.price, settled.job)
    )
    if not settled.last:
        return
    connection.execute(
        "UPDATE jobs SET state = 'unknown', error_kind = ?, error_message = ?, passing = FALSE, request_id = ?"
        " WHERE id = ?",
        (kind, message[:MAX_ERROR_CHARACTERS], request_id or None, settled.job),
    )


def store(connection: Connection, *, attempt: int, run: int, path: str, picture: Picture) -> None:
    """C: the picture is proven and durable at ``path`` (relative to the ledger's folder)."""
    job, placement = _bought(connection, attempt)
    connection.execute(
        "UPDATE jobs SET state = 'stored', url = NULL, stored_at = ?, stored_run = ?, url_age_s = ?, sha256 = ?,"
        " bytes = ?, width = ?, height = ?, format = ?, verdict = ?,"
        " error_kind = NULL, error_message = NULL WHERE id = ?",
        (
            picture.stored_at,
            run,
            picture.url_age_s,
            bytes.fromhex(picture.sha256),
            picture.size_bytes,
            picture.width,
            picture.height,
            picture.format,
            picture.verdict,
            job,
        ),
    )
    connection.execute("UPDATE placements SET path = ? WHERE id = ?", (path, placement))


def give_up(connection: Connection, *, attempt: int, state: JobState, kind: str, message: str) -> None:
    """F or G: paid, and the picture will never come; the URL is of no more use and is cleared."""
    if state not in {JobState.LOST, JobState.SPOILED}:
        raise ValueError(f"a paid job cannot become {state}")
    job, _ = _bought(connection, attempt)
    connection.execute(
        "UPDATE jobs SET state = ?, url = NULL, error_kind = ?, error_message = ?, passing = FALSE WHERE id = ?",
        (state, kind, message[:MAX_ERROR_CHARACTERS], job),
    )


def place(connection: Connection, *, placement: int, path: str) -> None:
    """A stored picture is now also where this row wants it."""
    placed = connection.execute(
        "UPDATE placements SET path = ? WHERE id = ? AND job IN (SELECT id FROM jobs WHERE state = 'stored')"
        " RETURNING id",
        (path, placement),
    ).get
    if placed is None:
        raise ValueError(f"placement {placement} has no stored picture")


def miss(connection: Connection, *, job: int, path: str) -> None:
    """I: the file of a stored picture is gone; it stays recorded where it was and what it was, should it come back."""
    connection.execute(
        "UPDATE jobs SET state = 'lost', settled = FALSE, passing = FALSE, error_kind = 'missing', error_message = ?"
        " WHERE id = ? AND state = 'stored'",
        (f"stored, but {path} is gone or no longer the picture", job),
    )


def find(connection: Connection, *, job: int) -> None:
    """J: the file of a picture that was missed is back, proven by its digest."""
    connection.execute(
        "UPDATE jobs SET state = 'stored', settled = FALSE, error_kind = NULL, error_message = NULL"
        " WHERE id = ? AND state IN ('lost', 'unknown') AND sha256 IS NOT NULL",
        (job,),
    )


def take_back(connection: Connection, *, job: int, path: str) -> None:
    """J: the file of a picture that was missed is there under another name, proven by its digest."""
    connection.execute(
        "UPDATE placements SET path = ? WHERE id = (SELECT min(id) FROM placements WHERE job = ? AND path IS NOT NULL)",
        (path, job),
    )
    find(connection, job=job)


def forget_picture(connection: Connection, *, job: int) -> None:
    """Let go of what a job's picture was and where: another is paid for, or none is any more."""
    connection.execute(
        "UPDATE jobs SET stored_at = NULL, stored_run = NULL, url_age_s = NULL, sha256 = NULL, bytes = NULL,"
        " width = NULL, height = NULL, format = NULL, verdict = NULL WHERE id = ? AND sha256 IS NOT NULL",
        (job,),
    )
    connection.execute("UPDATE placements SET path = NULL WHERE job = ? AND path IS NOT NULL", (job,))


def abandon_reserved(connection: Connection, *, run: int | None, at: float) -> int:
    """D for every request still under way in ``run``, or in any run when None; gives how many.

    Their answers will never be read. What the provider has taken (K) stays as it is: the next run asks after it.
    """
    reserved = connection.execute(
        "SELECT id, run FROM attempts WHERE money = 'reserved' AND submitted_at IS NULL"
    ).fetchall()
    attempts: list[Any] = [attempt for attempt, of in reserved if run is None or of == run]
    connection.execute(
        "UPDATE jobs SET error_kind = 'submitted', error_message = ? WHERE id IN"
        " (SELECT job FROM attempts WHERE money = 'reserved' AND submitted_at IS NOT NULL"
        " AND (CAST(? AS BIGINT) IS NULL OR run = ?))",
        (SUBMITTED, run, run),
    )
    message = "the program ended before the answer was read"
    for attempt in attempts:
        lose_answer(connection, attempt=attempt, kind="interrupted", message=message, request_id="", at=at)
    return len(attempts)


def last_attempt_of_others(connection: Connection, job: int, *, run: int) -> int:
    """The latest attempt on a job that another run has made; 0 when there is none."""
    return connection.execute("SELECT max(id) FROM attempts WHERE job = ? AND run != ?", (job, run)).get or 0


def _as_admitted(connection: Connection, job: int, placement: int, run: Run) -> bool:
    """Whether no other run has tried for the job since its row was admitted; by numbers, as clocks may be set back."""
    seen = connection.execute("SELECT seen_attempt FROM placements WHERE id = ?", (placement,)).get
    return seen is not None and seen == last_attempt_of_others(connection, job, run=run.id)


def _may_resend(connection: Connection, job: int, run: Run, price: int) -> bool:
    """Whether a lost answer may be asked for again: by itself only once for each job, within the manifest's cap."""
    if run.caps.resend is None:
        return True  # a person has said so
    before = connection.execute(
        "SELECT 1 FROM attempts WHERE job = ? AND taken_from = 'unknown' AND money != 'released' LIMIT 1", (job,)
    ).get
    used = connection.execute(
        "SELECT total(price_microusd) FROM attempts WHERE taken_from = 'unknown' AND money != 'released'"
        " AND run IN (SELECT id FROM runs WHERE batch = ?)",
        (run.batch,),
    ).get
    return before is None and int(used or 0) + price <= run.caps.resend


def _bought(connection: Connection, attempt: int) -> tuple[int, int]:
    """The job and the placement of an attempt whose picture is paid for and still to come."""
    found = connection.execute(
        "SELECT j.id, a.placement FROM attempts a JOIN jobs j ON j.id = a.job WHERE a.id = ? AND a.money = 'spent'"
        " AND j.state = 'bought' AND a.id = (SELECT max(id) FROM attempts WHERE job = j.id)",
        (attempt,),
    ).get
    if found is None:
        raise ValueError(f"attempt {attempt} has no picture to come")
    job, placement = found
    return job, placement
