"""What a ledger and its folders can do without: never money, and a picture only when a person says so.

A pruned picture stays *stored*, marked by its ``error_kind``: it was bought, so no run buys it again, and its file is
not missed. Requests and sums are never touched: what was spent stays told.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.clock import Clock
from pipeline.ledger import presence
from pipeline.ledger.address import Address
from pipeline.ledger.input_files import InputFile, Pantry, edits
from pipeline.ledger.opening import changing, require_folder, shrink
from pipeline.ledger.presence import PRUNED
from pipeline.ledger.sql import Connection
from pipeline.ledger.strangers import own_names, strangers


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much may go.

    Attributes:
        before: Only what nobody has touched since, in seconds since 1970.
        pictures: Whether pictures may go at all.
        max_bytes: Only as many of them, the oldest first, as it takes to keep the rest within that; None: all.
        inputs: The folder of input images that were fetched; None: it is left alone.
        inputs_before: Only input images that nobody has touched since.
        max_input_bytes: Of them, too, only as many as it takes.
    """

    before: float
    pictures: bool = False
    max_bytes: int | None = None
    inputs: Path | None = None
    inputs_before: float = 0.0
    max_input_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What went, or would go.

    Attributes:
        leftovers: Parts of settled pictures, relative to the ledger's folder.
        rows: Jobs that were never asked for, and are no longer wanted.
        bodies: Answers of the provider kept with requests that were refused.
        pictures: Files of pictures, relative to the ledger's folder.
        picture_bytes: What those come to; hard links of one picture count once.
        inputs: Files of input images, fetched or prepared, that no job needs, relative to the ledger's folder.
        input_bytes: What those come to.
        kept: Files that were to go and stay, because they are not what was stored or cannot be removed.
    """

    leftovers: tuple[str, ...]
    rows: int
    bodies: int
    pictures: tuple[str, ...]
    picture_bytes: int
    inputs: tuple[str, ...] = ()
    input_bytes: int = 0
    kept: tuple[str, ...] = ()

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to prune."""
        return not (self.leftovers or self.rows or self.bodies or self.pictures or self.inputs)


def prunable(connection: Connection, path: Address, bounds: Bounds) -> Pruned:
    """Say what would go; reads the bytes of the pictures that would."""
    return _look(connection, path, bounds)[0]


