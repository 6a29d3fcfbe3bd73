"""Having a server's ledger alone, for what no run may be beside."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from pipeline.ledger.address import Server
from pipeline.ledger.postgres.connection import driver, translated
from pipeline.ledger.postgres.opening import claim_alone, open_writing


@contextmanager
def alone(server: Server) -> Iterator[None]:
    """Have the ledger alone; see ``opening.claim_alone``."""
    connection = open_writing(server)
    try:
        with translated(server):
            claim_alone(connection, server)
        yield
    finally:
        with suppress(driver().Error):  # else it goes with the session, whenever the server notices that
            connection.call("SELECT pg_advisory_unlock_all()")
        connection.close()
