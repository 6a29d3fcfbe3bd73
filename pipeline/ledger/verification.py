"""Proving the ledger: its file, its sums against its rows, and every stored picture against its digest."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.bucket import Look, in_bucket, look_at
from pipeline.errors import FluxbatchError
from pipeline.ledger import claims, sums
from pipeline.ledger.address import Address
from pipeline.ledger.hands import Alive
from pipeline.ledger.opening import damage
from pipeline.ledger.presence import PRUNED, digest
from pipeline.ledger.sql import Connection
from pipeline.ledger.states import JobState
from pipeline.ledger.steps import SUBMITTED
from pipeline.ledger.stores import Endpoint, endpoint_of
from pipeline.ledger.strangers import strangers
from pipeline.money import format_usd
from pipeline.wording import counted

#: How many files of a kind are told by name.
SHOWN_STRANGERS = 10
#: Ages of unknown money, in days: a provider's log reaches back only so far.
_AGES = {"of the last day": 1.0, "of the last week": 7.0, "of the last month": 31.0, "older": float("inf")}

_REBUY = "`fluxbatch run MANIFEST --rebuy-lost` buys again, `fluxbatch ledger resolve KEY --billed` accepts the loss"
_LOST = f"the URL died before the picture was fetched: {_REBUY}"
_MISSED = f"the file that was stored is gone: put it back, or {_REBUY}"
_MISSING = "put it back, or `fluxbatch run MANIFEST --rebuy-lost` buys it again"
_ALTERED = "put the right file back, or delete this one and `fluxbatch run MANIFEST --rebuy-lost` buys it again"
_SERVER = "--endpoint names a server that is not Amazon's, as the manifest's output.endpoint does"
_REPAIR = "`fluxbatch ledger verify --repair`"
_UNKNOWN = "read the provider's bill, then say `fluxbatch ledger resolve --unknown --billed` or `--not-billed`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is not as it should be, with what to do about it.

    Attributes:
        needs_person: Whether somebody must see to it; else it is only worth knowing.
    """

    kind: str
    subject: str
    message: str
    needs_person: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The outcome: what was proven, and what was not.

    Attributes:
        spent_microusd: Of real money.
        simulated_microusd: Of make-believe money.
    """

    pictures: int
    attempts: int
    spent_microusd: int
    findings: tuple[Finding, ...]
    simulated_microusd: int = 0

    @property
    def proven(self) -> bool:
        """Whether nothing needs a person."""
        return not any(finding.needs_person for finding in self.findings)


def verify(
    connection: Connection, path: Address, *, now: float, alive: Alive, endpoint: str | None = None
) -> Verification:
    """Check the database, the sums, the states and the files; see the findings' kinds in ``docs/design.md``.

    Args:
        path: The ledger.
        now: Seconds since 1970, for the age of what is unknown.
        alive: Whether the run of that id is on.
        endpoint: The server of pictures in buckets; None: as the ledger has heard, or as the environment says.
    """
    damaged = [Finding(kind="damaged", subject=str(path), message=text) for text in damage(connection, most=100)]
    if damaged:
        return Verification(pictures=0, attempts=0, spent_microusd=0, findings=tuple(damaged))
    pictures, files = _files(connection, path.parent, endpoint_of(connection, path, said=endpoint))
    attempts, spent, simulated = connection.execute(
        "SELECT count(*), total(price_microusd) FILTER (WHERE money = 'spent' AND NOT simulated),"
        " total(price_microusd) FILTER (WHERE money = 'spent' AND simulated)"
        " FROM attempts a JOIN runs r ON r.id = a.run JOIN batches b ON b.id = r.batch"
    ).get
    findings = (
        *files,
        *_strangers(connection, path),
        *_sums(connection),
        *_jobs(connection),
        *_reserved(connection, alive),
        *_submitted(connection, alive),
        *_open_money(connection, now),
    )
    return Verification(
        pictures=pictures,
        attempts=attempts,
        spent_microusd=int(spent),
        simulated_microusd=int(simulated),
        findings=findings,
    )


def _files(connection: Connection, folder: Path, endpoint: Endpoint) -> tuple[int, list[Finding]]:
    pictures = 0
    findings = []
    for key, path, sha256, size in connection.execute(
        "SELECT j.key, p.path, j.sha256, j.bytes FROM placements p JOIN jobs j ON j.id = p.job"
        " WHERE j.state = 'stored' AND p.path IS NOT NULL AND j.error_kind IS DISTINCT FROM ?",
        (PRUNED,),
    ):
        pictures += 1
        if in_bucket(path):
            continue
        file = folder / path
        try:
            same = file.is_file() and file.stat().st_size == size and digest(file) == sha256
        except OSError as error:
            findings.append(_missing(path, key, error.strerror))
            continue
        if not file.exists():
            findings.append(_missing(path, key, "no such file"))
        elif not same:
            findings.append(
                Finding(kind="altered", subject=path, message=f"not the bytes that were stored; {_ALTERED}")
            )
    return pictures, [*findings, *_in_buckets(connection, endpoint)]


def _in_buckets(connection: Connection, endpoint: Endpoint) -> Iterator[Finding]:
    """Pictures in buckets, each looked at there; where that cannot be done, that is told, and the rest still proven."""
    rows = connection.execute(
        "SELECT j.key, p.path, j.sha256, j.bytes FROM placements p JOIN jobs j ON j.id = p.job"
        " WHERE j.state = 'stored' AND substr(p.path, 1, 5) = 's3://' AND j.error_kind IS DISTINCT FROM ?"
        " ORDER BY p.path",
        (PRUNED,),
    )
    try:
        looks = (
            Look(key=bytes(key), recorded=path, sha256=bytes(sha256).hex(), size_bytes=size)
            for key, path, sha256, size in rows
        )
        for look, same in look_at(looks, endpoint=endpoint):
            if same is None:
                yield _missing(look.recorded, look.key, "no such object")
            elif not same:
                message = f"not the bytes that were stored; {_ALTERED}"
                yield Finding(kind="altered", subject=look.recorded, message=message)
    except FluxbatchError as error:
        message = f"its pictures were not looked at: {error} ({_SERVER})"
        yield Finding(kind="unseen", subject="bucket", message=message)


def _missing(path: str, key: bytes, reason: str | None) -> Finding:
    return Finding(kind="missing", subject=path, message=f"{reason}; job {key.hex()[:12]} was stored there; {_MISSING}")


def _strangers(connection: Connection, path: Address) -> Iterator[Finding]:
    """What lies beside the pictures and is not the ledger's: the first few by name, the rest by number."""
    found = {"foreign": 0, "leftover": 0}
    for stranger in strangers(connection, path):
        kind = "leftover" if stranger.leftover else "foreign"
        found[kind] += 1
        if found[kind] <= SHOWN_STRANGERS:
            what = f"of a picture that is settled; {_REPAIR} removes it"
            if not stranger.leftover:
                found_of = claims.claim(connection, path.parent, stranger.path)
                what = "no row knows it" if found_of is None else claims.told(found_of, _REPAIR)
            yield Finding(kind=kind, subject=stranger.path, message=what, needs_person=False)
    for kind, number in found.items():
        if number > SHOWN_STRANGERS:
            rest = number - SHOWN_STRANGERS
            yield Finding(kind=kind, subject=f"{rest:,} more", message="files like these", needs_person=False)


