"""Whether a run is worth a word to somebody who did not watch it."""

from contextlib import suppress

from pipeline.errors import FluxbatchError
from pipeline.ledger import Ledger
from pipeline.report import Summary


def is_news(summary: Summary | None) -> bool:
    """Whether a run is worth telling of: something was asked for, stored or changed; what cannot be told apart is."""
    if summary is None or summary.stored:
        return True
    with suppress(FluxbatchError), Ledger(summary.ledger) as ledger:
        news = ledger.run_news(summary.run_id)
        return news is None or news.any
    return True
