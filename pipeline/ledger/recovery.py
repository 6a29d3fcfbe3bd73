"""What a run finds of those before it and beside it: it takes over from the dead, and leaves the living alone."""

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from pipeline.errors import LedgerBusyError
from pipeline.ledger import reading, steps
from pipeline.ledger.connection import Connection
from pipeline.ledger.hands import Alive
from pipeline.ledger.records import Caps, Unfetched


def begin(
    connection: Connection,
    *,
    run_id: str,
    batch: tuple[str, str, bool],
    provider: str,
    caps: Caps,
    at: float,
    alive: Alive,
) -> tuple[int, int]:
    """Record that a run begins; what dead runs left under way is held as unknown (D).

    Args:
        batch: Manifest, edition, and whether its money is make-believe.
        alive: Whether the run of that id is on.

    Returns:
        The ledger's numbers for the run and for its batch.

    Raises:
        LedgerBusyError: A run of the same manifest and edition is on.
    """
    bury_dead(connection, at=at, alive=alive)
    connection.execute("INSERT OR IGNORE INTO batches (manifest, edition, simulated) VALUES (?, ?, ?)", batch)
    number = connection.execute(
        "SELECT id FROM batches WHERE manifest = ? AND edition = ? AND simulated = ?", batch
    ).get
    on = connection.execute("SELECT run_id FROM runs WHERE batch = ? AND ended_at IS NULL", (number,)).get
    if on is not None:
        raise LedgerBusyError(
            f"another run of {batch[0]} is on ({on}); only different manifests or editions share a ledger",
            remedy="let it end (--wait SECONDS)",
        )
    run = connection.execute(
        "INSERT INTO runs (run_id, batch, provider, started_at, caps) VALUES (?, ?, ?, ?, ?) RETURNING id",
        (run_id, number, provider, at, json.dumps(asdict(caps))),
    ).get
    return int(run), int(number)


def bury_dead(connection: Connection, *, at: float, alive: Alive) -> None:
    """Hold as unknown what dead runs had under way (D): nobody will read the answers. Such a run ended now."""
    runs: list[Any] = connection.execute("SELECT id, run_id FROM runs WHERE ended_at IS NULL").fetchall()
    for run, run_id in runs:
        if not alive(run_id):
            steps.abandon_reserved(connection, run=run, at=at)
            connection.execute("UPDATE runs SET ended_at = ? WHERE id = ?", (at, run))


def adopt(
    connection: Connection,
    *,
    run: int,
    fetchable: Callable[[str], bool],
    at: float,
    alive: Alive,
    own: bool = False,
) -> tuple[list[Unfetched], int]:
    """Take over what runs that are over bought and did not store; no other run fetches it meanwhile.

    Args:
        fetchable: Whether this run can keep a picture where its row wants it.
        own: What this run itself bought, too: a process of it that was to fetch it died.

    Returns:
        What is to be fetched, earliest deadline first, and how many there are besides that are not fetchable here.
    """
    bury_dead(connection, at=at, alive=alive)
    found = [left for left in reading.unfetched(connection, run=run, alive=alive) if own or left.holder != run]
    taken = [left for left in found if fetchable(left.wanted)]
    for left in taken:
        connection.execute("UPDATE jobs SET holder = ? WHERE key = ?", (run, bytes.fromhex(left.key)))
    return taken, len(found) - len(taken)
