"""The shards of a fleet's work: who submits, works and looks asks here. Nothing in it is about money."""

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from pipeline.errors import NotFoundError
from pipeline.ledger import runfile
from pipeline.ledger.address import Server
from pipeline.ledger.postgres.connection import driver, translate
from pipeline.ledger.postgres.opening import open_writing
from pipeline.ledger.states import JobState

#: Seconds over which a fleet's pace is counted.
PACE_S = 60.0
_STATES = """
SELECT j.state, count(DISTINCT j.id) FROM placements p JOIN jobs j ON j.id = p.job WHERE p.batch = ? GROUP BY 1
"""
_LATELY = """
SELECT count(*) FROM jobs j WHERE j.stored_run IN (SELECT id FROM runs WHERE batch = ? AND fleet)
    AND j.stored_at > extract(EPOCH FROM clock_timestamp()) - ?
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """Rows for one worker to buy.

    Attributes:
        id: The ledger's number.
        number: Its place in its manifest, from 1.
        settings: The manifest without its rows, as JSON.
        work: The jobs and what may be bought again, as JSON.
        faults: How often a run of it broke.
    """

    id: int
    number: int
    settings: str
    work: str
    faults: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLine:
    """One worker, as ``fleet status`` shows it.

    Attributes:
        seen_s: Seconds since it was last heard of.
        told: What it does.
    """

    signature: str
    seen_s: float
    up_s: float
    told: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLine:
    """One manifest and edition that was submitted.

    Attributes:
        shards: How many are waiting, running and finished.
        why: What those that do not run were last put back for, each with how many.
        states: Its rows, by what has become of them; equal rows count once.
        stored_lately: Pictures stored in the last ``PACE_S`` seconds.
        settings: The manifest without its rows, as JSON.
    """

    batch: int
    manifest: str
    edition: str
    simulated: bool
    shards: dict[str, int]
    why: dict[str, int]
    states: dict[JobState, int]
    spent_microusd: int
    unknown_microusd: int
    reserved_microusd: int
    stored_lately: int
    settings: str

    @property
    def is_open(self) -> bool:
        """Whether there is anything left to do."""
        return bool(self.shards["waiting"] + self.shards["running"])


class Board:
    """A connection of its own, for one question at a time, from any thread.

    All methods raise ``StorageError`` when the server cannot be reached; the next question tries again.
    """

    def __init__(self, server: Server) -> None:
        """Connect.

        Raises:
            ConfigurationError, StorageError, LedgerCorruptError: As ``opening.open_writing``.
        """
        self._server = server
        self._lock = threading.Lock()
        self._connection = open_writing(server, lost=self._give_up)

    def close(self) -> None:
        """Let go of it."""
        with self._lock:
            self._connection.close()

    def submit(self, batch: int, settings: str, *, at: float) -> None:
        """Say, or say anew, what a manifest's rows are to be bought with."""
        self._call("SELECT submit(%s, %s, %s)", batch, settings, at)

    def unsharded(self, placements: Sequence[int]) -> set[int]:
        """Which of these no open shard has."""
        rows = self._rows("SELECT unsharded(CAST(? AS BIGINT[]))", (_array(placements),))
        return {number for (number,) in rows}

    def add_shard(self, batch: int, work: str, placements: Sequence[int]) -> int:
        """Make a shard of these placements; its number."""
        return int(self._call("SELECT add_shard(%s, %s, CAST(%s AS BIGINT[]))", batch, work, _array(placements)))

    def shard(self, shard: int) -> Shard | None:
        """An open shard; None once it is finished."""
        found = self._call(
            "SELECT s.id, s.number, f.settings, s.work, s.faults FROM shards s JOIN submissions f ON f.batch = s.batch"
            " WHERE s.id = %s AND s.finished_at IS NULL",
            shard,
        )
        if found is None:
            return None
        number, place, settings, work, faults = found
        return Shard(id=number, number=place, settings=settings, work=work, faults=faults)

    def close_shard(self, run_id: str, *, again_s: float | None, leaves: bool, fault: bool, why: str) -> bool:
        """Say how a shard's run ended; whether that was the end of the shard.

        Args:
            again_s: In how many seconds it is to be begun again; None: not at all.
            leaves: Whether rows may be left that could still be bought.
            fault: Whether it broke.
        """
        return bool(self._call("SELECT close_shard(%s, %s, %s, %s, %s)", run_id, again_s, leaves, fault, why[:200]))

    def put_off(self, shard: int, *, again_s: float | None, fault: bool, why: str) -> None:
        """The same for a shard whose run broke, or could not begin; nothing where somebody else is at it."""
        self._call(
            "UPDATE shards SET told = %s, faults = faults + %s,"
            " not_before = clock_timestamp() + make_interval(secs => coalesce(%s::FLOAT8, 0)),"
            " finished_at = CASE WHEN %s::FLOAT8 IS NULL THEN clock_timestamp() END"
            " WHERE id = %s AND finished_at IS NULL AND (run IS NULL OR NOT EXISTS (SELECT 1 FROM runs r"
            " WHERE r.id = shards.run AND r.ended_at IS NULL AND is_on(r.run_id)))",
            why[:200],
            int(fault),
            again_s,
            again_s,
            shard,
        )

    def on_order(self, run_id: str) -> int:
        """Micro-dollars that requests under way hold of the budget of a run's manifest, whoever sent them."""
        return int(self._call("SELECT on_order((SELECT batch FROM runs WHERE run_id = %s))", run_id))

    def is_anything_left(self) -> bool:
        """Whether any shard is not finished."""
        return bool(self._call("SELECT EXISTS (SELECT 1 FROM shards WHERE finished_at IS NULL)"))

    def cancel(self, manifest: str | None) -> dict[str, int]:
        """End all shards of a manifest, or of all: how many of each were still open.

        Raises:
            NotFoundError: No such manifest was submitted.
        """
        found = self._rows(
            "SELECT b.id, b.manifest FROM submissions f JOIN batches b ON b.id = f.batch"
            " WHERE CAST(? AS TEXT) IS NULL OR b.manifest = ? ORDER BY b.id",
            (manifest, manifest),
        )
        if manifest is not None and not found:
            raise NotFoundError(manifest, "not submitted to this fleet", remedy="`fluxbatch fleet status` names them")
        ended: dict[str, int] = {}
        for batch, name in found:
            ended[name] = ended.get(name, 0) + int(self._call("SELECT cancel_shards(%s)", batch))
        return ended

    def tell(self, worker: str, signature: str, told: Mapping[str, Any]) -> None:
        """Say that a worker is there, and what it does."""
        self._call("SELECT tell_worker(%s, %s, CAST(%s AS JSONB))", worker, signature, json.dumps(told))

    def leave(self, worker: str) -> None:
        """A worker goes."""
        self._call("DELETE FROM workers WHERE id = %s", worker)

    def workers(self) -> list[WorkerLine]:
        """Those that were heard of in the last hour and have not gone."""
        rows = self._rows(
            "SELECT signature, extract(EPOCH FROM clock_timestamp() - seen_at),"
            " extract(EPOCH FROM clock_timestamp() - started_at), told FROM workers ORDER BY started_at",
            (),
        )
        return [
            WorkerLine(signature=runfile.told(signature.encode()), seen_s=float(seen), up_s=float(up), told=told)
            for signature, seen, up, told in rows
        ]

    def batches(self) -> list[BatchLine]:
        """What was submitted, the last first."""
        rows = self._rows(
            "SELECT b.id, b.manifest, b.edition, b.simulated, coalesce(s.spent, 0), coalesce(s.unknown, 0),"
            " coalesce(s.reserved, 0), f.settings FROM submissions f JOIN batches b ON b.id = f.batch"
            " LEFT JOIN sums s ON s.scope = 'batch:' || b.id ORDER BY f.submitted_at DESC",
            (),
        )
        return [self._line(*row) for row in rows]

    def _line(
        self,
        batch: int,
        manifest: str,
        edition: str,
        simulated: bool,  # noqa: FBT001 - a row of the question
        spent: int,
        unknown: int,
        reserved: int,
        settings: str,
    ) -> BatchLine:
        shards = {"waiting": 0, "running": 0, "finished": 0}
        why: dict[str, int] = {}
        for state, told, number in self._rows(
            "SELECT CASE WHEN s.finished_at IS NOT NULL THEN 'finished' WHEN r.ended_at IS NULL AND is_on(r.run_id)"
            " THEN 'running' ELSE 'waiting' END,"
            " CASE WHEN s.finished_at IS NULL OR EXISTS (SELECT 1 FROM placements p JOIN jobs j ON j.id = p.job"
            " WHERE p.shard = s.id AND j.state = 'planned') THEN coalesce(s.told, '') ELSE '' END, count(*)"
            " FROM shards s LEFT JOIN runs r ON r.id = s.run WHERE s.batch = ? GROUP BY 1, 2",
            (batch,),
        ):
            shards[state] += number
            if state != "running" and told:
                why[told] = why.get(told, 0) + number
        states = {JobState(state): number for state, number in self._rows(_STATES, (batch,))}
        return BatchLine(
            batch=batch,
            manifest=manifest,
            edition=edition,
            simulated=simulated,
            shards=shards,
            why=why,
            states=states,
            spent_microusd=spent,
            unknown_microusd=unknown,
            reserved_microusd=reserved,
            stored_lately=int(self._rows(_LATELY, (batch, PACE_S))[0][0]),
            settings=settings,
        )

    def _call(self, statement: str, *values: Any) -> Any:
        with self._lock:
            try:
                return self._connection.call(statement, *values)
            except driver().Error as error:
                self._give_up(error)

    def _rows(self, statement: str, values: Sequence[Any]) -> list[Any]:
        with self._lock:
            try:
                return list(self._connection.execute(statement, values).fetchall())
            except driver().Error as error:
                self._give_up(error)

    def _give_up(self, error: Exception) -> NoReturn:
        raise translate(error, self._server) from None


def _array(numbers: Sequence[int]) -> str:
    """An array as PostgreSQL reads one."""
    return "{" + ",".join(map(str, numbers)) + "}"
