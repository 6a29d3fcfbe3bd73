"""The count of what has become of a run's rows, of which there may be a million."""

import json

from pipeline.ledger import hands
from pipeline.ledger.hands import Alive
from pipeline.ledger.presence import PRUNED
from pipeline.ledger.records import Tally
from pipeline.ledger.sql import Connection
from pipeline.ledger.states import JobState

# Of a million rows nearly all are whole pictures, and to sort them into groups takes longer than to count them.
_IS_WHOLE = "(j.state = 'stored' AND j.verdict IS DISTINCT FROM 'wrong_shape' AND NOT j.settled)"
_IS_OWN = "(j.stored_run IS NOT DISTINCT FROM p.run AND NOT p.duplicate)"
_IS_PRUNED = f"(j.state = 'stored' AND j.error_kind IS NOT DISTINCT FROM '{PRUNED}')"
_TALLY_WHOLE = f"""
SELECT count(*), count(*) FILTER (WHERE {_IS_OWN}), max(j.url_age_s) FILTER (WHERE {_IS_OWN}),
    count(*) FILTER (WHERE {_IS_PRUNED})
FROM placements p JOIN jobs j ON j.id = p.job WHERE p.run = ? AND {_IS_WHOLE}
"""  # noqa: S608 - from the text above
_TALLY_REST = f"""
SELECT iif(j.state IN ('buying', 'bought') AND j.holder IN (SELECT CAST(value AS BIGINT) FROM json_each(?)), 'planned',
    j.state),
    {_IS_OWN} AS own, j.verdict IS NOT DISTINCT FROM 'wrong_shape' AS wrong, j.settled, j.passing,
    j.state = 'failed' AND j.error_kind IS NOT DISTINCT FROM 'unfit_row' AS unfit,
    count(*), count(*) FILTER (WHERE NOT p.duplicate), max(j.url_age_s), count(*) FILTER (WHERE {_IS_PRUNED})
FROM placements p JOIN jobs j ON j.id = p.job WHERE p.run = ? AND NOT {_IS_WHOLE} GROUP BY 1, 2, 3, 4, 5, 6
"""  # noqa: S608 - from the text above


def tally(connection: Connection, *, run: int, batch: int, alive: Alive) -> Tally:
    """What has become of the rows a run has seen, and of its money; what another buys is still planned here."""
    counts = dict.fromkeys(("stored", "reused", "failed", "unknown", "lost", "spoiled", "planned"), 0)
    whole, own, oldest, pruned = connection.execute(_TALLY_WHOLE, (run,)).get
    counts["stored"], counts["reused"] = own, whole - own
    wrong_shape = settled = passing = bought = unfit = 0
    seen = connection.execute("SELECT count(*) FROM placements WHERE run = ?", (run,)).get
    elsewhere = json.dumps(sorted(hands.others(connection, run=run, alive=alive)))
    for state, mine, wrong, accepted, again, misfit, number, first, age, gone in (
        connection.execute(_TALLY_REST, (elsewhere, run)) if seen > whole else ()
    ):
        counts[_counted_as(JobState(state), own=bool(mine))] += number
        settled += number if accepted else 0
        passing += number if again and state == JobState.FAILED else 0
        unfit += number if misfit else 0
        pruned += gone
        bought += first if state == JobState.BOUGHT else 0
        if mine and state == JobState.STORED:
            wrong_shape += number if wrong else 0
            oldest = max(oldest or 0.0, age or 0.0)
    spent, unknown = connection.execute(
        "SELECT total(price_microusd) FILTER (WHERE money = 'spent'),"
        " total(price_microusd) FILTER (WHERE money IN ('unknown', 'reserved')) FROM attempts WHERE run = ?",
        (run,),
    ).get
    batch_spent, batch_unknown = connection.execute(
        "SELECT spent, unknown + reserved FROM sums WHERE scope = ?", (f"batch:{batch}",)
    ).get or (0, 0)
    return Tally(
        **counts,
        unfit=unfit,
        pruned=pruned,
        settled=settled,
        passing=passing,
        bought=bought,
        wrong_shape=wrong_shape,
        spend_microusd=int(spent),
        unknown_microusd=int(unknown),
        batch_spend_microusd=batch_spent,
        batch_unknown_microusd=batch_unknown,
        url_age_max_s=oldest,
        providers=_providers(connection, run),
    )


def _providers(connection: Connection, run: int) -> dict[str, tuple[int, int]]:
    """What was paid to whom in a run: pictures, and micro-dollars."""
    rows = connection.execute(
        "SELECT coalesce(a.provider, r.provider), count(*), total(a.price_microusd) FROM attempts a"
        " JOIN runs r ON r.id = a.run WHERE a.run = ? AND a.money = 'spent' GROUP BY 1 ORDER BY 1",
        (run,),
    )
    return {name: (number, int(amount)) for name, number, amount in rows}


def _counted_as(state: JobState, *, own: bool) -> str:
    match state:
        case JobState.STORED:
            return "stored" if own else "reused"
        case JobState.BUYING:
            return "unknown"
        case JobState.BOUGHT:
            return "lost"  # paid and not here, though a rerun inside the window may still fetch it
        case _:
            return str(state)
