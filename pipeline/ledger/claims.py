"""Whose picture a file is that no row has: by its bytes, which proves it, or by its name, which does not."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.ledger.address import Address
from pipeline.ledger.presence import digest
from pipeline.ledger.sql import Connection
from pipeline.ledger.states import JobState
from pipeline.ledger.strangers import strangers

#: What is put between a wanted name and its suffix where the name was taken.
_NUMBERED = re.compile(r"-[0-9]{1,4}$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A job that a file belongs to.

    Attributes:
        job: The ledger's number.
        state: As recorded.
        proven: Whether the bytes are those that the job stored, or not only its name says so.
    """

    job: int
    key: str
    state: JobState
    proven: bool


def claim(connection: Connection, folder: Path, path: str) -> Claim | None:
    """The job that a file without a row belongs to; None where nothing says so, or it cannot be read.

    Args:
        folder: The ledger's.
        path: Relative to it.
    """
    file = folder / path
    try:
        if file.is_symlink() or not file.is_file():
            return None
        found = _by_bytes(connection, file)
    except OSError:
        return None
    return found or _by_name(connection, file, path)


def told(found: Claim, repair: str) -> str:
    """What to say of such a file, and what to do.

    Args:
        repair: The command that takes back what is proven.
    """
    job = f"job {found.key[:12]}"
    match found.state, found.proven:
        case JobState.STORED, True:
            return f"a copy of the picture of {job}"
        case _, True:
            return f"the picture that {job} misses, under another name: {repair} takes it back"
        case JobState.BOUGHT, _:
            return f"{job} is paid, and its picture belongs here: run the manifest again now; it is known, or fetched"
        case _:
            return (
                f"the place of {job}, which is {found.state}; nothing proves that this is its picture: look at it, and"
                f" keep it elsewhere before the job is bought again; `fluxbatch explain {found.key[:12]}` has its story"
            )


def missed(connection: Connection, ledger: Address) -> Iterator[tuple[Claim, str]]:
    """Lost pictures whose file is there under a name that no row has, each with that name.

    What was taken back before the next one is asked for is not missed any more.
    """
    wanted = connection.execute(
        "SELECT 1 FROM jobs WHERE state IN ('lost', 'unknown') AND sha256 IS NOT NULL LIMIT 1"
    ).get
    for stranger in list(strangers(connection, ledger)) if wanted else ():
        found = None if stranger.leftover else claim(connection, ledger.parent, stranger.path)
        if found is not None and found.proven and found.state is not JobState.STORED:
            yield found, stranger.path


def _by_bytes(connection: Connection, file: Path) -> Claim | None:
    """By the digest; the file is only read where a picture of its size is on record."""
    rows: list[Any] = connection.execute(
        "SELECT id, key, state, sha256 FROM jobs WHERE bytes = ? AND sha256 IS NOT NULL ORDER BY state = 'stored'",
        (file.stat().st_size,),
    ).fetchall()
    own = digest(file) if rows else b""
    return next(
        (
            Claim(job=job, key=key.hex(), state=JobState(state), proven=True)
            for job, key, state, sha256 in rows
            if sha256 == own
        ),
        None,
    )


def _by_name(connection: Connection, file: Path, path: str) -> Claim | None:
    stem = (PurePosixPath(path).parent / file.stem).as_posix()
    row = connection.execute(
        "SELECT j.id, j.key, j.state FROM placements p JOIN jobs j ON j.id = p.job WHERE p.wanted IN (?, ?)"
        " AND p.path IS NULL AND j.state IN ('bought', 'unknown', 'lost', 'spoiled') ORDER BY j.state != 'bought'",
        (stem, _NUMBERED.sub("", stem)),
    ).get
    return None if row is None else Claim(job=row[0], key=row[1].hex(), state=JobState(row[2]), proven=False)


__all__ = ["Claim", "claim", "missed", "told"]
