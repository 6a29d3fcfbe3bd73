"""Any order of steps, on a real file, against a model of the states and the budgets small enough to believe."""

import hashlib
import tempfile
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pipeline.job import Job, PictureRequest, job_key
from pipeline.ledger import CapReached, Caps, JobState, Picture, Policy, Reservation, Run
from pipeline.ledger import admission as ledger_admission
from pipeline.ledger import steps as ledger_steps
from pipeline.ledger import sums as ledger_sums
from pipeline.ledger.connection import Connection, open_writing
from pipeline.ledger.verification import verify
from pipeline.ratio import Ratio

BATCH_CAP, DAILY_CAP, MONTHLY_CAP, TOTAL_CAP = 7, 9, 11, 12
CAPS = Caps(batch=BATCH_CAP, daily=DAILY_CAP, monthly=MONTHLY_CAP, total=TOTAL_CAP)
NOON = datetime(2026, 11, 29, 12).astimezone().timestamp()
BATCHES = (("poster", False), ("cover", False), ("trial", True))


@dataclass
class ModelAttempt:
    """What one attempt should be in the ledger."""

    number: int
    job: int
    run: Run
    price: int
    day: str
    taken_from: JobState
    money: str = "reserved"
    ended_at: float | None = None

    def scopes(self) -> list[str]:
        realm = "simulated:" if self.run.simulated else ""
        scopes = [f"{realm}day:{self.day}", f"{realm}month:{self.day[:7]}", f"{realm}total"]
        return [f"batch:{self.run.batch}", *scopes]


@dataclass
class ModelJob:
    """What one job should be in the ledger."""

    job: Job
    state: JobState = JobState.PLANNED
    attempts: list[ModelAttempt] = field(default_factory=list)
    kept: bool = False  # a picture is recorded, there or missed
    passing: bool = False

    def last_of_others(self, run: Run) -> int:
        """The number of the last attempt that another run made."""
        return max((attempt.number for attempt in self.attempts if attempt.run.id != run.id), default=0)

    def found(self, folder: Path) -> JobState:
        """The state in which a run finds it."""
        there = (folder / self.job.path).exists()
        if self.kept and self.state is JobState.STORED:
            return JobState.STORED if there else JobState.LOST
        if self.kept and there and self.state in {JobState.LOST, JobState.UNKNOWN}:
            return JobState.STORED
        return self.state


def _job(index: int) -> Job:
    request = PictureRequest(model="flux-kontext-pro", prompt=f"picture {index}", ratio=Ratio(1, 1))
    key = job_key(request, repeat=1, edition="", simulated=False)
    return Job(index=index, key=key, request=request, repeat=1, path=f"{index}", source=f"poster.yaml:{index}")


