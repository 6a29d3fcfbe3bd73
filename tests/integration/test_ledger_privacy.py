"""Who may read what a ledger's files hold: their owner, whatever the process would let others do."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.clock import SystemClock
from pipeline.ledger import Caps, LedgerWriter, hold


@pytest.fixture
def careless() -> Iterator[None]:
    """A process that keeps nothing from anybody."""
    before = os.umask(0)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    return {
        file.relative_to(folder).as_posix().rpartition("/")[0] or file.name: stat.S_IMODE(file.stat().st_mode)
        for file in folder.rglob("*")
        if file.is_file()
    }


@pytest.mark.usefixtures("careless")
async def test_a_ledger_and_all_that_stands_beside_it_are_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with hold(path, purpose="a test"):
        async with LedgerWriter(path, clock=SystemClock()) as ledger:
            await ledger.begin(manifest="m", edition="", provider="simulator", simulated=True, caps=Caps())
            found = modes(tmp_path)
    beside = {"ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.db.lock", "ledger.db.runs"}
    assert found == dict.fromkeys(beside, 0o600)


async def test_a_ledger_that_its_owner_opened_to_a_group_stays_open(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    async with LedgerWriter(path, clock=SystemClock()):
        pass
    path.chmod(0o660)
    async with LedgerWriter(path, clock=SystemClock()) as ledger:
        await ledger.begin(manifest="m", edition="", provider="simulator", simulated=True, caps=Caps())
        assert modes(tmp_path)["ledger.db-wal"] == 0o660
    assert modes(tmp_path)["ledger.db"] == 0o660
