"""What runs have found of the pace of each model, as SQL."""

from collections.abc import Mapping

from pipeline.ledger.records import Found, Venue
from pipeline.ledger.sql import Connection


def read(connection: Connection, venue: Venue) -> dict[str, Found]:
    """By model: what was found there last."""
    rows = connection.execute(
        "SELECT model, level, wall, rate, learned_at FROM pace WHERE provider = ? AND origin = ? AND simulated = ?",
        (venue.provider, venue.origin, venue.simulated),
    )
    return {
        model: Found(level=level, wall=wall, rate=rate, learned_at=learned_at)
        for model, level, wall, rate, learned_at in rows
    }


def write(connection: Connection, venue: Venue, found: Mapping[str, Found]) -> None:
    """What was found replaces what was known of these models."""
    connection.executemany(
        "INSERT INTO pace (provider, origin, simulated, model, level, wall, rate, learned_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (provider, origin, simulated, model) DO UPDATE SET"
        " level = excluded.level, wall = excluded.wall, rate = excluded.rate, learned_at = excluded.learned_at",
        [
            (venue.provider, venue.origin, venue.simulated, model, each.level, each.wall, each.rate, each.learned_at)
            for model, each in found.items()
        ],
    )
