"""Four real processes on one ledger, one of them killed at any moment: never over a cap, and exact to the last cent."""

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from typing import Any

import anyio
import pytest

from pipeline.clock import SystemClock
from pipeline.ledger import Caps, Ledger, LedgerWriter
from pipeline.ledger.connection import open_reading
from tests.torture.buying import LANES, PRICE

ROOT = Path(__file__).parents[2]
PROCESSES = 4
PATIENCE_S = 120.0
_HELD = ("spent", "unknown", "reserved")


class Child:
    """One process, and what it said."""

    def __init__(self, *words: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.torture.buying", *words],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.said: list[tuple[str, int]] = []

    def hear(self) -> bool:
        """Wait for one more line; whether there was one."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith("\n"):
            return False
        what, attempt = json.loads(line)
        self.said.append((what, attempt))
        return True

    def go(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def kill(self) -> None:
        self._process.kill()

    def end(self) -> int:
        """Hear the rest; its exit code."""
        while self.hear():
            pass
        return self._process.wait(PATIENCE_S)

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def fates(self) -> dict[int, str]:
        """What became of each attempt that it told of; one that it only got is reserved."""
        return {attempt: "reserved" if what == "got" else what for what, attempt in self.said if attempt}


@contextmanager
def _watched(path: Path, over: list[int]) -> Iterator[None]:
    """Look at the whole sum again and again; the highest goes into ``over``."""
    done = threading.Event()

    def watch() -> None:
        with closing(open_reading(path)) as connection:
            while not done.is_set():
                over.append(_held(connection))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


@pytest.mark.dose(3, 300)
async def test_processes_at_once_never_pass_a_cap_and_lose_no_cent(seeds: range, tmp_path: Path) -> None:
    for seed in seeds:
        await _several_at_once(seed, tmp_path / str(seed) / "ledger.db")


async def _several_at_once(seed: int, path: Path) -> None:
    path.parent.mkdir()
    chance = Random(seed)
    cap = chance.randint(5, 60) * PRICE + chance.randint(0, PRICE - 1)
    caps: dict[str, Any] = {
        chance.choice(["total", "daily", "monthly"]): cap,
        "batch": chance.choice([None, 15 * PRICE]),
    }
    shared = chance.choice(["apart", "apart", "shared"])
    async with LedgerWriter(path, clock=SystemClock()):
        pass
    buyers = [Child(str(path), str(number), str(seed), json.dumps(caps), shared) for number in range(PROCESSES)]
    sums: list[int] = []
    patience = threading.Timer(PATIENCE_S, lambda: list(map(Child.kill, buyers)))
    patience.start()
    try:
        for buyer in buyers:
            assert buyer.hear()
        with _watched(path, sums):
            for buyer in buyers:
                buyer.go()
            victim = chance.choice(buyers)
            for _ in range(chance.randint(0, 40)):
                if not victim.hear():
                    break
            victim.kill()
            codes = [buyer.end() for buyer in buyers if buyer is not victim]
        victim.end()
    finally:
        patience.cancel()
        for buyer in buyers:
            buyer.close()
    assert codes == [0] * (PROCESSES - 1)
    assert max(sums) <= cap
    _assert_exact(path, buyers, victim)
    with anyio.fail_after(PATIENCE_S):
        async with LedgerWriter(path, clock=SystemClock()) as writer:
            held = sum(_money(path).values())
            await writer.begin(manifest="after", edition="", provider="p", simulated=False, caps=Caps())
    after = _money(path)
    assert after["reserved"] == 0
    assert sum(after.values()) == held <= cap


def _assert_exact(path: Path, buyers: list[Child], victim: Child) -> None:
    """What processes said is in the ledger; what the killed one had no time to say is at most what its lanes held."""
    with closing(open_reading(path)) as connection:
        rows: list[Any] = connection.execute("SELECT id, money FROM attempts").fetchall()
        whole = _held(connection)
    found = dict(rows)
    told = {attempt: fate for buyer in buyers if buyer is not victim for attempt, fate in buyer.fates().items()}
    assert {attempt: found[attempt] for attempt in told} == told
    for attempt, fate in victim.fates().items():
        assert found[attempt] == fate or fate == "reserved"
    untold = found.keys() - told.keys() - victim.fates().keys()
    assert len(untold) <= LANES
    assert whole == PRICE * sum(money in _HELD for money in found.values())
    with Ledger(path) as ledger:
        assert not {"damaged", "sums", "job"} & {finding.kind for finding in ledger.verify().findings}


def _held(connection: Any) -> int:
    """Spent, unknown and reserved in the whole ledger."""
    found = connection.execute("SELECT spent + unknown + reserved FROM sums WHERE scope = 'total'").get
    return int(found or 0)


def _money(path: Path) -> Counter[str]:
    with closing(open_reading(path)) as connection:
        row = connection.execute("SELECT spent, unknown, reserved FROM sums WHERE scope = 'total'").fetchone()
    return Counter(dict(zip(_HELD, row or (0, 0, 0), strict=True)))