def prune(path: Address, bounds: Bounds, *, clock: Clock) -> Pruned:
    """Let it go: first all of it in the ledger, at once, then the files, then the room in the ledger's own file.

    A crash in between leaves files that the ledger calls pruned; doing it again removes them.

    Args:
        path: The ledger, which the caller holds alone.

    Raises:
        StorageError: The disk is full or fails.
    """
    with changing(path) as connection:
        require_folder(path, connection)
        found, jobs = _look(connection, path, bounds)
        at = datetime.fromtimestamp(clock.wall(), UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        connection.executemany(
            "UPDATE jobs SET error_kind = ?, error_message = ? WHERE id = ? AND state = 'stored'",
            [(PRUNED, f"the picture was pruned at {at}", job) for job in jobs],
        )
        for statement in _STATEMENTS:
            connection.execute(statement, {"before": bounds.before})
        connection.execute("COMMIT")
        kept = (
            *_remove(path.parent, found.inputs, folders=False),  # somebody may be putting another there
            *_remove(path.parent, (*found.leftovers, *found.pictures)),
        )
        shrink(connection)
    return Pruned(
        leftovers=tuple(each for each in found.leftovers if each not in kept),
        rows=found.rows,
        bodies=found.bodies,
        pictures=tuple(each for each in found.pictures if each not in kept),
        picture_bytes=found.picture_bytes,
        inputs=tuple(each for each in found.inputs if each not in kept),
        input_bytes=found.input_bytes,
        kept=(*found.kept, *kept),
    )


#: Of a job that was never asked for, and that no run has wanted since.
_IDLE = (
    "state IN ('planned', 'failed') AND NOT EXISTS (SELECT 1 FROM attempts WHERE job = jobs.id)"
    " AND NOT EXISTS (SELECT 1 FROM placements p JOIN runs r ON r.id = p.run"
    " WHERE p.job = jobs.id AND r.started_at >= :before)"
)
_BODIES = "error_body IS NOT NULL AND money = 'released' AND coalesce(ended_at, started_at) < :before"
_STATEMENTS = (
    f"DELETE FROM placements WHERE job IN (SELECT id FROM jobs WHERE {_IDLE})",  # noqa: S608 - the text above
    # Their rows are gone by now, so nobody wants them.
    f"DELETE FROM jobs WHERE {_IDLE} AND NOT EXISTS (SELECT 1 FROM placements WHERE job = jobs.id)",  # noqa: S608
    f"UPDATE attempts SET error_body = NULL WHERE {_BODIES}",  # noqa: S608
)


def _look(connection: Connection, path: Address, bounds: Bounds) -> tuple[Pruned, list[int]]:
    """What would go, and the numbers of the jobs whose pictures that are."""
    named = {"before": bounds.before}
    rows = connection.execute(f"SELECT count(*) FROM jobs WHERE {_IDLE}", named).get  # noqa: S608 - the text above
    bodies = connection.execute(f"SELECT count(*) FROM attempts WHERE {_BODIES}", named).get  # noqa: S608
    files: list[str] = []
    kept: list[str] = []
    jobs: list[int] = []
    size = 0
    for job, sha256, size_bytes in _pictures(connection, bounds):
        places = [each for each in presence.recorded(connection, job) if (path.parent / each).exists()]
        ours = [each for each in places if _holds(path.parent / each, sha256)]
        kept += [each for each in places if each not in ours]
        if len(ours) < len(places):
            continue  # somebody has worked on it: all of it stays
        files += ours
        size += size_bytes if ours else 0
        jobs.append(job)
    inputs = _inputs(connection, path, bounds, set(jobs))
    return (
        Pruned(
            leftovers=tuple(each.path for each in strangers(connection, path) if each.leftover),
            rows=int(rows or 0),
            bodies=int(bodies or 0),
            pictures=tuple(files),
            picture_bytes=size,
            inputs=tuple(each.path for each in inputs),
            input_bytes=sum(each.size_bytes for each in inputs),
            kept=tuple(kept),
        ),
        jobs,
    )


def _pictures(connection: Connection, bounds: Bounds) -> Iterator[tuple[int, bytes, int]]:
    """The stored pictures that may go, the oldest first; those that are marked already, but still there, too.

    None in a bucket: that has rules of its own for what is old, and a right to delete is not asked for.
    """
    if not bounds.pictures:
        return
    rows: list[Any] = connection.execute(
        "SELECT id, sha256, bytes, error_kind IS NOT DISTINCT FROM :pruned,"
        " stored_at < :before AND unknown_microusd = 0"
        " AND NOT EXISTS (SELECT 1 FROM placements p JOIN runs r ON r.id = p.run WHERE p.job = jobs.id"
        " AND r.started_at >= :before)"
        " FROM jobs WHERE state = 'stored' AND NOT EXISTS"
        " (SELECT 1 FROM placements WHERE job = jobs.id AND substr(path, 1, 5) = 's3://') ORDER BY stored_at, id",
        {"before": bounds.before, "pruned": PRUNED},
    ).fetchall()
    over = sum(size for _, _, size, pruned, _ in rows if not pruned) - (bounds.max_bytes or 0)
    for job, sha256, size, pruned, may_go in rows:
        if pruned and may_go:
            yield job, sha256, size
        elif may_go and (bounds.max_bytes is None or over > 0):
            over -= size
            yield job, sha256, size


def _inputs(connection: Connection, path: Address, bounds: Bounds, going: set[int]) -> list[InputFile]:
    """The files of inputs that may go: old ones that no job needs, but for those that go with what they are of.

    Args:
        going: The jobs whose pictures go now.
    """
    pantry = Pantry(path, bounds.inputs, [folder for folder, _ in own_names(connection)])
    gone = f"jobs.id, CASE WHEN ({_IDLE}) OR (state = 'stored' AND error_kind = :pruned) THEN 1 ELSE 0 END"
    for edit, (job, is_gone) in edits(connection, gone, {"before": bounds.before, "pruned": PRUNED}):
        pantry.know(edit)
        if not is_gone and job not in going:
            pantry.need(edit)
    over = pantry.size_bytes - (bounds.max_input_bytes or 0)
    found = []
    for file in pantry.left():
        if file.touched_at < bounds.inputs_before and (bounds.max_input_bytes is None or over > 0):
            over -= file.size_bytes
            found.append(file)
    return found


def _holds(file: Path, sha256: bytes) -> bool:
    try:
        return not file.is_symlink() and presence.digest(file) == sha256
    except OSError:
        return False


def _remove(folder: Path, names: tuple[str, ...], *, folders: bool = True) -> Iterator[str]:
    """Remove files, and the folders that are empty then, if they may go; those that cannot be removed."""
    for name in names:
        file = folder / name
        try:
            file.unlink(missing_ok=True)
        except OSError:
            yield name
            continue
        if folders:
            with suppress(OSError):  # not empty: it stays
                file.parent.rmdir()


__all__ = ["Bounds", "Pruned", "prunable", "prune"]
