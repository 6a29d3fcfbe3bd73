"""What the fleet's page offers to run workers by: each file is what its reader takes, and each command is one."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from pipeline.cli.commands import app

FILES = Path(__file__).parents[2] / "docs" / "how-to" / "fleet"


def run(*words: str) -> str:
    ended = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


def parsed(words: list[str]) -> None:
    """Let the command's own parser take them; nothing is run."""
    command: Any = typer.main.get_command(app)
    for word in words[:2]:
        command = command.commands[word]
    command.make_context(words[1], words[2:])


def test_the_compose_file_is_one() -> None:
    run(
        sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(FILES / "compose.yaml")
    )
    worker = yaml.safe_load((FILES / "compose.yaml").read_text())["services"]["worker"]
    parsed(worker["command"])


def test_the_kubernetes_manifests_are_such() -> None:
    told = run(str(Path(sys.executable).parent / "kubernetes-validate"), "--strict", str(FILES / "kubernetes.yaml"))
    assert told.count("passed") == 3
    deployment, *_ = yaml.safe_load_all((FILES / "kubernetes.yaml").read_text())
    [worker] = deployment["spec"]["template"]["spec"]["containers"]
    parsed(worker["args"])


def test_the_unit_is_one(tmp_path: Path) -> None:
    text = (FILES / "fluxbatch-worker.service").read_text()
    found = re.search(r"^ExecStart=/usr/local/bin/fluxbatch (.*)$", text, re.MULTILINE)
    assert found is not None
    parsed(found[1].split())
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd here")
    unit = tmp_path / "fluxbatch-worker.service"
    unit.write_text(text.replace("/usr/local/bin/fluxbatch", "/bin/true"))
    assert run("systemd-analyze", "verify", str(unit)) == ""
