"""A world: manifests, a ledger, a provider with books of its own, and processes that run, are stopped, or die."""

import asyncio
import errno
import json
import random
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

from pipeline.clock import SystemClock
from pipeline.deliver.disk import Disk
from pipeline.deliver.keeper import Keeper
from pipeline.errors import SERIOUSNESS, ExitCode, FluxbatchError, StoppedError
from pipeline.ledger import Ledger, Policy, settle
from pipeline.ledger.committer import Committer
from pipeline.ledger.connection import Connection, open_reading, open_writing
from pipeline.ledger.handover import Step  # noqa: TC001
from pipeline.manifest import Manifest, load_manifest
from pipeline.produce import Producer
from pipeline.report import Summary
from pipeline.runner import RunOptions, Stop, run_async
from tests.torture.simulation.books import Line, Provider
from tests.torture.simulation.timeline import VirtualClock, VirtualLoop, threads_inline

PERMISSIONS = Policy(retry_failed=True, resend_unknown=True, rebuy_lost=True)
#: What ``verify`` may find in a ledger that is in order: what only a person or another run can settle.
OPEN = {"unknown", "lost", "spoiled", "bought", "buying", "foreign", "leftover", "dead"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What is to happen in one run, by chance.

    Attributes:
        dies_at: The event at which the process dies; None: it lives.
        stops_at: When somebody asks it to stop, in seconds after its start, once or twice.
        disk_fails: How likely each write to the disk fails.
        ledger_full: The disk refuses the ledger's growth from the start, until the ballast goes.
        clock_jump_s: How far somebody sets the wall clock in mid-run.
        provider_down: Nobody can connect.
        together: Whether the manifests are run at the same time, sharing the ledger.
    """

    policy: Policy = field(default_factory=Policy)
    dies_at: int | None = None
    stops_at: tuple[float, ...] = ()
    disk_fails: float = 0.0
    ledger_full: bool = False
    clock_jump_s: float = 0.0
    provider_down: bool = False
    together: bool = False


class World:
    """One seed's world. ``live`` runs it from its beginning to where all is settled, and checks it all the way."""

    def __init__(self, seed: int, folder: Path, *, jobs: int = 50) -> None:
        self.chance = Random(seed)
        self.folder = folder
        self.now = 0.0
        self.wall_ahead_s = 0.0
        self.events = 0
        self.course = Course()
        self.reached: Counter[str] = Counter()
        self.trace: list[object] = []
        self.summaries: list[Summary] = []
        chance = self.chance
        self.provider = Provider(
            chance=Random(seed + 1_000_000), foul=chance.random(), max_in_flight=chance.choice((2, 5, 100))
        )
        self.manifests = self._write_manifests(jobs)
        random.seed(seed)  # the jitter of back-offs
        self._reader: Connection | None = None
        self._loop: VirtualLoop

    @property
    def output(self) -> Path:
        return self.folder / "output"

    @property
    def ledger(self) -> Path:
        return self.output / "ledger.db"

    # --- what there is ---------------------------------------------------------------------------------------

    def _write_manifests(self, jobs: int) -> list[Manifest]:
        chance = self.chance
        common = [f"common {number}" for number in range(jobs // 8)]
        limits: dict[str, Any] = {"concurrency": chance.randint(1, 16), "downloads": chance.randint(1, 6)}
        if chance.random() < 0.3:
            limits["total_usd"] = chance.choice(("0.50", "1.20", "2.00"))
        if chance.random() < 0.2:
            limits["daily_usd"] = chance.choice(("0.40", "0.90"))
        manifests = []
        for name, share in (("first", 0.6), ("second", 0.4)):
            own = dict(limits)
            if chance.random() < 0.4:
                own["budget_usd"] = chance.choice(("0.20", "0.70", "1.50"))
            keys: dict[str, Any] = {"version": 1, "name": name}
            if chance.random() < 0.3:
                keys["on_unknown"] = "retry"
                own["resend_usd"] = chance.choice(("0.07", "0.30"))
            prompts = common + [f"{name} {number}" for number in range(int(jobs * share) - len(common) - 2)]
            prompts += prompts[:2]  # equal rows
            rows = [
                [prompt, chance.choice(("1:1", "16:9")) if "first" in prompt else "3:2", "flux-kontext-pro"]
                for prompt in prompts[:-2]
            ]
            rows += rows[:2]
            keys |= {"limits": own, "jobs": rows}
            file = self.folder / f"{name}.yaml"
            file.write_text(json.dumps(keys), encoding="utf-8")
            manifests.append(load_manifest(file))
        return manifests

    # --- what happens ----------------------------------------------------------------------------------------

    def live(self) -> None:
        """From the beginning to where all is settled."""
        chance = self.chance
        for _ in range(chance.randint(1, 4)):
            self.go(self._by_chance())
        self.provider.foul = 0.0
        self.go(Course())  # nobody has said anything: what is unknown, lost or refused stays as it is
        self._settle_by_the_bill()
        self.provider.calm = True
        for _ in range(2):
            self.go(Course(policy=PERMISSIONS))
        self._check_end()

    def _by_chance(self) -> Course:
        chance = self.chance
        if chance.random() < 0.3:
            self._meddle()
        return Course(
            policy=chance.choice(
                (Policy(), Policy(), Policy(resend_unknown=True), Policy(rebuy_lost=True), PERMISSIONS)
            ),
            dies_at=chance.randint(1, 250) if chance.random() < 0.6 else None,
            stops_at=tuple(sorted(chance.uniform(0, 60) for _ in range(chance.randint(1, 2))))
            if chance.random() < 0.2
            else (),
            disk_fails=0.03 if chance.random() < 0.15 else 0.0,
            ledger_full=chance.random() < 0.1,
            clock_jump_s=chance.choice((-3600.0, 3600.0)) if chance.random() < 0.15 else 0.0,
            provider_down=chance.random() < 0.05,
            together=chance.random() < 0.3,
        )

    def _meddle(self) -> None:
        """Somebody takes a picture away, or puts it back; time passes between runs."""
        hidden = self.folder / "hidden"
        pictures = [path for path in sorted(self.output.rglob("*.*g")) if not path.name.startswith(".")]
        if hidden.exists():
            target = Path(hidden.with_suffix(".name").read_text())
            if not target.exists():
                hidden.replace(target)
                self.reached["a picture put back"] += 1
            else:
                hidden.unlink()
        elif pictures:
            taken = self.chance.choice(pictures)
            hidden.with_suffix(".name").write_text(str(taken))
            taken.replace(hidden)
            self.reached["a picture taken away"] += 1
        self.now += self.chance.choice((0, 30, 700))

    def go(self, course: Course) -> None:
        """Run the manifests, one after the other or together, as it comes."""
        self.course = course
        self.events = 0
        batches = [self.manifests] if course.together else [[manifest] for manifest in self.manifests]
        for manifests in batches:
            if not self._process(manifests):
                return

    def _process(self, manifests: list[Manifest]) -> bool:
        """One process, from its start to its end or death; whether it lived."""
        loop = self._loop = VirtualLoop(now=self.now, chance=self.chance)
        clock = VirtualClock(loop, wall_ahead_s=self.wall_ahead_s)
        self.provider.restart()
        self.provider.down = self.course.provider_down
        with ExitStack() as stack:
            self._stage(stack)
            if self.course.clock_jump_s:
                loop.call_later(20.0, partial(self._set_clock, clock))
            main = loop.create_task(self._main(manifests, clock))
            try:
                loop.run_until_complete(main)
            except RuntimeError:
                if not loop.dead:
                    raise
            finally:
                self.now = loop.now
                if self._reader is not None:
                    self._reader.close()
                    self._reader = None
                loop.bury()
        self.trace.append(("ended", round(self.now, 6), loop.dead))
        self.reached["a process died"] += loop.dead
        self._check_money()
        return not loop.dead

    def _set_clock(self, clock: VirtualClock) -> None:
        self.wall_ahead_s += self.course.clock_jump_s
        clock.wall_ahead_s = self.wall_ahead_s
        self.reached["the clock was set"] += 1

    async def _main(self, manifests: list[Manifest], clock: VirtualClock) -> None:
        stop = Stop()
        for moment in self.course.stops_at:
            self._loop.call_later(moment, partial(stop.ask, "SIGTERM"))
        options = RunOptions(
            output=self.output,
            policy=self.course.policy,
            environment={"FLUXBATCH_API_KEY": "sk-simulation"},
            stop=stop,
            shared=self.course.together,
        )
        options = replace(options, notice=self._told)
        await asyncio.gather(*(self._one(manifest, options, clock) for manifest in manifests))

    def _told(self, notice: str) -> None:
        self.reached["a run that died meanwhile"] += "died meanwhile" in notice

    async def _one(self, manifest: Manifest, options: RunOptions, clock: VirtualClock) -> None:
        try:
            summary = await run_async(manifest, options, clock=clock)
        except StoppedError:
            self.reached["stopped before anything was bought"] += 1
            return
        except FluxbatchError:
            if not (self.course.disk_fails or self.course.ledger_full):
                raise
            self.reached["no run for a bad disk"] += 1
            return
        self.summaries.append(summary)
        self.trace.append(
            (manifest.name, summary.as_json() | {"run_id": "", "ledger": "", "output": "", "manifest": ""})
        )
        self._check_summary(manifest, summary)

    def _stage(self, stack: ExitStack) -> None:
        """Put the world in the place of threads, network and disk."""
        provider = self.provider
        provider.on_ask, provider.on_fetch, provider.on_event = self._asked, self._fetched, self._event
        stack.enter_context(threads_inline())
        stack.enter_context(mock.patch("pipeline.runner.sellers.ApiTransport", return_value=Line(provider)))
        stack.enter_context(mock.patch("pipeline.runner.DownloadTransport", return_value=Line(provider)))
        stack.enter_context(mock.patch("pipeline.ledger.writer.Committer", partial(_InlineCommitter, self)))
        stack.enter_context(mock.patch("pipeline.ledger.runfile.BALLAST_BYTES", 4096))
        stack.enter_context(mock.patch.object(Producer, "_look_again", self._looking(Producer._look_again)))
        stack.enter_context(mock.patch.object(Keeper, "keep_leftover", self._leftover(Keeper.keep_leftover)))
        if self.course.disk_fails:
            for name in ("create", "sync", "link", "sync_folder"):
                stack.enter_context(mock.patch.object(Disk, name, self._failing(getattr(Disk, name))))

    def _looking(self, real: Callable[..., Any]) -> Callable[..., Any]:
        async def look_again(producer: Producer) -> None:
            self.reached["waited for another run"] += 1
            await real(producer)

        return look_again

    def _leftover(self, real: Callable[..., Any]) -> Callable[..., Any]:
        async def keep_leftover(keeper: Keeper, *args: Any) -> Any:
            kept = await real(keeper, *args)
            self.reached["a part taken for its picture"] += kept is not None
            return kept

        return keep_leftover

    def _failing(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def perhaps(disk: Disk, *args: Any) -> Any:
            if self.chance.random() < self.course.disk_fails:
                raise OSError(self.chance.choice((errno.ENOSPC, errno.EIO)), "the disk fails")
            return real(disk, *args)

        return perhaps

    # --- what is watched -------------------------------------------------------------------------------------

    def _event(self, name: str) -> None:
        self.events += 1
        if self.events == self.course.dies_at and not self._loop.dead:
            self.trace.append(("died at", name, self.events))
            self._loop.die()

    def read(self, query: str, *values: Any) -> list[Any]:
        """What is committed, as another process sees it."""
        if self._reader is None:
            self._reader = open_reading(self.ledger)
        rows: list[Any] = self._reader.execute(query, values).fetchall()
        return rows

    def _asked(self, prompt: str) -> None:
        """Nothing is bought unrecorded, and nothing before what was bought earlier is fetched."""
        self.trace.append(("asked", round(self._loop.now, 6), prompt))
        recorded = self.read(
            "SELECT a.taken_from FROM attempts a JOIN jobs j ON j.id = a.job"
            " WHERE j.prompt = ? AND j.state = 'buying' AND a.money = 'reserved'",
            prompt,
        )
        assert len(recorded) == 1, f"{prompt}: a request without its record"
        assert recorded[0][0] in self._allowed, f"{prompt}: bought again without a word"
        dead = "SELECT 1 FROM attempts a JOIN runs r ON r.id = a.run WHERE a.money = 'reserved' AND r.ended_at"
        assert not self.read(dead), "a run that is over still holds a reservation"
        if not self.course.together:
            waiting = self.read(
                "SELECT j.prompt FROM jobs j JOIN attempts a ON a.id = (SELECT max(id) FROM attempts WHERE job = j.id)"
                " JOIN runs r ON r.id = a.run WHERE j.state = 'bought' AND r.ended_at IS NOT NULL"
            )
            assert not waiting, f"bought before what was paid for was fetched: {waiting}"

    @property
    def _allowed(self) -> set[str]:
        """The states from which a job may be bought now."""
        policy, retrying = self.course.policy, any(each.limits.resend_microusd for each in self.manifests)
        allowed = {"planned", "failed"} | ({"unknown"} if policy.resend_unknown or retrying else set())
        return allowed | ({"lost", "spoiled"} if policy.rebuy_lost else set())

    def _fetched(self, url: str) -> None:
        """A URL is durable before anything is done with it."""
        self.trace.append(("fetched", round(self._loop.now, 6), url))
        assert self.read("SELECT state FROM jobs WHERE url = ?", url) == [("bought",)], f"{url} was not recorded"

    def committed(self, connection: Connection) -> None:
        """The budgets are walls at every moment."""
        sums = dict(connection.execute("SELECT scope, spent + unknown + reserved FROM sums"))
        batches = dict(connection.execute("SELECT manifest, id FROM batches"))
        for manifest in self.manifests:
            limits = manifest.limits
            caps = {f"batch:{batches.get(manifest.name)}": limits.budget_microusd, "total": limits.total_microusd}
            caps |= {scope: limits.daily_microusd for scope in sums if str(scope).startswith("day:")}
            for scope, cap in caps.items():
                if cap is not None:
                    assert int(sums.get(scope) or 0) <= cap, f"{scope} is over its cap of {cap}"

    def _check_summary(self, manifest: Manifest, summary: Summary) -> None:
        told = summary.as_json()
        counts = [told[name] for name in ("stored", "reused", "failed", "unknown", "lost", "spoiled", "skipped")]
        assert told["jobs"] == sum(counts) == manifest.count()
        self.reached[f"exit code {int(summary.exit_code)}"] += 1
        if summary.exit_code is ExitCode.OK:
            assert summary.stored + summary.reused == manifest.count()
        if summary.unknown or summary.lost + summary.spoiled > summary.settled:
            assert summary.exit_code in SERIOUSNESS[: SERIOUSNESS.index(ExitCode.MONEY_UNCLEAR) + 1]
        elif summary.skipped:
            assert summary.exit_code is not ExitCode.OK

    def _check_money(self) -> None:
        """The ledger and the provider's books agree, as far as anybody can know."""
        if not self.ledger.exists():
            assert not self.provider.asked
            return
        charges = self.provider.charges()
        rows = self.read(
            "SELECT j.prompt, a.money, a.taken_from, a.error_kind, j.state FROM attempts a JOIN jobs j ON j.id = a.job"
        )
        counted, spent, again = Counter[str](), Counter[str](), Counter[str]()
        for prompt, money, taken_from, kind, _ in rows:
            counted[prompt] += money != "released"
            spent[prompt] += money == "spent"
            again[prompt] += taken_from in {"unknown", "lost", "spoiled"}
            self.reached["a dead run's request held as unknown"] += kind == "interrupted"
        for prompt, number in charges.items():
            assert number <= counted[prompt], f"{prompt}: charged {number} times, and recorded {counted[prompt]}"
            assert number <= 1 + again[prompt], f"{prompt}: bought twice without a word"
        for prompt, number in spent.items():
            assert number <= charges[prompt], f"{prompt}: said to be spent, and never charged"
        with Ledger(self.ledger) as ledger:
            kinds = {finding.kind for finding in ledger.verify().findings}
        hidden = {"missing"} if (self.folder / "hidden").exists() else set()
        assert kinds <= OPEN | hidden, kinds
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _settle_by_the_bill(self) -> None:
        """A person reads the provider's bill and says of each unknown what it says."""
        charges = self.provider.charges()
        rows = self.read(
            "SELECT hex(j.key), j.prompt, (SELECT count(*) FROM attempts WHERE job = j.id AND money = 'spent'),"
            " (SELECT count(*) FROM attempts WHERE job = j.id AND money IN ('unknown', 'reserved'))"
            " FROM jobs j WHERE EXISTS (SELECT 1 FROM attempts WHERE job = j.id AND money IN ('unknown', 'reserved'))"
        )
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        for key, prompt, spent, unknown in rows:
            billed = charges[prompt] - spent
            if billed in {0, unknown}:  # else one word would not do for all of them
                settle(self.ledger, [key.lower()], billed=billed > 0, clock=SystemClock())
                self.reached["settled by the bill"] += 1

    def _check_end(self) -> None:
        """Fair weather, every permission, and the bill read: what the budgets allow is there."""
        with suppress(FileNotFoundError):
            (self.folder / "hidden").unlink()
        rows = self.read("SELECT prompt, state, error_kind, error_message FROM jobs")
        bounded = any(manifest.limits != _unbounded(manifest) for manifest in self.manifests)
        left = [row for row in rows if row[1] != "stored"]
        if not bounded:
            assert not left, left
        spent, unknown = self.read(
            "SELECT total(price_microusd) FILTER (WHERE money = 'spent'), total(price_microusd) FILTER"
            " (WHERE money = 'unknown') FROM attempts"
        )[0]
        charged = self.provider.charged_microusd()
        assert spent <= charged <= spent + unknown
        self._count_recoveries()
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _count_recoveries(self) -> None:
        """Which ways out of trouble this world has taken."""
        for name, query in {
            "a dead run's picture fetched": "SELECT count(*) FROM jobs j JOIN attempts a ON a.id = (SELECT max(id) FROM"
            " attempts WHERE job = j.id AND money = 'spent') WHERE j.state = 'stored' AND j.stored_run != a.run",
            "stored after overload": "SELECT count(*) FROM jobs j WHERE state = 'stored' AND EXISTS (SELECT 1 FROM"
            " attempts WHERE job = j.id AND error_kind = 'overloaded')",
            "stored after congestion": "SELECT count(*) FROM jobs j WHERE state = 'stored' AND EXISTS (SELECT 1 FROM"
            " attempts WHERE job = j.id AND error_kind = 'throttled')",
            "resent, stored, its first money unknown": "SELECT count(*) FROM jobs j WHERE state = 'stored' AND"
            " unknown_microusd > 0",
            "resent by itself": "SELECT count(*) FROM attempts a WHERE taken_from = 'unknown' AND EXISTS (SELECT 1 FROM"
            " attempts b WHERE b.job = a.job AND b.run = a.run AND b.id < a.id AND b.money = 'unknown')",
            "rebought after a loss": "SELECT count(*) FROM attempts WHERE taken_from = 'lost' AND money = 'spent'",
            "rebought what was spoiled": "SELECT count(*) FROM attempts WHERE taken_from = 'spoiled'",
            "placed for an equal row": "SELECT count(*) FROM placements WHERE duplicate AND path IS NOT NULL",
            "a lost answer": "SELECT count(*) FROM attempts WHERE money != 'released' AND error_kind = 'disconnected'",
        }.items():
            ((number,),) = self.read(query)
            self.reached[name] += number


def _unbounded(manifest: Manifest) -> Any:
    return replace(manifest.limits, budget_microusd=None, daily_microusd=None, total_microusd=None)


class _InlineCommitter(Committer):
    """Commits on the loop, in groups of what came within a moment; a dead process commits nothing."""

    def __init__(self, world: World, path: Path, *, give_way: Callable[[], bool]) -> None:
        super().__init__(path, give_way=give_way)
        self._world = world
        self._waiting: list[tuple[Step, asyncio.Future[Any]]] = []
        self._connection: Connection

    async def open(self) -> None:
        self._loop = self._timeline = self._world._loop
        self._connection = open_writing(self.path)
        self._connection.execute("PRAGMA synchronous = OFF")
        if self._world.course.ledger_full:
            pages = int(self._connection.pragma("page_count")) + self._world.chance.randint(1, 8)
            self._connection.execute(f"PRAGMA max_page_count = {pages}")
            self._room_maker = self._give_way
            self._give_way = self._make_room

    def close(self) -> None:
        if not self._timeline.dead:
            self._flush()
        self._closed = True
        self._connection.close()

    async def do(self, step: Callable[[Connection], Any]) -> Any:
        if self._timeline.dead:
            await self._timeline.create_future()
        assert not self._closed
        future: asyncio.Future[Any] = self._timeline.create_future()
        self._waiting.append((step, future))
        if len(self._waiting) == 1:
            self._timeline.call_later(self._timeline.a_moment(), self._flush)
        return await asyncio.shield(future)

    def _make_room(self) -> bool:
        self._world.reached["the ballast went"] += 1
        self._connection.execute("PRAGMA max_page_count = 1000000")
        return self._room_maker()

    def _flush(self) -> None:
        if self._timeline.dead or not self._waiting:
            return
        self._world._event("to be committed")
        if self._timeline.dead:
            return
        group, self._waiting = self._waiting, []
        outcomes = self._commit(self._connection, group)
        self._world.committed(self._connection)
        self._world._event("committed")
        if self._timeline.dead:
            return
        for future, result, error in outcomes:
            if future.cancelled():
                continue
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)
