"""The only module that knows the engine: Procrastinate hands shards to workers, and takes back what the dead had.

It holds no truth: what is to be done stands in the ledger's shards, and the queue is filled from there again and again.
So its tables may be lost, and another version of it has tables of its own.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Self

from pipeline.errors import ConfigurationError, StorageError
from pipeline.ledger import Server
from pipeline.ledger.postgres.connection import SCHEMA, translate

#: Seconds between two signs of life, and without one until a worker counts as gone: its shards go to others.
BEAT_S, STALE_S = 2.0, 15.0
#: Seconds between two looks for a shard. Asked, not listened for: a listener's connection that dies without a word
#: would not be noticed (procrastinate#1334).
LOOK_S = 1.0
#: Seconds in which a shard that was taken has surely begun.
BEGIN_S = 20.0
#: Seconds that the engine waits for a connection: longer than any outage a worker outlives (the usual 30 end it).
PATIENCE_S = 600.0
#: Shards queued at once.
_BATCH = 500

_QUEUE, _TASK = "fluxbatch", "shard"
#: A shard that the engine believes to be at work counts as queued while its run is on, or may still begin: an outage
#: can keep the engine from writing down that it has ended.
_MISSING = f"""
SELECT s.id, s.not_before FROM shards s LEFT JOIN runs r ON r.id = s.run
WHERE s.finished_at IS NULL AND NOT EXISTS (
    SELECT 1 FROM procrastinate_jobs j WHERE (j.args ->> 'shard')::BIGINT = s.id AND (j.status = 'todo'
        OR j.status = 'doing' AND (r.ended_at IS NULL AND is_heard(r.run_id, silence())
            OR EXISTS (SELECT 1 FROM procrastinate_events e WHERE e.job_id = j.id AND e.type = 'started'
                AND e.at > clock_timestamp() - INTERVAL '{BEGIN_S:g} seconds'))))