def _reserved(connection: Connection, alive: Alive) -> Iterator[Finding]:
    """Reservations: of runs that are on, and of dead ones, whose answers nobody will ever read."""
    rows = connection.execute(
        "SELECT r.run_id, count(*), total(a.price_microusd) FROM attempts a JOIN runs r ON r.id = a.run"
        " WHERE a.money = 'reserved' AND a.submitted_at IS NULL GROUP BY r.id ORDER BY r.id"
    )
    for run_id, number, amount in rows:
        money = f"${format_usd(int(amount))} reserved"
        if alive(str(run_id)):
            yield Finding(kind="buying", subject=_jobs_told(number), message=f"{money}: run {run_id} is on")
        else:
            say = f"{money} by run {run_id}, which died: the next run, or {_REPAIR}, holds them as unknown"
            yield Finding(kind="dead", subject=_jobs_told(number), message=say)


def _submitted(connection: Connection, alive: Alive) -> Iterator[Finding]:
    """Tasks that a provider has taken, and nobody asks after."""
    rows = connection.execute(
        "SELECT coalesce(h.run_id, r.run_id), count(*), total(a.price_microusd) FROM attempts a"
        " JOIN runs r ON r.id = a.run JOIN jobs j ON j.id = a.job LEFT JOIN runs h ON h.id = j.holder"
        " WHERE a.money = 'reserved' AND a.submitted_at IS NOT NULL GROUP BY 1 ORDER BY 1"
    )
    for run_id, number, amount in rows:
        told = f"${format_usd(int(amount))} reserved"
        on = alive(str(run_id))
        say = f"{told}: run {run_id} is on" if on else f"{told}: {SUBMITTED}"
        yield Finding(kind="buying" if on else "submitted", subject=_jobs_told(number), message=say)


