"""Power lost at any moment, and a disk on which whatever was not synced may be missing: all is accounted for.

Runs are recorded at their system calls. From a record come disks as they may be found after a power loss, and on each
of them the next run begins, with the provider that had been asked by then.
"""

import shutil
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Literal

import pytest

from pipeline.ledger import Ledger, Policy, Row
from pipeline.manifest import load_manifest
from pipeline.runner import RunOptions, run_async
from pipeline.simulator import Simulator, SimulatorSettings
from tests.acceptance.stage import Workspace, assert_proven
from tests.acceptance.warm import Warm
from tests.conftest import SEEDS_AN_ITEM
from tests.torture.crashing import within
from tests.torture.histories import OPTIONS, History
from tests.torture.platters import Mood
from tests.torture.tracing import hindrance, traced

pytestmark = pytest.mark.skipif(hindrance() is not None, reason=str(hindrance()))

PROMPTS = ("red", "green", "blue")
PRICE_MICROUSD = 35_000
#: Where there is memory for it, disks stand there: what a real one does is not what this is about.
_MEMORY = Path("/dev/shm")
#: Several runs at once, each with its ballast, and none without the room that a run wants before it begins.
_ENOUGH_BYTES = 2**30
#: A run that is killed is recorded anew where another call was under way, which may or may not have been done.
_TAKES = 20
#: What must have been found, and got over.
RECOVERIES = {
    "a part taken for its picture", "bought, fetched by the next run", "no ledger yet", "not asked for yet",
    "request sent, held as unknown", "reserved and not sent, held as unknown", "stored for good",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What happened to a disk, the provider it happened with, and which job is which.

    Attributes:
        prompts: By half of the job's key.
    """

    history: History
    simulator: Simulator
    manifest: Path
    prompts: dict[str, str]

    def asked(self, at: int) -> set[str]:
        """For which prompts a request had left by then."""
        return {prompt for time, prompt in self.history.asked if time <= at}

    def paid(self, at: int) -> set[str]:
        """For which prompts the answer must have been on record by then."""
        return {self.prompts[key] for time, key in self.history.paid if time <= at}


@asynccontextmanager
async def recorded(seed: int, folder: Path, warm: Warm) -> AsyncIterator[Record]:
    """One run; or two, the first of which buys only some, or is killed. The provider is still there."""
    chance = Random(seed)
    answers: tuple[Literal["url", "b64_json"], ...] = ("url", "url", "b64_json")
    answer = chance.choice(answers)
    limits = {"concurrency": chance.randint(1, 3), "downloads": chance.randint(1, 2)}
    begins = chance.choice(("whole", "limited", "killed"))
    for take in range(_TAKES):
        workspace = Workspace(folder / str(take), warm)
        workspace.root.mkdir(parents=True)
        history = History(workspace.root, inline=answer == "b64_json")
        async with Simulator(SimulatorSettings(scale=16, answer=answer)) as simulator:
            workspace.use(simulator)
            name = workspace.manifest(*PROMPTS, limits=limits)
            if begins == "limited":
                assert await _goes_on(history, workspace, name, "--limit", "2")
            if begins == "killed":
                deadly = f"inject=pwrite64:signal=SIGKILL:when={chance.randint(10, 110)}"
                if not await _goes_on(history, workspace, name, options=("-e", deadly)):
                    continue
            assert await _goes_on(history, workspace, name)
            prompts = {row.key[:32]: row.prompt for row in workspace.rows()}
            yield Record(history=history, simulator=simulator, manifest=workspace.root / name, prompts=prompts)
            return
    raise AssertionError(f"no whole record in {_TAKES} takes")


async def _goes_on(
    history: History, workspace: Workspace, manifest: str, *words: str, options: tuple[str, ...] = ()
) -> bool:
    """Record one more run; whether what is recorded is what has happened."""
    ended, calls = await traced(workspace, "run", manifest, "--json", "--quiet", *words, options=(*OPTIONS, *options))
    assert ended.code in {0, 5, -9}, ended
    history.goes_on(calls)
    return history.is_as(workspace.output)


@contextmanager
def found(record: Record, at: int, chance: Random) -> Iterator[Path]:
    """A disk as it may be found after the power was lost at a moment."""
    roomy = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free >= _ENOUGH_BYTES
    folder = Path(tempfile.mkdtemp(prefix="found-", dir=_MEMORY if roomy else None))
    try:
        record.history.platter.root.leave(folder / "disk", at, Mood(chance))
        shutil.copy(record.manifest, folder / "disk")
        yield folder / "disk"
    finally:
        shutil.rmtree(folder)


def _moment(record: Record, chance: Random) -> int:
    """When the power is lost: at any call, or, as often, just after something was said to the provider."""
    if chance.random() < 0.5:
        return chance.choice(record.history.ends)
    said = chance.choice([*record.history.asked, *record.history.paid])[0]
    return min(said + chance.randint(0, 12), record.history.ends[-1])


class _Look:
    """The provider and the ledger as they are before the next run."""

    def __init__(self, simulator: Simulator, workspace: Workspace) -> None:
        self.charges = len(simulator.bill.charges)
        self.downloads = simulator.bill.downloads
        self.states: Counter[str] = Counter(workspace.states() if workspace.ledger.exists() else {})


async def survived(record: Record, seed: int, warm: Warm) -> Counter[str]:
    """Lose the power at a moment by chance, and run again; what was found, and got over."""
    chance = Random(seed)
    at = _moment(record, chance)
    with found(record, at, chance) as folder:
        try:
            return await _run_again(record, at, Workspace(folder, warm))
        except BaseException as error:
            error.add_note(f"seed {seed}, power lost at {at}; asked {record.asked(at)}, on record {record.paid(at)}")
            raise


async def _run_again(record: Record, at: int, workspace: Workspace) -> Counter[str]:
    simulator = record.simulator
    look = _Look(simulator, workspace)
    summary = await run_async(
        load_manifest(workspace.root / record.manifest.name),
        RunOptions(
            output=workspace.output,
            policy=Policy(),
            environment={"FLUXBATCH_BASE_URL": simulator.base_url, "FLUXBATCH_API_KEY": "any-key"},
        ),
    )
    again = Counter(charge.prompt for charge in simulator.bill.charges[look.charges :])
    rows = {row.prompt: row for row in workspace.rows()}
    assert rows.keys() == set(PROMPTS)
    for prompt, row in rows.items():
        _assert_accounted_for(record, at, row, again[prompt])
        if row.state == "stored":
            assert_proven(workspace, row)
    unknown = sum(row.state == "unknown" for row in rows.values())
    assert (summary.unknown, summary.exit_code) == (unknown, 5 if unknown else 0)
    charged = (len(record.asked(at)) + again.total()) * PRICE_MICROUSD
    with Ledger(workspace.ledger) as ledger:
        lines = ledger.spend("provider")
        spent = sum(line.spent_microusd for line in lines)
        assert spent <= charged <= spent + sum(line.unknown_microusd for line in lines)
        kinds = {finding.kind for finding in ledger.verify().findings}
    assert not kinds & {"damaged", "sums", "job", "missing", "altered"}, kinds
    return Counter(_got_over(record, at, look, rows, again))


def _assert_accounted_for(record: Record, at: int, row: Row, again: int) -> None:
    """What was asked for is not asked for again; what was paid is stored; and nothing is ever lost."""
    assert row.state in {"stored", "unknown"}, row
    if row.prompt in record.asked(at):
        assert again == 0, f"{row.prompt} was bought twice without a word"
    if row.prompt in record.paid(at):
        assert row.state == "stored", f"{row.prompt} was paid, and on record"
    assert again == 0 or (again == 1 and row.state == "stored")


def _got_over(record: Record, at: int, look: _Look, rows: dict[str, Row], again: Counter[str]) -> Iterator[str]:
    """What was found, and how the next run got over it."""
    if not look.states:
        yield "no ledger yet"
    if again:
        yield "not asked for yet"
    for prompt, row in rows.items():
        if row.state == "unknown":
            sent = prompt in record.asked(at)
            yield "request sent, held as unknown" if sent else "reserved and not sent, held as unknown"
    fetched = record.simulator.bill.downloads - look.downloads - again.total()
    if fetched > 0:
        yield "bought, fetched by the next run"
    if 0 <= fetched < look.states["bought"]:
        yield "a part taken for its picture"
    if look.states["stored"]:
        yield "stored for good"


@pytest.mark.dose(200, 20_000)
async def test_a_power_loss_at_any_moment_leaves_everything_accounted_for(
    seeds: range, tmp_path: Path, crew: list[Warm]
) -> None:
    with within():
        async with recorded(seeds.start // SEEDS_AN_ITEM, tmp_path, crew[0]) as record:
            for seed in seeds:
                await survived(record, seed, crew[0])


async def test_every_state_is_found_and_got_over(tmp_path: Path, crew: list[Warm]) -> None:
    reached = Counter[str]()
    for number in range(1_000, 1_020):
        with within():
            async with recorded(number, tmp_path / str(number), crew[0]) as record:
                for seed in range(number * SEEDS_AN_ITEM, (number + 1) * SEEDS_AN_ITEM):
                    reached += await survived(record, seed, crew[0])
        if reached.keys() >= RECOVERIES:
            break
    assert reached.keys() >= RECOVERIES, RECOVERIES - reached.keys()