class LedgerMachine(RuleBasedStateMachine):
    """The ledger's steps beside the model."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "ledger.db"
        self.connection: Connection = open_writing(self.path)
        self.at = NOON
        self.jobs = [ModelJob(job=_job(index)) for index in range(5)]
        self.runs: list[Run] = []
        self.begun = 0
        self.seen: dict[tuple[int, int], int] = {}
        self.placements: dict[tuple[int, int], int] = {}

    def teardown(self) -> None:
        self.connection.close()
        self.folder.cleanup()

    @initialize()
    def first_runs(self) -> None:
        for batch in range(len(BATCHES)):
            self.begin(batch=batch)

    @rule(batch=st.integers(0, len(BATCHES) - 1))
    def begin(self, batch: int) -> None:
        """A run begins: whatever was under way anywhere is unknown from now on."""
        self.at += 1
        self._in_transaction(lambda: ledger_steps.abandon_reserved(self.connection, run=None, at=self.at))
        self._model_abandon(None)
        manifest, simulated = BATCHES[batch]
        run = self._in_transaction(lambda: self._insert_run(manifest, simulated=simulated))
        self.begun += 1
        self.runs = [other for other in self.runs if other.batch != run.batch] + [run]
        rows = [(job.job, job.job.path) for job in self.jobs]
        seen = self._in_transaction(
            lambda: ledger_admission.admit(
                self.connection,
                run=run,
                rows=rows,
                policy=Policy(),
                folder=self.path.parent,
                alive=lambda _: False,
            )
        )
        for job in self.jobs:
            job.state = job.found(self.path.parent)
        for index, (job, one) in enumerate(zip(self.jobs, seen, strict=True)):
            assert one.state is job.state
            self.placements[run.id, index] = one.placement
            self.seen[run.id, index] = job.last_of_others(run)

    @rule(index=st.integers(0, 4), there=st.booleans())
    def a_file_comes_or_goes(self, index: int, there: bool) -> None:
        file = self.path.parent / self.jobs[index].job.path
        if there:
            file.write_bytes(b"x")
        else:
            file.unlink(missing_ok=True)

    @rule(hours=st.sampled_from([1, 13, 25]))
    def time_passes(self, hours: int) -> None:
        self.at += hours * 3_600

    @rule(index=st.integers(0, 4), which=st.integers(0, 2), price=st.integers(0, 4))
    def reserve(self, index: int, which: int, price: int) -> None:
        job, run = self.jobs[index], self.runs[which]
        expected = self._expected_reservation(index, run, price)
        outcome = self._in_transaction(
            lambda: ledger_steps.reserve(
                self.connection,
                run=run,
                placement=self.placements[run.id, index],
                key=job.job.key,
                price_microusd=price,
                at=self.at,
                alive=lambda _: False,
            )
        )
        assert type(outcome) is expected
        if isinstance(outcome, Reservation):
            job.attempts.append(
                ModelAttempt(
                    number=outcome.attempt,
                    job=index,
                    run=run,
                    price=price,
                    day=ledger_sums.local_day(self.at),
                    taken_from=job.state,
                )
            )
            job.state = JobState.BUYING

    @precondition(lambda self: self._having(JobState.BUYING))
    @rule(pick=st.integers(0, 4))
    def answer(self, pick: int) -> None:
        job, attempt = self._pick(JobState.BUYING, pick)
        self._in_transaction(
            lambda: ledger_steps.answer(
                self.connection, attempt=attempt.number, url="u", bought_at=self.at, deadline=None, request_id=""
            )
        )
        self._settle(job, attempt, "spent", JobState.BOUGHT)
        job.passing = False
        job.kept = False

    @precondition(lambda self: self._having(JobState.BUYING))
    @rule(pick=st.integers(0, 4), final=st.booleans(), passing=st.booleans(), counted=st.booleans())
    def release(self, pick: int, final: bool, passing: bool, counted: bool) -> None:
        job, attempt = self._pick(JobState.BUYING, pick)
        self._in_transaction(
            lambda: ledger_steps.release(
                self.connection,
                attempt=attempt.number,
                kind="k",
                message="m",
                request_id="",
                at=self.at,
                final=final,
                passing=passing,
                counted=counted,
            )
        )
        fails = final and attempt.taken_from in {JobState.PLANNED, JobState.FAILED}
        self._settle(job, attempt, "released", JobState.FAILED if fails else attempt.taken_from)
        job.passing = passing

    @precondition(lambda self: self._having(JobState.BUYING))
    @rule(pick=st.integers(0, 4))
    def lose_answer(self, pick: int) -> None:
        job, attempt = self._pick(JobState.BUYING, pick)
        self._in_transaction(
            lambda: ledger_steps.lose_answer(
                self.connection, attempt=attempt.number, kind="k", message="m", request_id="", at=self.at
            )
        )
        self._settle(job, attempt, "unknown", JobState.UNKNOWN)
        job.passing = False

    @precondition(lambda self: self._having(JobState.BOUGHT))
    @rule(pick=st.integers(0, 4))
    def store(self, pick: int) -> None:
        job, attempt = self._pick(JobState.BOUGHT, pick)
        picture = Picture(
            sha256=hashlib.sha256(b"x").hexdigest(),
            size_bytes=1,
            width=1,
            height=1,
            format="png",
            verdict="ok",
            stored_at=self.at,
            url_age_s=0.0,
        )
        self._in_transaction(
            lambda: ledger_steps.store(
                self.connection, attempt=attempt.number, run=attempt.run.id, path=job.job.path, picture=picture
            )
        )
        (self.path.parent / job.job.path).write_bytes(b"x")
        job.state, job.kept = JobState.STORED, True

    @precondition(lambda self: self._having(JobState.BOUGHT))
    @rule(pick=st.integers(0, 4), state=st.sampled_from([JobState.LOST, JobState.SPOILED]))
    def give_up(self, pick: int, state: JobState) -> None:
        job, attempt = self._pick(JobState.BOUGHT, pick)
        self._in_transaction(
            lambda: ledger_steps.give_up(self.connection, attempt=attempt.number, state=state, kind="k", message="m")
        )
        job.state = state

    @rule(which=st.integers(0, 2))
    def abandon(self, which: int) -> None:
        run = self.runs[which]
        number = self._in_transaction(lambda: ledger_steps.abandon_reserved(self.connection, run=run.id, at=self.at))
        assert number == self._model_abandon(run.id)

    @invariant()
    def the_states_are_the_models(self) -> None:
        rows: list[Any] = self.connection.execute("SELECT key, state FROM jobs").fetchall()
        found = dict(rows)
        for job in self.jobs:
            if found:
                assert found[bytes.fromhex(job.job.key)] == job.state

    @invariant()
    def the_sums_are_the_models(self) -> None:
        rows = self.connection.execute("SELECT scope, spent, unknown, reserved FROM sums").fetchall()
        found = {scope: tuple(amounts) for scope, *amounts in rows}
        assert found == self._model_sums()

    @invariant()
    def no_cap_is_passed(self) -> None:
        sums = {scope: sum(amounts) for scope, amounts in self._model_sums().items()}
        caps = {"batch": BATCH_CAP, "day": DAILY_CAP, "month": MONTHLY_CAP, "total": TOTAL_CAP}
        for scope, amount in sums.items():
            assert amount <= caps[scope.removeprefix("simulated:").partition(":")[0]]

    @invariant()
    def the_ledger_bears_itself_out(self) -> None:
        verdict = verify(self.connection, self.path, now=self.at, alive=lambda _: False)
        kinds = {finding.kind for finding in verdict.findings}
        assert not kinds & {"damaged", "sums", "job"}

    def _in_transaction(self, step: Any) -> Any:
        self.connection.execute("BEGIN IMMEDIATE")
        result = step()
        self.connection.execute("COMMIT")
        return result

    def _insert_run(self, manifest: str, *, simulated: bool) -> Run:
        identity = (manifest, "", simulated)
        self.connection.execute(
            "INSERT OR IGNORE INTO batches (manifest, edition, simulated) VALUES (?, ?, ?)", identity
        )
        batch = self.connection.execute("SELECT id FROM batches WHERE manifest = ?", (manifest,)).get
        run_id = f"run {self.begun}"
        number = self.connection.execute(
            "INSERT INTO runs (run_id, batch, provider, started_at) VALUES (?, ?, 'p', ?) RETURNING id",
            (run_id, batch, self.at),
        ).get
        return Run(id=number, run_id=run_id, batch=batch, manifest=manifest, edition="", simulated=simulated, caps=CAPS)

    def _having(self, state: JobState) -> bool:
        return any(job.state is state for job in self.jobs)

    def _pick(self, state: JobState, pick: int) -> tuple[ModelJob, ModelAttempt]:
        matching = [job for job in self.jobs if job.state is state]
        job = matching[pick % len(matching)]
        return job, job.attempts[-1]

    def _settle(self, job: ModelJob, attempt: ModelAttempt, money: str, state: JobState) -> None:
        attempt.money, attempt.ended_at, job.state = money, self.at, state

    def _model_abandon(self, run: int | None) -> int:
        number = 0
        for job in self.jobs:
            if job.state is JobState.BUYING and (run is None or job.attempts[-1].run.id == run):
                self._settle(job, job.attempts[-1], "unknown", JobState.UNKNOWN)
                number += 1
        return number

    def _model_sums(self) -> dict[str, tuple[int, int, int]]:
        sums: dict[str, dict[str, int]] = {}
        for job in self.jobs:
            for attempt in job.attempts:
                for scope in attempt.scopes():
                    amounts = sums.setdefault(scope, {"spent": 0, "unknown": 0, "reserved": 0, "released": 0})
                    amounts[attempt.money] += attempt.price
        return {scope: (one["spent"], one["unknown"], one["reserved"]) for scope, one in sums.items()}

    def _expected_reservation(self, index: int, run: Run, price: int) -> type:
        job = self.jobs[index]
        if job.state in {JobState.BUYING, JobState.BOUGHT, JobState.STORED}:
            return type(None)
        fresh = job.state is JobState.PLANNED or (job.state is JobState.FAILED and job.passing)
        if not fresh and self.seen[run.id, index] != job.last_of_others(run):
            return type(None)
        wanted = ModelAttempt(
            number=0, job=0, run=run, price=price, day=ledger_sums.local_day(self.at), taken_from=job.state
        )
        sums = self._model_sums()
        caps = (BATCH_CAP, DAILY_CAP, MONTHLY_CAP, TOTAL_CAP)
        over = any(
            sum(sums.get(scope, (0, 0, 0))) + price > cap for scope, cap in zip(wanted.scopes(), caps, strict=True)
        )
        return CapReached if over else Reservation


LedgerMachine.TestCase.settings = settings(
    max_examples=50,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestLedgerMachine = LedgerMachine.TestCase
