"""Which server a bucket's pictures are on, as far as the ledger has heard."""

import json
from collections.abc import Callable
from typing import Any

from pipeline.bucket import BucketAddress
from pipeline.ledger.address import Address, Server
from pipeline.ledger.sql import Connection

#: The server of a recorded picture; None: what the environment and the client's own settings name.
Endpoint = Callable[[str], str | None]


def endpoint_of(connection: Connection, path: Address, *, said: str | None) -> Endpoint:
    """Tell the server of a picture by where the ledger records it.

    Args:
        said: What somebody has named; else what a fleet's manifests say, the last that has the place.
    """
    if said is not None or not isinstance(path, Server):
        return lambda _: said
    stores = [store for store in map(_store, _settings(connection)) if store is not None]
    return lambda recorded: next((store.endpoint for store in stores if store.path_of(recorded) is not None), None)


def _settings(connection: Connection) -> list[str]:
    rows: list[Any] = connection.execute("SELECT settings FROM submissions ORDER BY submitted_at DESC").fetchall()
    return [settings for (settings,) in rows]


def _store(settings: str) -> BucketAddress | None:
    said = json.loads(settings).get("store")
    return None if said is None else BucketAddress(**said)
