"""What must hold after a run has died, over real sockets, files and processes; and the moments at which it may die."""

from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import anyio

from pipeline.ledger import Ledger
from pipeline.simulator import Fault, Simulator, SimulatorSettings
from tests.acceptance.secrecy import KEY
from tests.acceptance.stage import PATIENCE_S, Ended, Workspace, assert_proven, until
from tests.acceptance.warm import Warm

#: What goes wrong besides, by chance: passing trouble, lost answers, downloads that come at the second try.
_FAULTS = ("lost", "gateway_504", "overload_503", "throttle", "half_body", "dl_500", "dl_cut", "dl_404", "dl_empty")
#: The same, where tasks are asked after.
_VENDORS_FAULTS = (
    "lost",
    "overload_503",
    "throttle",
    "poll_500",
    "poll_reset",
    "task_request_moderated",
    "task_content_moderated",
    "dl_500",
    "dl_cut",
)
#: No run of these takes longer, in seconds, than this; kills come before.
_LONGEST_S = 1.2


class Scene:
    """One seed's workspace, provider and manifest."""

    def __init__(self, seed: int, folder: Path, warm: Warm, *, vendor: bool = False) -> None:
        """Set the scene; with the vendor, pictures are submitted and asked after."""
        self.vendor = vendor
        self.chance = chance = Random(seed)
        self.workspace = Workspace(folder, warm)
        names = _VENDORS_FAULTS if vendor else _FAULTS
        faults = [Fault(name, rate=0.06) for name in names] if chance.random() < 0.5 else []
        self.simulator = Simulator(
            SimulatorSettings(
                scale=16,
                latency_s=chance.choice((0.0, 0.2, 0.5) if vendor else (0.0, 0.03, 0.1)),
                latency_spread=0.6,
                answer=chance.choice(("url", "url", "b64_json")),
                faults=tuple(faults),
                prices_microusd={"flux-kontext-pro": 40_000 if vendor else 35_000},
                seed=seed,
            )
        )
        self.prompts = [f"Scene {number}" for number in range(chance.randint(4, 6 if vendor else 12))]

    def manifest(self) -> str:
        """Write the manifest; its name."""
        at_once = self.chance.randint(3 if self.vendor else 1, 6)
        limits = {"concurrency": at_once, "downloads": self.chance.randint(1, 4)}
        more = {"provider": "bfl"} if self.vendor else {}
        return self.workspace.manifest(*self.prompts, limits=limits, **more)

    def open(self) -> None:
        """Let commands find the provider."""
        self.workspace.use(self.simulator)
        if self.vendor:
            self.workspace.environment["BFL_API_KEY"] = KEY

    async def moment(self) -> None:
        """Wait for a moment by chance: after a while, or just after the provider saw something."""
        chance, bill = self.chance, self.simulator.bill
        seen = {"requests": bill.requests, "pictures": bill.pictures, "downloads": bill.downloads}
        what = chance.choice([*seen, "time"])
        if what == "time":
            await anyio.sleep(chance.uniform(0, _LONGEST_S / 2))
            return
        goal = seen[what] + chance.randint(1, len(self.prompts))
        with anyio.move_on_after(_LONGEST_S):
            await until(lambda: getattr(self.simulator.bill, what) >= goal)
        await anyio.sleep(chance.choice((0, 0.002, 0.02)))

    async def killed(self, *words: str) -> Ended | None:
        """Run a command and kill it at a moment by chance; how it ended, where it was faster."""
        ended: Ended | None = None
        async with anyio.create_task_group() as group:

            async def run() -> None:
                nonlocal ended
                ended = await self.workspace.fluxbatch(*words)
                group.cancel_scope.cancel()

            group.start_soon(run)
            await self.moment()
            group.cancel_scope.cancel()
        return ended

    def charged(self) -> Counter[str]:
        """Pictures the provider charged, by prompt."""
        return Counter(charge.prompt for charge in self.simulator.bill.charges)

    def assert_accounted_for(self, *, again: int = 0) -> None:
        """Whatever has happened: each charge is in the ledger, and no picture was charged twice without a word.

        Args:
            again: How often a word to ask or pay again was given.
        """
        if not self.workspace.ledger.exists():
            assert self.simulator.bill.requests == 0
            return
        charged = self.charged()
        assert all(number <= 1 + again for number in charged.values()), charged
        with Ledger(self.workspace.ledger) as ledger:
            lines = ledger.spend("provider")
            spent = sum(line.spent_microusd for line in lines)
            unclear = sum(line.unknown_microusd + line.reserved_microusd for line in lines)
            kinds = {finding.kind for finding in ledger.verify().findings}
        assert spent <= self.simulator.bill.charged_microusd <= spent + unclear
        assert not kinds & {"damaged", "sums", "job", "missing", "altered"}, kinds

    async def settle(self, manifest: str) -> None:
        """To the end: a run without kills, the bill read for what is unknown, and what was lost bought again."""
        ended = await self.workspace.run(manifest)
        assert "Traceback" not in ended.err
        self.assert_accounted_for()
        unclear = [row for row in self.workspace.rows() if row.state in {"unknown", "lost", "spoiled"}]
        assert (ended.code == 5) is bool(unclear), ended.err
        for row in self.workspace.rows():
            if row.state == "stored":
                assert_proven(self.workspace, row)
        if not any(row.state in {"unknown", "bought"} for row in self.workspace.rows()):
            await self._tidy()
        charged = self.charged()
        for row in unclear:
            if row.state == "unknown":
                word = "--billed" if charged[row.prompt] else "--not-billed"
                resolved = await self.workspace.fluxbatch("ledger", "resolve", row.key, word)
                assert resolved.code == 0, resolved.err
        with Ledger(self.workspace.ledger) as ledger:
            assert sum(line.spent_microusd for line in ledger.spend()) == self.simulator.bill.charged_microusd

    async def _tidy(self) -> None:
        """A run that dies between recording a picture and removing its part leaves the part for a repair."""
        if self._parts():
            repaired = await self.workspace.fluxbatch("ledger", "verify", "--repair")
            assert "Traceback" not in repaired.err
        assert not self._parts()

    def _parts(self) -> list[Path]:
        return list(self.workspace.output.rglob("*.part"))


async def until_stored(scene: Scene, manifest: str, *, patience: int = 12) -> None:
    """Run with every permission until all is stored: faults strike by chance, so it may take several runs."""
    words = ("--resend-unknown", "--retry-failed", "--rebuy-lost")
    for _ in range(patience):
        ended = await scene.workspace.run(manifest, *words)
        if set(scene.workspace.states()) == {"stored"}:
            assert ended.json["stored"] + ended.json["reused"] == len(scene.prompts)
            return
    raise AssertionError(scene.workspace.states())


def within(seconds: float = PATIENCE_S) -> Any:
    """No scene takes that long."""
    return anyio.fail_after(seconds)
