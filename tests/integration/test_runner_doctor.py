"""What the doctor finds on a machine, against a provider with real sockets that must sell nothing."""

import socket
import time
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest

from pipeline.catalog import Profile, profiles
from pipeline.deliver import Disk
from pipeline.errors import ExitCode
from pipeline.runner.doctor import Check, Examination, examine, judge_sqlite
from pipeline.simulator import Simulator, SimulatorSettings

REAL = profiles()["apiyi"]
KEY = "sk-canary-0123456789"


@dataclass
class FakeClock:
    off_s: float = 0.0

    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time() + self.off_s

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("the doctor does not wait")


class FakeFullDisk(Disk):
    def free_bytes(self, folder: Path) -> int:
        return 50_000_000


async def examined(
    tmp_path: Path,
    base_url: str = "",
    *,
    profile: Profile = REAL,
    key: str = KEY,
    off_s: float = 0.0,
    output: str = "output",
    disk: Disk | None = None,
) -> Examination:
    environment = {"FLUXBATCH_API_KEY": key, "FLUXBATCH_BASE_URL": base_url}
    with anyio.fail_after(60):
        return await examine(
            [profile],
            output=tmp_path / output,
            ledger=tmp_path / output / "ledger.db",
            environment=environment,
            clock=FakeClock(off_s),
            disk=disk,
        )


def left_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def named(found: Examination, name: str, verdict: str = "trouble") -> Check:
    (check,) = [check for check in found.checks if check.name == name and check.verdict == verdict]
    return check


async def test_a_machine_that_is_ready_is_told_so_and_nothing_is_bought_or_left_behind(tmp_path: Path) -> None:
    async with Simulator(SimulatorSettings(keys=frozenset({KEY}))) as simulator:
        found = await examined(tmp_path, simulator.base_url)
        assert (simulator.bill.requests, simulator.bill.charged_microusd) == (0, 0)
    assert [(check.name, check.verdict) for check in found.checks] == [
        (name, "ok") for name in ("key", "clock", "disk", "sqlite", "ledger", "network", "account")
    ]
    assert found.exit_code is ExitCode.OK
    assert left_in(tmp_path) == []
    assert KEY not in repr(found)


async def test_without_a_key_it_says_which_variable_and_asks_nobody(tmp_path: Path) -> None:
    async with Simulator(SimulatorSettings()) as simulator:
        found = await examined(tmp_path, simulator.base_url, key="")
    assert "FLUXBATCH_API_KEY is not set" in named(found, "key").message
    assert found.exit_code is ExitCode.CONFIGURATION
    assert "network" not in {check.name for check in found.checks}


async def test_a_key_that_is_refused_is_told_without_being_shown(tmp_path: Path) -> None:
    async with Simulator(SimulatorSettings(keys=frozenset({"sk-another-key"}))) as simulator:
        found = await examined(tmp_path, simulator.base_url)
    assert "refuses the key (401)" in named(found, "account").message
    assert found.exit_code is ExitCode.ACCOUNT
    assert KEY not in repr(found)


async def test_a_provider_that_cannot_be_reached_is_told_with_what_to_look_at(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    found = await examined(tmp_path, f"http://127.0.0.1:{port}/v1")
    assert "cannot connect" in named(found, "network").message
    assert "firewall" in named(found, "network").remedy
    assert found.exit_code is ExitCode.UNAVAILABLE


@pytest.mark.parametrize(("off_s", "told"), [(600, "ahead of"), (-600, "behind")])
async def test_a_clock_that_differs_from_the_providers_is_told(tmp_path: Path, off_s: float, told: str) -> None:
    async with Simulator(SimulatorSettings()) as simulator:
        found = await examined(tmp_path, simulator.base_url, off_s=off_s)
    assert told in named(found, "clock").message
    assert found.exit_code is ExitCode.CONFIGURATION


async def test_a_clock_that_was_never_set_is_told(tmp_path: Path) -> None:
    found = await examined(tmp_path, profile=profiles()["simulator"], off_s=-time.time())
    assert "cannot be right" in named(found, "clock").message


async def test_a_full_disk_is_told_with_what_is_free(tmp_path: Path) -> None:
    found = await examined(tmp_path, profile=profiles()["simulator"], disk=FakeFullDisk())
    assert "only 50 MB are free" in named(found, "disk").message
    assert found.exit_code is ExitCode.STORAGE


async def test_a_place_that_cannot_hold_pictures_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = await examined(tmp_path, profile=profiles()["simulator"], output="file/output")
    assert "cannot be written (Not a directory)" in named(found, "disk").message
    assert found.exit_code is ExitCode.CANNOT_CREATE


async def test_a_damaged_ledger_is_told(tmp_path: Path) -> None:
    (tmp_path / "output").mkdir()
    (tmp_path / "output" / "ledger.db").write_bytes(b"not a ledger" * 1_000)
    found = await examined(tmp_path, profile=profiles()["simulator"])
    assert "not a ledger" in named(found, "ledger").message
    assert found.exit_code is ExitCode.STORAGE


async def test_a_base_url_in_the_clear_is_never_asked(tmp_path: Path) -> None:
    found = await examined(tmp_path, "http://provider.example/v1")
    assert "in the clear" in named(found, "network").message


@pytest.mark.parametrize(
    ("version", "verdict"),
    [
        ("3.53.0", "ok"),
        ("3.51.3", "ok"),
        ("3.51.2", "trouble"),
        ("3.50.7", "ok"),
        ("3.50.6", "trouble"),
        ("3.44.6", "ok"),
        ("3.45.9", "trouble"),
        ("3.40.1", "trouble"),
    ],
)
def test_a_sqlite_that_can_corrupt_a_ledger_is_told(version: str, verdict: str) -> None:
    assert judge_sqlite(version).verdict == verdict
