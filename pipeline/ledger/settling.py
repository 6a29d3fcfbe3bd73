"""A person's word on money that bought nothing: the one change of the ledger that is not a step of a run."""

import re
from pathlib import Path

import apsw

from pipeline.clock import Clock
from pipeline.errors import NotFoundError, UsageError
from pipeline.ledger import reading, steps
from pipeline.ledger.connection import Connection, open_writing, translated
from pipeline.ledger.records import Settlement

#: A key may be given by its first digits, as exports and tables show it.
SHORTEST_KEY = 6


def settle(path: Path, keys: list[str], *, billed: bool, clock: Clock) -> list[Settlement]:
    """Settle jobs, all of them or none; see ``steps.resolve``.

    Args:
        path: The ledger, which the caller holds.
        keys: Job keys, or the first digits of them; empty for every job with unknown money.
        billed: Whether the provider's bill has the money in question.

    Raises:
        NotFoundError: There is no such ledger, or no such job.
        UsageError: A key is too short or not the only one, or the job has nothing to settle.
        StorageError: The disk is full or fails.
    """
    if not path.is_file():
        raise NotFoundError(path, "no such ledger", remedy="name another with --ledger")
    with translated(path):
        connection = open_writing(path)
        try:
            connection.execute("BEGIN IMMEDIATE")
            found = [_find(connection, path, key) for key in keys] if keys else reading.unknown_keys(connection)
            settled = [
                steps.resolve(connection, key=key, billed=billed, at=clock.wall()) for key in dict.fromkeys(found)
            ]
            connection.execute("COMMIT")
        except ValueError as error:
            raise UsageError(str(error), remedy="see fluxbatch ledger verify") from error
        finally:
            _undo(connection)
            connection.close()
    return settled


def _find(connection: Connection, path: Path, start: str) -> str:
    if not re.fullmatch(rf"[0-9a-fA-F]{{{SHORTEST_KEY},64}}", start):
        raise UsageError(f"{start!r} is not a job's key", remedy=f"give {SHORTEST_KEY} to 64 of its hex digits")
    found = reading.keys_like(connection, start)
    if not found:
        raise NotFoundError(path, f"no job has a key that begins with {start}", remedy="see fluxbatch ledger export")
    if len(found) > 1:
        raise UsageError(f"several jobs have keys that begin with {start}", remedy="give more digits")
    return found[0]


def _undo(connection: Connection) -> None:
    if connection.in_transaction:
        try:
            connection.execute("ROLLBACK")
        except apsw.Error:
            return  # nothing was committed, which is what was wanted
