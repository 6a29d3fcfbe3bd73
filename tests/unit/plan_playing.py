"""What the plan's tests share: manifests of a few rows, runs played on a real ledger, plans held against it."""

from contextlib import nullcontext
from itertools import zip_longest
from pathlib import Path

from pipeline.clock import SystemClock
from pipeline.ledger import (
    Admission,
    Caps,
    JobState,
    Ledger,
    LedgerWriter,
    Picture,
    Policy,
    Reservation,
    Run,
    Verdict,
)
from pipeline.manifest import Manifest
from pipeline.plan import Plan, make_plan
from tests.unit.manifest_writing import made as jobs_of

REAL = "version: 1\nname: test\n"
PRO, MAX = "flux-kontext-pro", "flux-kontext-max"
PICTURE = Picture(
    sha256="00" * 32, size_bytes=1, width=1, height=1, format="jpeg", verdict="ok", stored_at=2.0, url_age_s=1.0
)


def rows(*prompts: str) -> str:
    return "".join(f"  - [{prompt}, 1:1, {PRO}]\n" for prompt in prompts)


def plan(
    manifest: Manifest,
    folder: Path | None = None,
    *,
    policy: Policy | None = None,
    budget: int | None = None,
    limit: int | None = None,
) -> Plan:
    """The plan of a manifest, held against the folder's ledger; without a folder, against none."""
    ledger = None if folder is None else Ledger(folder / "ledger.db")
    with ledger or nullcontext():
        return make_plan(
            manifest, ledger, policy=policy or Policy(), budget_microusd=budget, concurrency=4, limit=limit
        )


def counts(made: Plan) -> dict[str, int]:
    """The counts of a plan that are not zero."""
    found = {name: getattr(made, name) for name in ("new", "changed", "again", "kept", "held", "unfit")}
    assert sum(found.values()) == made.jobs
    return {name: number for name, number in found.items() if number}


async def run(manifest: Manifest, folder: Path, *ends: JobState, passing: bool = True) -> None:
    """Play a run: each job of the manifest comes to the state given for it, stored where none is."""
    async with LedgerWriter(folder / "ledger.db", clock=SystemClock()) as ledger:
        begun = await ledger.begin(
            manifest=manifest.name,
            edition=manifest.edition,
            provider=manifest.profile.name,
            simulated=manifest.profile.simulated,
            caps=Caps(),
        )
        jobs = jobs_of(manifest)
        admitted = await ledger.admit(begun, [(job, job.path) for job in jobs], Policy())
        for admission, state in zip_longest(admitted, ends, fillvalue=JobState.STORED):
            assert isinstance(admission, Admission)
            assert isinstance(state, JobState)
            if admission.verdict is Verdict.BUY and state is not JobState.PLANNED:
                await _bring(ledger, begun, admission, state, passing=passing)


async def _bring(ledger: LedgerWriter, run: Run, admission: Admission, state: JobState, *, passing: bool) -> None:
    """Take a job from being planned to a state."""
    key = admission.row.key
    reserved = await ledger.reserve(run, placement=admission.placement, key=key, price_microusd=35_000)
    assert isinstance(reserved, Reservation)
    if state in {JobState.BOUGHT, JobState.STORED, JobState.LOST, JobState.SPOILED}:
        await ledger.answer(reserved, url="https://x.test/a", bought_at=1.0, deadline=601.0, request_id="r")
    match state:
        case JobState.FAILED:
            await ledger.release(reserved, kind="invalid", message="no", final=True, passing=passing)
        case JobState.UNKNOWN:
            await ledger.lose_answer(reserved, kind="read_timeout", message="gone")
        case JobState.STORED:
            (ledger.path.parent / f"{key}.jpeg").write_bytes(b"x")
            await ledger.store(run, attempt=reserved.attempt, path=f"{key}.jpeg", picture=PICTURE)
        case JobState.LOST:
            await ledger.lose(attempt=reserved.attempt, kind="expired", message="gone")
        case JobState.SPOILED:
            await ledger.spoil(attempt=reserved.attempt, kind="html", message="no picture")
        case _:
            pass
