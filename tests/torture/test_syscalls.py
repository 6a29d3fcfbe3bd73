"""A fault at each system call that changes a file: wherever it dies, and whatever fails, all is accounted for."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Literal

import pytest

from pipeline.ledger import Ledger
from pipeline.ledger.connection import open_writing
from pipeline.simulator import Simulator, SimulatorSettings
from tests.acceptance.stage import Ended, Workspace
from tests.acceptance.warm import Warm
from tests.torture.crashing import Scene, until_stored, within
from tests.torture.tracing import FILE_CALLS, Call, hindrance, started, traced

pytestmark = pytest.mark.skipif(hindrance() is not None, reason=str(hindrance()))

Answer = Literal["url", "b64_json"]
PROMPTS = ("red", "green", "blue")
#: What strace is told to do to a call.
FAULTS = {"SIGKILL": "signal=SIGKILL", "EIO": "error=EIO", "ENOSPC": "error=ENOSPC"}
#: The points are shared among so many test items.
ITEMS = 8
#: The folder is made, and a file of one byte written and removed in it, before anything is opened.
_PROBE = "output/.writable-{pid}"
#: Makes a ledger, and nothing else.
_FOUND = """
import sys
from pathlib import Path
from pipeline.errors import FluxbatchError
from pipeline.ledger.connection import open_writing
try:
    open_writing(Path("ledger.db")).close()
except FluxbatchError as error:
    sys.exit(int(error.exit_code))
"""
#: How a disk that is full or fails is told.
_TOLD = re.compile("the disk is full|the disk fails|Input/output error|No space left on device|no room")
#: Every way out of trouble that must have been taken.
RECOVERIES = {
    "a leftover part removed", "a part taken for its picture", "bought, fetched by the next run",
    "died before any request", "died with a request under way, held as unknown", "it went on",
    "nothing was bought", "the ballast went", "written down at the second try",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The Nth call of a kind in its thread, which is how strace counts; with files: to any of these only."""

    call: str
    number: int
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """One fault at one point, or from there on."""

    point: Point
    fault: str
    for_ever: bool = False

    def options(self, root: Path) -> list[str]:
        """What strace is told."""
        call = self.point.call
        when = f"{self.point.number}{'+' if self.for_ever else ''}"
        happens = f"inject={call}:{FAULTS[self.fault]}:when={when}"
        files = [word for file in self.point.files for word in ("-P", str(root / file))]
        watched = [] if files else ["ftruncate"]
        return [*files, "-e", f"trace={','.join({call, *watched})}", "-e", happens]


class Shop(Scene):
    """Three pictures, one after the other, from a provider without faults."""

    def __init__(self, folder: Path, warm: Warm, answer: Answer) -> None:
        folder.mkdir()
        self.chance = Random(0)
        self.workspace = Workspace(folder, warm)
        self.simulator = Simulator(SimulatorSettings(scale=16, answer=answer))
        self.prompts = list(PROMPTS)

    def manifest(self) -> str:
        return self.workspace.manifest(*self.prompts, limits={"concurrency": 1, "downloads": 1})


async def points(folder: Path, warm: Warm, answer: Answer) -> list[Point]:
    """Each call that changes a file in a run without faults."""
    shop = Shop(folder, warm, answer)
    with within():
        async with shop.simulator:
            shop.workspace.use(shop.simulator)
            names = ",".join((*FILE_CALLS, "write"))
            ended, calls = await traced(
                shop.workspace, "run", shop.manifest(), "--json", "--quiet", options=["-e", f"trace={names}"]
            )
    assert ended.code == 0, ended.err
    most = Counter[str]()
    for (_, name), number in Counter((call.thread, call.name) for call in calls).items():
        most[name] = max(most[name], number)
    # The loop writes, too, to wake itself and to sockets. What one may fail is a file's, and told by its name.
    parts = tuple(sorted(_written(calls, folder)))
    assert len(parts) == len(PROMPTS)
    return [
        *(Point(call=name, number=number) for name in FILE_CALLS for number in range(1, most[name] + 1)),
        *(Point(call="write", number=1, files=(file,)) for file in (_PROBE, *parts)),
    ]


def _written(calls: list[Call], root: Path) -> set[str]:
    """Names of the parts that were written to, relative to the root."""
    found = (re.match(rb"\d+<([^>]+\.(?:part|fresh))>", call.arguments) for call in calls if call.name == "write")
    return {Path(name[1].decode()).relative_to(root).as_posix() for name in found if name}


async def struck(folder: Path, warm: Warm, answer: Answer, strike: Strike) -> Counter[str]:
    """A run that is struck, and what comes after it; the ways out of trouble that were taken."""
    shop = Shop(folder, warm, answer)
    with within():
        async with shop.simulator:
            shop.workspace.use(shop.simulator)
            manifest = shop.manifest()
            ended, calls = await traced(
                shop.workspace, "run", manifest, "--json", "--quiet", options=strike.options(folder)
            )
            _assert_well_told(shop, ended)
            shop.assert_accounted_for()
            before = _Look(shop)
            if ended.code != -9 and not strike.for_ever:
                assert before.states["unknown"] == 0, "an answer that came was not written down at the second try"
            await shop.settle(manifest)
            reached = Counter(_ways_out(shop, ended, calls, before))
            if set(shop.workspace.states()) != {"stored"}:
                await until_stored(shop, manifest)
            return reached


def _assert_well_told(shop: Shop, ended: Ended) -> None:
    """It died, or went on to the end, or says in a line that it is the disk, without a word of a bug."""
    if ended.code == -9:
        return
    assert "Traceback" not in ended.err, ended.err
    assert ended.json["exit_code"] == ended.code, ended
    if ended.code == 0:
        assert shop.workspace.states() == {"stored": len(PROMPTS)}
        return
    assert ended.code == 74, ended
    told = [line for line in ended.err.splitlines() if line.startswith(("fluxbatch: ", "Stopped: "))]
    assert told, ended.err
    assert all(_TOLD.search(line) for line in told), told


