"""A ledger on a PostgreSQL server, for several machines: the same questions, and the steps as functions there."""

__all__: list[str] = []
