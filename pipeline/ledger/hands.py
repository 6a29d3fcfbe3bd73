"""In whose hands a job is while it is bought or fetched: another run's that is on, this one's, or nobody's."""

from collections.abc import Callable

from pipeline.ledger.sql import Connection

#: Whether the run of that id is on; see ``runfile.is_alive``.
Alive = Callable[[str], bool]


def others(connection: Connection, *, run: int, alive: Alive) -> set[int]:
    """The ledger's numbers of the other runs that are on."""
    rows = connection.execute("SELECT id, run_id FROM runs WHERE ended_at IS NULL AND id != ?", (run,))
    return {number for number, run_id in rows if alive(run_id)}


def with_another(connection: Connection, holder: int | None, *, run: int, alive: Alive) -> bool:
    """Whether the run that holds a job is another one, and on."""
    if holder is None or holder == run:
        return False
    run_id, ended_at = connection.execute("SELECT run_id, ended_at FROM runs WHERE id = ?", (holder,)).get
    return ended_at is None and alive(run_id)