class _Look:
    """The shop as a run has left it."""

    def __init__(self, shop: Shop) -> None:
        there = shop.workspace.ledger.exists()
        self.states: Counter[str] = Counter(shop.workspace.states() if there else {})
        self.requests = shop.simulator.bill.requests
        self.downloads = shop.simulator.bill.downloads
        self.parts = len(list(shop.workspace.output.rglob("*.part")))


def _ways_out(shop: Shop, ended: Ended, calls: list[Call], before: _Look) -> Iterator[str]:
    """How a struck run, and the next one, came out of it."""
    if ended.code == -9:
        yield from _out_of_death(shop, before)
    if ended.code == 0 and any(call.injected for call in calls):
        yield "it went on"
    if ended.code == 74:
        yield from _out_of_failure(calls, before)
    yield from _out_of_leftovers(shop, before)


def _out_of_death(shop: Shop, before: _Look) -> Iterator[str]:
    if not before.requests:
        yield "died before any request"
    if before.states["buying"] and shop.workspace.states().get("lost"):
        yield "died with a request under way, held as unknown"


def _out_of_failure(calls: list[Call], before: _Look) -> Iterator[str]:
    if not before.requests:
        yield "nothing was bought"
        return
    ballast = any(call.name == "ftruncate" and b"ledger.db.runs/" in call.arguments for call in calls)
    if ballast:
        yield "the ballast went"
    elif any(_is_failed_record(call) for call in calls):
        yield "written down at the second try"


def _out_of_leftovers(shop: Shop, before: _Look) -> Iterator[str]:
    bought = before.states["bought"]
    fetched = shop.simulator.bill.downloads - before.downloads
    of_before = fetched - (shop.simulator.bill.requests - before.requests)
    if of_before > 0:
        yield "bought, fetched by the next run"
    if before.parts and of_before < bought:
        yield "a part taken for its picture"
    if before.parts and not bought and not before.states["buying"]:
        yield "a leftover part removed"


def _is_failed_record(call: Call) -> bool:
    return call.injected and call.name in {"pwrite64", "fdatasync"} and b"ledger.db-wal>" in call.arguments


def _strikes(found: list[Point], *, torture: bool) -> list[Strike]:
    """Each point once, with one fault after the other; in the long version with each fault, and for ever after."""
    names = list(FAULTS)
    if not torture:
        return [Strike(point=point, fault=names[place % len(names)]) for place, point in enumerate(found)]
    return [
        Strike(point=point, fault=fault, for_ever=for_ever)
        for point in found
        for fault in names
        for for_ever in ((False,) if fault == "SIGKILL" else (False, True))
    ]


@pytest.mark.parametrize("share", range(ITEMS))
async def test_a_fault_at_each_point_of_a_run_leaves_everything_accounted_for(
    share: int, torture: bool, tmp_path: Path, crew: list[Warm]
) -> None:
    await _strike_all("url", share, torture, tmp_path, crew[0])


@pytest.mark.parametrize("share", range(ITEMS))
async def test_a_fault_at_each_point_of_a_run_with_inline_answers_leaves_everything_accounted_for(
    share: int, torture: bool, tmp_path: Path, crew: list[Warm]
) -> None:
    await _strike_all("b64_json", share, torture, tmp_path, crew[0])


async def _strike_all(answer: Answer, share: int, torture: bool, folder: Path, warm: Warm) -> None:
    found = await points(folder / "whole", warm, answer)
    if answer == "b64_json" and not torture:
        found = [point for point in found if point.call in {"write", "fsync", "rename"}]  # the others are as before
    for place, strike in enumerate(_strikes(found, torture=torture)[share::ITEMS]):
        try:
            await struck(folder / str(place), warm, answer, strike)
        except BaseException as error:
            error.add_note(f"{answer}: {strike}")
            raise


def test_a_fault_at_each_point_of_a_ledgers_beginning_leaves_none_or_a_whole_one(tmp_path: Path, torture: bool) -> None:
    """Among them are the two calls of a run that cannot be struck there: another thread's come first, and are counted.

    Whoever reads what is left need not wait for somebody who writes.
    """
    code, calls = started(["-c", _FOUND], tmp_path, options=["-e", f"trace={','.join((*FILE_CALLS, 'write'))}"])
    assert code == 0
    times = Counter(call.name for call in calls)
    found = [Point(call=name, number=number + 1) for name in times for number in range(times[name])]
    assert {"write", "fsync", "link", "unlink"} <= times.keys()
    for place, strike in enumerate(_strikes(found, torture=torture)):
        folder = tmp_path / str(place)
        folder.mkdir()
        code, _ = started(["-c", _FOUND], folder, options=strike.options(folder))
        assert code in ({-9} if strike.fault == "SIGKILL" else {0, 74}), strike
        ledger = folder / "ledger.db"
        if ledger.exists():
            with Ledger(ledger) as left:
                assert left.verify().proven, strike
        open_writing(ledger).close()


async def test_every_way_out_of_trouble_is_taken(tmp_path: Path, crew: list[Warm]) -> None:
    strikes = _strikes(await points(tmp_path / "whole", crew[0], "url"), torture=True)
    Random(10).shuffle(strikes)  # by which they are soon taken
    reached = Counter[str]()
    for place, strike in enumerate(strikes):
        reached += await struck(tmp_path / str(place), crew[0], "url", strike)
        if reached.keys() >= RECOVERIES:
            break
    assert reached.keys() >= RECOVERIES, RECOVERIES - reached.keys()
