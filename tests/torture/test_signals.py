"""Signals at any moment, clocks that are set, and runs that start at the same instant."""

import os
import signal
from contextlib import suppress
from pathlib import Path
from random import Random

import anyio
import pytest

from pipeline.clock import SystemClock
from pipeline.ledger import Policy
from pipeline.manifest import load_manifest
from pipeline.runner import RunOptions, run_async
from tests.acceptance.stage import Ended, Workspace
from tests.acceptance.warm import Warm
from tests.torture.crashing import Scene, until_stored, within

#: Each is sent at a moment by chance; STOP is followed by CONT.
_PLANS = (
    (signal.SIGTERM,),
    (signal.SIGINT,),
    (signal.SIGTERM, signal.SIGTERM),
    (signal.SIGINT, signal.SIGTERM),
    (signal.SIGSTOP, signal.SIGCONT),
    (signal.SIGSTOP, signal.SIGCONT, signal.SIGINT),
    (signal.SIGHUP,),
    (signal.SIGTERM, signal.SIGKILL),
)


async def _signalled(scene: Scene, manifest: str) -> tuple[Ended, tuple[signal.Signals, ...]]:
    """Run a manifest and send it signals; how it ended, and those that were sent in time."""
    plan = scene.chance.choice(_PLANS)
    pids: list[int] = []
    sent: list[signal.Signals] = []
    async with anyio.create_task_group() as group:

        async def send() -> None:
            for number in plan:
                await scene.moment()
                with suppress(ProcessLookupError):
                    os.kill(pids[0], number)
                    sent.append(number)

        async def resume() -> None:
            """No signal in time must leave it stopped."""
            try:
                await send()
            finally:
                with suppress(ProcessLookupError):
                    os.kill(pids[0], signal.SIGCONT)

        def begin(pid: int) -> None:
            pids.append(pid)
            group.start_soon(resume)

        ended = await scene.workspace.fluxbatch("run", manifest, "--json", on_start=begin)
        group.cancel_scope.cancel()
    return ended, tuple(sent)


@pytest.mark.dose(20, 1_000)
async def test_signals_at_any_moment_leave_everything_accounted_for(
    seeds: range, tmp_path: Path, crew: list[Warm]
) -> None:
    for seed in seeds:
        folder = tmp_path / str(seed)
        folder.mkdir()
        scene = Scene(seed, folder, crew[0])
        with within():
            async with scene.simulator:
                scene.workspace.use(scene.simulator)
                manifest = scene.manifest()
                for _ in range(scene.chance.randint(1, 2)):
                    ended, sent = await _signalled(scene, manifest)
                    assert ended.code in {0, 3, 5, 69, 75} or -ended.code in sent, (ended, sent)
                    assert "Traceback" not in ended.err, ended.err
                    if ended.code >= 0:  # by its own will: what it says is what the ledger has
                        told = ended.json
                        if "error" in told:  # stopped before it could count: nothing was bought
                            assert ended.code == 75
                        else:
                            assert told["jobs"] == len(scene.prompts)
                            assert ended.code == 5 or not told["unknown"]
                    scene.assert_accounted_for()
                await scene.settle(manifest)
                await until_stored(scene, manifest)


class _SetClock(SystemClock):
    """A wall clock that somebody sets, an hour forth or back, after some looks at it."""

    def __init__(self, chance: Random, ahead_s: float) -> None:
        self._looks = chance.randint(1, 120)
        self._by_s = chance.choice((-3600.0, 3600.0))
        self.ahead_s = ahead_s

    def wall(self) -> float:
        self._looks -= 1
        if self._looks == 0:
            self.ahead_s += self._by_s
        return super().wall() + self.ahead_s


@pytest.mark.dose(20, 1_000)
async def test_a_clock_that_is_set_loses_nothing_and_buys_nothing_twice(
    seeds: range, tmp_path: Path, crew: list[Warm]
) -> None:
    for seed in seeds:
        folder = tmp_path / str(seed)
        folder.mkdir()
        scene = Scene(seed, folder, crew[0])
        ahead_s = 0.0
        with within():
            async with scene.simulator:
                manifest = load_manifest(folder / scene.manifest())
                options = RunOptions(
                    output=scene.workspace.output,
                    policy=Policy(),
                    environment={"FLUXBATCH_BASE_URL": scene.simulator.base_url, "FLUXBATCH_API_KEY": "any-key"},
                )
                for _ in range(3):
                    clock = _SetClock(scene.chance, ahead_s)
                    summary = await run_async(manifest, options, clock=clock)
                    ahead_s = clock.ahead_s
                    assert summary.lost == 0, summary.lines()
                    scene.assert_accounted_for()
                charged = scene.charged()
                states = {row.prompt: row.state for row in scene.workspace.rows()}
                assert {states[prompt] for prompt in charged} <= {"stored", "unknown", "spoiled"}


@pytest.mark.dose(20, 1_000)
async def test_of_runs_that_start_at_once_one_buys_and_the_others_say_so(
    seeds: range, tmp_path: Path, crew: list[Warm]
) -> None:
    for seed in seeds:
        folder = tmp_path / str(seed)
        folder.mkdir()
        scene = Scene(seed, folder, crew[0])
        with within():
            async with scene.simulator:
                manifest = scene.manifest()
                doors = [Workspace(folder, warm) for warm in crew]
                for door in (scene.workspace, *doors):
                    door.use(scene.simulator)
                ends = await _at_once(scene, doors, manifest)
                assert all("Traceback" not in ended.err for ended in ends)
                for ended in ends:
                    if ended.code == 75:
                        assert "another run holds this ledger (process " in ended.err
                assert {ended.code for ended in ends} <= {0, 3, 5, 69, 75}
                scene.assert_accounted_for()
                await scene.settle(manifest)
                await until_stored(scene, manifest)


async def _at_once(scene: Scene, doors: list[Workspace], manifest: str) -> list[Ended]:
    """Start a run from each door within a moment, and kill the first one by chance; how the others ended."""
    ends: list[Ended] = []
    kills = scene.chance.random() < 0.3
    async with anyio.create_task_group() as group:

        async def start(door: Workspace, wait_s: float, scope: anyio.CancelScope) -> None:
            with scope:
                await anyio.sleep(wait_s)
                ends.append(await door.fluxbatch("run", manifest, "--json"))

        scopes = [anyio.CancelScope() for _ in doors]
        for door, scope in zip(doors, scopes, strict=True):
            group.start_soon(start, door, scene.chance.choice((0, 0, 0.05, 0.3)), scope)
        if kills:
            await scene.moment()
            scopes[0].cancel()
    return ends
