"""Where the last run of each manifest stands, from one moment, for whoever asks again and again."""

import json

from pipeline.ledger import hands
from pipeline.ledger.hands import Alive
from pipeline.ledger.shown import Standing
from pipeline.ledger.sql import Connection
from pipeline.ledger.states import JobState
from pipeline.ledger.survey import one_view
from pipeline.ledger.tallying import tally

#: Manifests that are told of, those run last.
_MOST = 50

_LAST_RUNS = """
SELECT b.manifest, r.id, r.batch, r.run_id, r.started_at, r.ended_at, r.exit_code, r.caps
FROM runs r JOIN batches b ON b.id = r.batch
WHERE r.id IN (SELECT max(r.id) FROM runs r JOIN batches b ON b.id = r.batch GROUP BY b.manifest)
ORDER BY r.id DESC LIMIT ?
"""
_LAST_END = """
SELECT r.ended_at, r.exit_code FROM runs r JOIN batches b ON b.id = r.batch
WHERE b.manifest = ? AND r.ended_at IS NOT NULL ORDER BY r.id DESC LIMIT 1
"""
_UNDER_WAY = """
SELECT j.state, count(*) FROM placements p JOIN jobs j ON j.id = p.job
WHERE p.run = ? AND j.state IN ('buying', 'bought')
    AND coalesce(j.holder NOT IN (SELECT CAST(value AS BIGINT) FROM json_each(?)), TRUE)
GROUP BY 1
"""


def standings(connection: Connection, *, alive: Alive) -> list[Standing]:
    """One for each manifest, whatever its edition, the one run last first."""
    with one_view(connection):
        return [_standing(connection, row, alive) for row in list(connection.execute(_LAST_RUNS, (_MOST,)))]


def _standing(
    connection: Connection,
    row: tuple[str, int, int, str, float, float | None, int | None, str | None],
    alive: Alive,
) -> Standing:
    manifest, run, batch, run_id, started, ended, code, caps = row
    on = ended is None and alive(run_id)
    last_end = ended, code
    if on:
        last_end = connection.execute(_LAST_END, (manifest,)).get or (None, None)
    others = json.dumps(sorted(hands.others(connection, run=run, alive=alive)))
    under_way = dict(connection.execute(_UNDER_WAY, (run, others))) if on else {}
    return Standing(
        manifest=manifest,
        on=on,
        started_at=started,
        ended_at=ended,
        last_ended_at=last_end[0],
        exit_code=last_end[1],
        buying=under_way.get(JobState.BUYING, 0),
        fetching=under_way.get(JobState.BOUGHT, 0),
        budget_microusd=json.loads(caps or "{}").get("batch"),
        tally=tally(connection, run=run, batch=batch, alive=alive),
    )
