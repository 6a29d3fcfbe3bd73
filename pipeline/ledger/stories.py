"""One job's whole story, from the first row that wanted it to the last word on its money. Never writes."""

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from pipeline.bucket import in_bucket
from pipeline.ledger import presence
from pipeline.ledger.sql import Connection
from pipeline.ledger.states import AttemptMoney, JobState


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryRow:
    """One row of a manifest that wants the picture.

    Attributes:
        index: The row's place in its manifest, from 1, when last seen.
        wanted: Relative to the ledger's folder, without a suffix.
        path: The file, once it was there; relative to the ledger's folder.
        file: What is there now: ``ok``, ``missing`` or ``altered``; ``afar`` in a bucket, which is not asked; ""
            where there never was one.
    """

    manifest: str
    edition: str
    simulated: bool
    index: int
    wanted: str
    path: str | None
    file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryAttempt:
    """One request for the picture. Times are seconds since 1970.

    Attributes:
        taken_from: The job's state before; ``unknown`` marks a second request after a lost answer.
        counted: Whether it counts as one of the job's attempts; congestion does not.
        settled_at: When its money last changed, by an answer or by a person.
    """

    run_id: str
    provider: str
    taken_from: JobState
    money: AttemptMoney
    price_microusd: int
    counted: bool
    started_at: float
    ended_at: float | None
    settled_at: float | None
    error_kind: str
    error_message: str
    request_id: str

    @property
    def judged(self) -> bool:
        """Whether a person has said since what became of the money."""
        return None not in {self.ended_at, self.settled_at} and self.settled_at != self.ended_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """A job, and all that happened to it.

    Attributes:
        parameters: What was asked besides model, prompt, ratio and seed.
        settled: Whether a person has accepted that it is lost or spoiled.
        passing: Whether a rerun tries again by itself after a failure.
        size_bytes: Of the stored picture, as the facts around it; None while there is none.
    """

    key: str
    state: JobState
    model: str
    prompt: str
    ratio: str | None
    seed: int | None
    parameters: dict[str, Any]
    spend_microusd: int
    unknown_microusd: int
    settled: bool
    passing: bool
    error_kind: str
    error_message: str
    bought_at: float | None
    deadline: float | None
    stored_at: float | None
    url_age_s: float | None
    sha256: str | None
    size_bytes: int | None
    width: int | None
    height: int | None
    format: str | None
    verdict: str | None
    rows: tuple[StoryRow, ...]
    attempts: tuple[StoryAttempt, ...]


def story(connection: Connection, folder: Path, key: str) -> Story:
    """Tell of one job; reads its files to see whether they are what was stored.

    Args:
        folder: The ledger's.
        key: Of a job that is there, 64 hex digits.
    """
    columns = (
        "id, state, model, prompt, ratio, seed, asked, spend_microusd, unknown_microusd, settled, passing, error_kind,"
        " error_message, bought_at, deadline, stored_at, url_age_s, sha256, bytes, width, height, format, verdict"
    )
    values = connection.execute(f"SELECT {columns} FROM jobs WHERE key = ?", (bytes.fromhex(key),)).get  # noqa: S608 - the names above
    told = dict(zip(columns.split(", "), values, strict=True))
    job, size_bytes, sha256, asked = (told.pop(name) for name in ("id", "bytes", "sha256", "asked"))
    return Story(
        **told
        | {
            "state": JobState(told["state"]),
            "settled": bool(told["settled"]),
            "passing": bool(told["passing"]),
            "error_kind": told["error_kind"] or "",
            "error_message": told["error_message"] or "",
        },
        key=key,
        parameters=json.loads(asked),
        sha256=sha256.hex() if sha256 else None,
        size_bytes=size_bytes,
        rows=tuple(_rows(connection, folder, job, sha256)),
        attempts=tuple(_attempts(connection, job)),
    )


def _rows(connection: Connection, folder: Path, job: int, sha256: bytes | None) -> list[StoryRow]:
    rows = connection.execute(
        "SELECT b.manifest, b.edition, b.simulated, p.number, p.wanted, p.path FROM placements p"
        " JOIN batches b ON b.id = p.batch WHERE p.job = ? ORDER BY p.id",
        (job,),
    )
    return [
        StoryRow(
            manifest=manifest,
            edition=edition,
            simulated=bool(simulated),
            index=number,
            wanted=wanted,
            path=path,
            file="" if path is None else "afar" if in_bucket(path) else _found(folder / path, sha256),
        )
        for manifest, edition, simulated, number, wanted, path in rows
    ]


def _found(file: Path, sha256: bytes | None) -> str:
    try:
        return "ok" if presence.digest(file) == sha256 else "altered"
    except OSError:
        return "missing"


def _attempts(connection: Connection, job: int) -> list[StoryAttempt]:
    names = [field.name for field in fields(StoryAttempt)]
    rows = connection.execute(
        "SELECT r.run_id, coalesce(a.provider, r.provider), a.taken_from, a.money, a.price_microusd, a.counted,"
        " a.started_at, a.ended_at, a.settled_at, coalesce(a.error_kind, ''), coalesce(a.error_message, ''),"
        " coalesce(a.request_id, '')"
        " FROM attempts a JOIN runs r ON r.id = a.run WHERE a.job = ? ORDER BY a.id",
        (job,),
    )
    told = (dict(zip(names, values, strict=True)) for values in rows)
    return [
        StoryAttempt(
            **each
            | {
                "taken_from": JobState(each["taken_from"]),
                "money": AttemptMoney(each["money"]),
                "counted": bool(each["counted"]),
            }
        )
        for each in told
    ]