def _sums(connection: Connection) -> Iterator[Finding]:
    """The running totals against the attempts they are totals of."""
    for scope, recorded, made in sums.contradicted(connection):
        yield Finding(
            kind="sums",
            subject=scope,
            message=f"the running total says ${format_usd(recorded)}, the attempts ${format_usd(made)};"
            f" {_REPAIR} counts anew",
        )


def _jobs(connection: Connection) -> Iterator[Finding]:
    """Each job's money and state against its attempts."""
    for key, state in connection.execute(
        "WITH made AS (SELECT job, count(*) FILTER (WHERE counted) AS counted,"
        " count(*) FILTER (WHERE money = 'spent') AS paid, count(*) FILTER (WHERE money = 'unknown') AS unclear,"
        " count(*) FILTER (WHERE money = 'reserved') AS held, total(price_microusd) FILTER (WHERE money = 'spent')"
        " AS spent, total(price_microusd) FILTER (WHERE money = 'unknown') AS unknown FROM attempts GROUP BY job),"
        " known AS (SELECT j.*, coalesce(m.counted, 0) AS counted, coalesce(m.paid, 0) AS paid,"
        " coalesce(m.unclear, 0) AS unclear, coalesce(m.held, 0) AS held, coalesce(m.spent, 0) AS spent,"
        " coalesce(m.unknown, 0) AS unknown FROM jobs j LEFT JOIN made m ON m.job = j.id)"
        " SELECT key, state FROM known WHERE attempts != counted OR spend_microusd != spent"
        " OR unknown_microusd != unknown OR held != CAST(state = 'buying' AS INTEGER)"
        " OR (state IN ('bought', 'stored', 'lost', 'spoiled') AND paid = 0) OR (state = 'unknown' AND unclear = 0)"
        " OR (state IN ('planned', 'failed') AND paid + unclear > 0)"
        " OR (state = 'bought') != (url IS NOT NULL) OR (state = 'stored' AND sha256 IS NULL)"
        " OR (state IN ('planned', 'failed', 'bought', 'spoiled') AND sha256 IS NOT NULL)"
        " OR (sha256 IS NULL AND EXISTS (SELECT 1 FROM placements WHERE job = known.id AND path IS NOT NULL))"
        " ORDER BY id"
    ):
        yield Finding(kind="job", subject=key.hex()[:12], message=f"{state}, which its attempts do not bear out")


def _ages(connection: Connection, state: str, now: float) -> str:
    """How old the unknown money of jobs in a state is, in words."""
    rows: Iterable[Any] = connection.execute(
        "SELECT (? - coalesce(a.settled_at, a.started_at)) / 86400, j.key FROM attempts a JOIN jobs j ON j.id = a.job"
        " WHERE a.money = 'unknown' AND j.state = ? ORDER BY 1 DESC",
        (now, state),
    )
    counts, oldest = dict.fromkeys(_AGES, 0), ""
    for days, key in rows:
        oldest = oldest or f"the oldest is {key.hex()[:12]}, {counted(round(days), 'day')}"
        counts[next(name for name, limit in _AGES.items() if days < limit)] += 1
    return ", ".join(f"{number:,} {name}" for name, number in counts.items() if number) + f"; {oldest}"


def _jobs_told(number: Any) -> str:
    return counted(int(number), "job")


def _open_money(connection: Connection, now: float) -> Iterator[Finding]:
    """Money and pictures that only a person, or another run, can settle."""
    for state, missed, number, unknown in connection.execute(
        "SELECT state, state = 'lost' AND sha256 IS NOT NULL AS missed, count(*), total(unknown_microusd) FROM jobs"
        " WHERE NOT settled AND state IN ('unknown', 'lost', 'spoiled', 'bought') OR unknown_microusd > 0"
        " GROUP BY state, missed ORDER BY state, missed"
    ):
        money = f"${format_usd(int(unknown))}"
        say = {
            JobState.UNKNOWN: f"answers lost; at most {money} perhaps billed: {_UNKNOWN}",
            JobState.LOST: f"paid, and {_MISSED if missed else _LOST}",
            JobState.SPOILED: f"paid, and what came is no picture: {_REBUY}",
            JobState.BOUGHT: "paid and not fetched, or not sent to its bucket, yet: run the manifest again now",
        }.get(state, f"with {money} still unknown from an earlier attempt: {_UNKNOWN}")
        if unknown and state not in {JobState.UNKNOWN, JobState.STORED}:
            say += f"; besides, {money} of an earlier attempt is unknown"
        kind = JobState.UNKNOWN if state == JobState.STORED else state
        if unknown:
            say += f" ({_ages(connection, state, now)})"
        yield Finding(kind=kind, subject=_jobs_told(number), message=say)
