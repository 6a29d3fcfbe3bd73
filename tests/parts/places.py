"""Where the parts are that nobody here wrote, and how one of them is kept running."""

import contextlib
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

_MADE = Path(__file__).parents[2] / ".parts"
#: No part takes this long to start, even on a busy machine.
_START_S = 120.0
_LOOK_EVERY_S = 0.1

#: Where the simulator stands that a part asks: another host than the parts', and nobody's source address.
UPSTREAM_HOST = "127.0.0.2"


def python() -> Path:
    """The interpreter of LiteLLM's environment; the test is skipped where it was not installed."""
    return _installed(_MADE / "litellm", "bin/python", "LiteLLM's proxy")


def node_modules() -> Path:
    """The folder of the Node packages; the test is skipped where they, or Node, were not installed."""
    if shutil.which("node") is None:
        pytest.skip("no node on this machine")
    return _installed(_MADE / "node", "node_modules", "the Node packages")


def _installed(folder: Path, name: str, what: str) -> Path:
    if not (folder / ".made-from").exists():
        pytest.skip(f"not installed here: {what}; `make parts` does that")
    return folder / name


def surroundings(**more: str) -> dict[str, str]:
    """What a part sees of the environment: nothing of the tests' own, and no way out of this machine."""
    return {"PATH": os.environ["PATH"], "NO_PROXY": "*", **more}


def free_port(host: str) -> int:
    """A port of that address that nobody listens at."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def kept_running(words: Sequence[str], *, folder: Path, environment: Mapping[str, str], healthy: str) -> Iterator[None]:
    """A server, from its first healthy answer on; it ends with the block, and what it says goes into ``said.log``."""
    said = folder / "said.log"
    with said.open("wb") as log:
        process = subprocess.Popen(
            words, cwd=folder, env=dict(environment), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            _await_health(process, healthy, said)
            yield
        finally:
            process.kill()
            process.wait()


def _await_health(process: "subprocess.Popen[bytes]", address: str, said: Path) -> None:
    deadline = time.monotonic() + _START_S
    while not _answers(address):
        assert process.poll() is None, said.read_text(errors="replace")[-4000:]
        assert time.monotonic() < deadline, said.read_text(errors="replace")[-4000:]
        time.sleep(_LOOK_EVERY_S)  # another process starts, and sends no event


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