ORDER BY s.id
"""  # noqa: S608 - from the text above
#: Whether the server has been up for long enough that whoever lives had the time to be heard again.
_SETTLED = """
SELECT pg_postmaster_start_time() < clock_timestamp() - make_interval(secs => %(seconds)s) AS settled
"""


class Engine:
    """The queue of shards; an async context manager."""

    def __init__(self, server: Server, work: Callable[[int], Awaitable[None]] | None = None) -> None:
        """Say where.

        Args:
            server: The ledger's.
            work: Does one shard, by its number; None for whoever only submits.
        """
        procrastinate = _procrastinate()
        self._schema = "fluxbatch_queue_" + "_".join(procrastinate.__version__.split(".")[:2])
        self._server = server
        connector = procrastinate.PsycopgConnector(
            conninfo=server.url,
            min_size=1,
            max_size=4,
            timeout=PATIENCE_S,
            reconnect_timeout=PATIENCE_S,
            configure=self._configure,
            kwargs={"connect_timeout": 10, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
            | {"tcp_user_timeout": 20_000, "application_name": "fluxbatch fleet"},
        )
        self._app = procrastinate.App(connector=connector)
        self._app.task(name=_TASK, queue=_QUEUE)(self._do)
        self._work = work

    async def __aenter__(self) -> Self:
        await self._guarded(self._prepare())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._app.close_async()

    async def fill(self) -> int:
        """Queue every open shard that is not there; how many were missing."""
        from procrastinate.exceptions import AlreadyEnqueued

        rows = await self._guarded(self._app.connector.execute_query_all_async(_MISSING))
        for start in range(0, len(rows), _BATCH):
            jobs = [self._job(row["id"], row["not_before"]) for row in rows[start : start + _BATCH]]
            try:
                await self._guarded(self._app.job_manager.batch_defer_jobs_async(jobs=jobs))
            except AlreadyEnqueued:
                continue  # another has just done the same; what it has not is there next time
        return len(rows)

    async def revive(self) -> int:
        """Give what silent workers had to others; how many shards that were."""
        connector, manager = self._app.connector, self._app.job_manager
        if not (await self._guarded(connector.execute_query_one_async(_SETTLED, seconds=2 * STALE_S)))["settled"]:
            return 0
        stalled = list(await self._guarded(manager.get_stalled_jobs(queue=_QUEUE, seconds_since_heartbeat=STALE_S)))
        for job in stalled:
            await self._guarded(manager.retry_job(job))
        return len(stalled)

    async def serve(self, *, name: str, shards: int) -> None:
        """Take shards and do them, several at once; when this is cancelled, those in hand are seen through first."""
        await self._app.run_worker_async(
            queues=[_QUEUE],
            name=name,
            concurrency=shards,
            wait=True,
            fetch_job_polling_interval=LOOK_S,
            abort_job_polling_interval=3600.0,
            listen_notify=False,
            install_signal_handlers=False,
            delete_jobs="always",  # what came of a shard is in the ledger
            update_heartbeat_interval=BEAT_S,
            stalled_worker_timeout=STALE_S,
        )

    async def _do(self, shard: int) -> None:
        if self._work is not None:
            await self._work(shard)

    def _job(self, shard: int, not_before: Any) -> Any:
        from procrastinate.jobs import Job

        return Job(
            queue=_QUEUE,
            lock=None,
            queueing_lock=f"shard {shard}",
            task_name=_TASK,
            task_kwargs={"shard": shard},
            scheduled_at=not_before,
        )

    async def _configure(self, connection: Any) -> None:
        bounds = "set_config('statement_timeout', '30s', FALSE)"
        bounds += ", set_config('idle_in_transaction_session_timeout', '15s', FALSE)"
        await connection.execute(f"SELECT set_config('search_path', '{self._schema}, {SCHEMA}', FALSE), {bounds}")
        await connection.commit()

    async def _prepare(self) -> None:
        """Make the queue's tables where there are none; several may try at once."""
        import psycopg

        connecting = psycopg.AsyncConnection.connect(self._server.url, autocommit=True, connect_timeout=10)
        async with await connecting as connection, connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(7378717155330818052)")
            await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {self._schema}".encode())
            await connection.execute(f"SET LOCAL search_path TO {self._schema}".encode())
            there = await (await connection.execute("SELECT to_regclass('procrastinate_jobs')")).fetchone()
            if there is None or there[0] is None:
                await connection.execute(self._app.schema_manager.get_schema().encode())
        await self._app.open_async()

    async def _guarded(self, asked: Awaitable[Any]) -> Any:
        """What the engine says; its errors as this program's.

        Raises:
            StorageError, ConfigurationError: As ``postgres.connection.translate``.
        """
        import psycopg
        from procrastinate.exceptions import AlreadyEnqueued, ProcrastinateException
        from psycopg_pool import PoolTimeout

        try:
            return await asked
        except AlreadyEnqueued:
            raise
        except (psycopg.Error, PoolTimeout) as error:
            raise translate(error, self._server) from None
        except ProcrastinateException as error:
            if isinstance(error.__cause__, psycopg.Error):
                raise translate(error.__cause__, self._server) from None
            raise StorageError(f"{self._server}: the queue cannot be reached ({error})") from error


def hush() -> None:
    """Let the engine tell nobody of each of its steps: what there is to say, this program says.

    Inside a loop, of what its tasks end with, too: a shard that it could not tick off is found again by ``fill``.
    """
    with suppress(RuntimeError):
        asyncio.get_running_loop().set_exception_handler(_unless_engines)
    logging.getLogger("procrastinate").setLevel(logging.CRITICAL)
    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)


def _unless_engines(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    if not type(context.get("exception")).__module__.startswith("procrastinate"):
        loop.default_exception_handler(context)


def _procrastinate() -> Any:
    try:
        import procrastinate
    except ImportError as error:
        raise ConfigurationError("a fleet needs procrastinate", remedy="pip install 'fluxbatch[fleet]'") from error
    return procrastinate


__all__ = ["Engine", "hush"]
