"""A manifest that runs by itself: what is installed does run, in surroundings as bare as cron's."""

import json
import os
from pathlib import Path

import anyio
import pytest

from pipeline.simulator import Simulator
from tests.acceptance.stage import PATIENCE_S, Workspace, assert_told
from tests.integration.test_schedule_crontab import FAKE_CRONTAB


@pytest.fixture
def table(workspace: Workspace) -> Path:
    """The table of a crontab that the workspace's commands find."""
    folder = workspace.root / "bin"
    folder.mkdir()
    (folder / "crontab").write_text(FAKE_CRONTAB, encoding="utf-8")
    (folder / "crontab").chmod(0o755)
    workspace.environment["PATH"] = f"{folder}:{os.environ['PATH']}"
    workspace.environment["XDG_CONFIG_HOME"] = str(workspace.root / "config")
    return folder / "table"


def env_file(workspace: Workspace, *lines: str) -> Path:
    path = workspace.root / "config" / "fluxbatch" / "env"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    path.chmod(0o600)
    return path


async def by_cron(command: str) -> tuple[int | None, bytes, bytes]:
    """As cron runs it: its own shell, home and path, and nothing else."""
    with anyio.fail_after(PATIENCE_S):
        bare = {"HOME": "/", "PATH": "/usr/bin:/bin", "SHELL": "/bin/sh", "LOGNAME": "ann"}
        bare |= {name: value for name, value in os.environ.items() if name.startswith(("COVERAGE", "COV_", "PYTHON"))}
        ended = await anyio.run_process(["/bin/sh", "-c", command], env=bare, cwd="/", check=False)
    return ended.returncode, ended.stdout, ended.stderr


async def test_what_is_installed_runs_silently_and_is_heard_when_there_is_news(
    workspace: Workspace, simulator: Simulator, table: Path
) -> None:
    base_url = f"FLUXBATCH_BASE_URL={simulator.base_url}"
    env_file(workspace, base_url, "FLUXBATCH_API_KEY=sk-canary-0123456789")
    workspace.environment.pop("FLUXBATCH_API_KEY")
    manifest = workspace.manifest("One")
    installed = await workspace.fluxbatch("cron", "install", manifest, "--at", "30 4 * * *")
    assert installed.code == 0, installed.err
    line = await anyio.Path(table).read_text(encoding="utf-8")
    assert line.startswith("30 4 * * * ")
    assert "canary" not in line
    command = line.split(" ", 5)[5]
    assert await by_cron(command) == (0, b"", b"")
    assert workspace.states() == {"stored": 1}
    workspace.manifest("One", "Bad [fault:invalid]")
    code, _, told = await by_cron(command)
    assert code == 3
    assert b"1 failed" in told
    assert await by_cron(command) == (3, b"", b"")
    log = (workspace.output / "logs" / "batch.log").read_text(encoding="utf-8")
    ends = [event for event in map(json.loads, log.splitlines()) if event["event"] == "run_ended"]
    assert [event["exit_code"] for event in ends] == [0, 3, 3]
    assert "canary" not in log
    assert (await workspace.fluxbatch("cron", "remove", manifest)).code == 0
    assert await anyio.Path(table).read_text(encoding="utf-8") == ""
    assert_told(await workspace.fluxbatch("cron", "remove", manifest), 66, "has no line in the crontab")


async def test_a_job_that_would_fail_every_night_is_not_installed(workspace: Workspace, table: Path) -> None:
    manifest = workspace.manifest("One")
    workspace.environment["FLUXBATCH_API_KEY"] = "only-in-this-shell"
    refused = await workspace.fluxbatch("cron", "install", manifest)
    made = workspace.root / "config" / "fluxbatch" / "env"
    assert_told(refused, 78, "FLUXBATCH_API_KEY is not set", str(made))
    assert made.stat().st_mode & 0o777 == 0o600
    env_file(workspace, "FLUXBATCH_API_KEY=sk-1").chmod(0o644)
    assert_told(await workspace.fluxbatch("cron", "install", manifest), 78, f"chmod 600 {made}")
    env_file(workspace, "what is this")
    assert_told(await workspace.fluxbatch("cron", "install", manifest), 78, "line 1", "write NAME=value")
    assert "table" not in {file.name for file in (workspace.root / "bin").iterdir()}
    assert_told(await workspace.fluxbatch("cron", "install", manifest, "--at", "tonight"), 64, "no schedule")


async def test_show_writes_nothing(workspace: Workspace, table: Path) -> None:
    shown = await workspace.fluxbatch("cron", "show", workspace.manifest("One"), "--time-out", "600", "--wait", "5")
    assert (shown.code, shown.out.count("\n")) == (0, 1)
    assert " 600 " in shown.out
    units = await workspace.fluxbatch("cron", "show", "batch.yaml", "--systemd")
    assert "[Timer]" in units.out
    assert {file.name for file in workspace.root.iterdir()} == {"batch.yaml", "bin"}


async def test_units_are_installed_as_files_with_the_next_command(workspace: Workspace, table: Path) -> None:
    env_file(workspace)
    manifest = workspace.manifest("One", provider="simulator")
    installed = await workspace.fluxbatch("cron", "install", manifest, "--systemd", "--ledger", "books.db")
    assert installed.code == 0, installed.err
    *files, then = installed.out.splitlines()
    assert [Path(file).suffix for file in files] == [".service", ".timer"]
    assert str(workspace.root / "books.db") in await anyio.Path(files[0]).read_text(encoding="utf-8")
    assert then.endswith(f"enable --now {Path(files[1]).name}")
    assert (await workspace.fluxbatch("cron", "remove", manifest, "--systemd")).code == 0
    assert (await workspace.fluxbatch("cron", "remove", manifest, "--systemd")).code == 66


async def test_an_environment_file_of_a_run_must_be_private(workspace: Workspace, simulator: Simulator) -> None:
    workspace.environment.pop("FLUXBATCH_API_KEY")
    env_file(workspace, "FLUXBATCH_API_KEY=sk-1")
    words = ("--env-file", "config/fluxbatch/env", "--log-file", "run.log")
    assert (await workspace.run(workspace.manifest("One"), *words)).code == 0
    (workspace.root / "config" / "fluxbatch" / "env").chmod(0o640)
    refused = await workspace.run(workspace.manifest("One"), *words)
    assert refused.code == 78
    assert "chmod 600" in refused.json["remedy"]
