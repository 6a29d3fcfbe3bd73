"""The same pipeline on many machines: a manifest cut into shards, which an existing engine hands to workers.

The engine (Procrastinate, on the ledger's own PostgreSQL server) delivers each shard at least once. It never guards
money: the ledger does, by a shard's epoch, the reservation, and records that are never refused.
"""

from pipeline.fleet.submitting import Submitted, submit
from pipeline.fleet.worker import Worker, WorkerOptions

__all__ = ["Submitted", "Worker", "WorkerOptions", "submit"]
