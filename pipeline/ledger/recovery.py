"""What a run finds of those before it and beside it: it takes over from the dead, and leaves the living alone."""

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from pipeline.errors import LedgerBusyError, UsageError
from pipeline.ledger import reading, steps
from pipeline.ledger.hands import Alive
from pipeline.ledger.records import Caps, Share, Unfetched
from pipeline.ledger.sql import Connection


def begin(
    connection: Connection,
    *,
    run_id: str,
    batch: tuple[str, str, bool],
    provider: str,
    caps: Caps,
    at: float,
    alive: Alive,
    share: Share | None = None,
) -> tuple[int, int, float]:
    """Record that a run begins; what dead runs left under way is held as unknown (D).

    Args:
        batch: Manifest, edition, and whether its money is make-believe.
        alive: Whether the run of that id is on.
        share: What it does of a fleet's work, which only a ledger on a server has.

    Returns:
        The ledger's numbers for the run and for its batch, and the seconds it has to wait before it looks at what an
        earlier run of its shard left: that one may still start a request.

    Raises:
        LedgerBusyError: A run of the same manifest and edition is on.
        UsageError: A share, of a ledger that is a file.
    """
    if share is not None:
        raise UsageError("a fleet's ledger is on a server", remedy="--ledger postgresql://HOST/DATABASE")
    bury_dead(connection, at=at, alive=alive)
    connection.execute(
        "INSERT INTO batches (manifest, edition, simulated) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", batch
    )
    number = connection.execute(
        "SELECT id FROM batches WHERE manifest = ? AND edition = ? AND simulated = ?", batch
    ).get
    on = connection.execute("SELECT run_id FROM runs WHERE batch = ? AND ended_at IS NULL", (number,)).get
    if on is not None:
        raise already_on(batch[0], on)
    run = connection.execute(
        "INSERT INTO runs (run_id, batch, provider, started_at, caps) VALUES (?, ?, ?, ?, ?) RETURNING id",
        (run_id, number, provider, at, caps_told(caps)),
    ).get
    return int(run), int(number), 0.0


def already_on(manifest: str, run_id: str) -> LedgerBusyError:
    """Why a second run of one manifest and edition does not begin."""
    return LedgerBusyError(
        f"another run of {manifest} is on ({run_id}); only different manifests or editions share a ledger",
        remedy="let it end (--wait SECONDS)",
    )


def caps_told(caps: Caps) -> str:
    """A run's caps as they are kept with it."""
    return json.dumps(asdict(caps))


def end(connection: Connection, *, run: int, exit_code: int, at: float) -> None:
    """Record how a run ended; a request still under way is held as unknown (D)."""
    steps.abandon_reserved(connection, at=at, run=run)
    connection.execute("UPDATE runs SET ended_at = ?, exit_code = ? WHERE id = ?", (at, exit_code, run))


def bury_dead(connection: Connection, *, at: float, alive: Alive) -> None:
    """Hold as unknown what dead runs had under way (D): nobody will read the answers. Such a run ended now."""
    runs: list[Any] = connection.execute("SELECT id, run_id FROM runs WHERE ended_at IS NULL").fetchall()
    for run, run_id in runs:
        if not alive(run_id):
            steps.abandon_reserved(connection, run=run, at=at)
            connection.execute("UPDATE runs SET ended_at = ? WHERE id = ?", (at, run))


def adopt(
    connection: Connection, *, run: int, fetchable: Callable[[str], bool], alive: Alive, own: bool = False
) -> tuple[list[Unfetched], int]:
    """Take over what runs that are over bought and did not store; no other run fetches it meanwhile.

    Args:
        fetchable: Whether this run can keep a picture where its row wants it.
        own: What this run itself bought, too: a process of it that was to fetch it died.

    Returns:
        What is to be fetched, earliest deadline first, and how many there are besides that are not fetchable here.
    """
    found = [left for left in reading.unfetched(connection, run=run, alive=alive) if own or left.holder != run]
    wanted = [left for left in found if fetchable(left.wanted)]
    return [left for left in wanted if _take(connection, run, left)], len(found) - len(wanted)


def _take(connection: Connection, run: int, left: Unfetched) -> bool:
    """Take one over, unless another run has done so meanwhile; doing it again changes nothing."""
    taken = connection.execute(
        "UPDATE jobs SET holder = ? WHERE key = ? AND state = 'bought'"
        " AND (holder IS NOT DISTINCT FROM ? OR holder = ?) RETURNING id",
        (run, bytes.fromhex(left.key), left.holder, run),
    ).get
    return taken is not None
