"""Files beside the pictures that no row accounts for: parts of what is settled, and what somebody else put there."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path, PurePosixPath

from pipeline.job import PREPARED
from pipeline.ledger.address import MARK, Address
from pipeline.ledger.sql import Connection
from pipeline.ledger.states import JobState

#: How a picture's bytes wait beside its final name: half of the job's key, in hex.
_PART = re.compile(r"\.([0-9a-f]{32})\.(part|fresh|copy)")
#: The pages that this program writes beside the pictures.
_REPORT = re.compile(r"report(-[\w.-]+)?\.html")
#: What may still come of a part: the evidence of a paid picture, or of one whose answer was lost.
_PART_COUNTS = {JobState.BUYING, JobState.BOUGHT, JobState.UNKNOWN}


@dataclass(frozen=True, slots=True)
class Stranger:
    """One such file.

    Attributes:
        path: Relative to the ledger's folder.
        leftover: A part of this program's own, of a picture that is stored or will never be had.
    """

    path: str
    leftover: bool


def strangers(connection: Connection, ledger: Address) -> Iterator[Stranger]:
    """Look through the folders that hold pictures of this ledger, one after the other; links are not followed.

    A folder's names are held in memory, and no more. The ledger's own files, and folders, are nobody's business.
    """
    own_files = ledger.name if isinstance(ledger, Path) else MARK
    for folder, own in own_names(connection):
        try:
            names = sorted(entry.name for entry in os.scandir(ledger.parent / folder) if _is_file(entry))
        except OSError:
            continue  # then its pictures are missing, and told as that
        for name in names:
            if (
                name in own
                or _REPORT.fullmatch(name)
                or PREPARED.fullmatch(name)
                or (folder == "." and name.startswith(own_files))
            ):
                continue
            part = _PART.fullmatch(name)
            if part is None or not _counts(connection, part[1]):
                yield Stranger((PurePosixPath(folder) / name).as_posix(), leftover=part is not None)


def own_names(connection: Connection) -> Iterator[tuple[str, set[str]]]:
    """Each folder with the names of the pictures that are recorded there."""
    rows = connection.execute(
        "SELECT rtrim(path, replace(path, '/', '')) AS folder, path FROM placements WHERE path IS NOT NULL"
        " ORDER BY folder"
    )
    for folder, found in groupby(rows, key=lambda row: str(row[0])):
        yield folder.rstrip("/") or ".", {PurePosixPath(str(path)).name for _, path in found}


def _is_file(entry: "os.DirEntry[str]") -> bool:
    try:
        return not entry.is_dir(follow_symlinks=False)
    except OSError:
        return True


def _counts(connection: Connection, half_key: str) -> bool:
    """Whether a job of that key may still need its part."""
    low, high = bytes.fromhex(half_key + 32 * "0"), bytes.fromhex(half_key + 32 * "f")
    states = connection.execute("SELECT state FROM jobs WHERE key BETWEEN ? AND ?", (low, high))
    return any(state in _PART_COUNTS for (state,) in states)
