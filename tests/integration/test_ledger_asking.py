"""A run is asked to stop only where its file proves whose it is, and that it lives."""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pipeline.ledger.runfile import ask_to_stop, folder_of


@contextmanager
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "import time; print(flush=True); time.sleep(600)"], stdout=-1)
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def run_file(ledger: Path, said: Any, *, locked: bool = True) -> Iterator[None]:
    file = folder_of(ledger) / "run-1"
    file.parent.mkdir(exist_ok=True)
    file.write_text((said if isinstance(said, str) else json.dumps(said)) + "\n")
    with file.open("r+") as handle:
        if locked:
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def test_a_run_that_is_on_gets_one_sigterm(tmp_path: Path) -> None:
    with sleeper() as process:
        with run_file(tmp_path / "ledger.db", {"pid": process.pid, "host": socket.gethostname()}):
            assert ask_to_stop(tmp_path / "ledger.db", "run-1")
        assert process.wait(60) == -signal.SIGTERM


@pytest.mark.parametrize("why", ["dead", "elsewhere", "no file"])
def test_nobody_is_sent_a_signal_otherwise(tmp_path: Path, why: str) -> None:
    with sleeper() as process:
        said = {"pid": process.pid, "host": "elsewhere" if why == "elsewhere" else socket.gethostname()}
        with run_file(tmp_path / "ledger.db", said, locked=why != "dead"):
            assert not ask_to_stop(tmp_path / "ledger.db", "run-2" if why == "no file" else "run-1")
        assert process.poll() is None


@pytest.mark.parametrize(
    "said", ["", "no JSON", "[]", {"pid": 1}, {"pid": -1}, {"pid": 0}, {"pid": "7"}, {"pid": True}]
)
def test_a_signature_that_says_nothing_is_left_alone(tmp_path: Path, said: Any) -> None:
    if isinstance(said, dict):
        said |= {"host": socket.gethostname()}
    with run_file(tmp_path / "ledger.db", said):
        assert not ask_to_stop(tmp_path / "ledger.db", "run-1")


def test_a_file_of_another_users_is_left_alone(tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can give a file away")
    with sleeper() as process:
        with run_file(tmp_path / "ledger.db", {"pid": process.pid, "host": socket.gethostname()}):
            os.chown(folder_of(tmp_path / "ledger.db") / "run-1", 12345, 12345)
            assert not ask_to_stop(tmp_path / "ledger.db", "run-1")
        assert process.poll() is None
