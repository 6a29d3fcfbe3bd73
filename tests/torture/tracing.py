"""The system calls of one command, seen or tampered with: the only module that speaks to strace."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.acceptance.stage import PATIENCE_S, Ended, Workspace

#: What changes files, and is used for nothing else.
FILE_CALLS = (
    "pwrite64", "pwritev", "fsync", "fdatasync", "ftruncate", "fallocate", "link", "linkat", "rename", "renameat",
    "renameat2", "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir",
)  # fmt: skip
#: How often it is looked whether another process has come to a halt, in seconds.
_LOOK_S = 0.001

_LINE = re.compile(rb"(\d+) +(.*)")
_RESUMED = re.compile(rb"<\.\.\. \w+ resumed>(.*)")
_ENDED = re.compile(rb"(\w+)\((.*)\) += (\?|-?\d+|0x[0-9a-f]+)(.*)")
_UNFINISHED = b"<unfinished ...>"


@cache
def hindrance() -> str | None:
    """Why nothing can be traced here; None where it can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    words = ["strace", "-f", "-o", os.devnull, "-e", "trace=fsync", "true"]
    tried = subprocess.run(words, capture_output=True, text=True, check=False)
    return None if tried.returncode == 0 else f"nothing may be traced here: {tried.stderr.strip()[-200:]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One system call as it was seen.

    Attributes:
        arguments: As strace prints them; strings in hexadecimal where that was asked for.
        result: What it returned; None where the process died in it.
        injected: Whether it was tampered with.
        began: Its place in the order of all beginnings and ends.
        ended: The same of its end; None where the process died in it.
    """

    thread: int
    name: str
    arguments: bytes
    result: int | None
    injected: bool
    began: int
    ended: int | None


def read_log(log: bytes) -> list[Call]:
    """What strace wrote down, in the order of the beginnings."""
    calls: list[Call] = []
    begun: dict[int, tuple[int, bytes]] = {}
    for place, line in enumerate(log.splitlines()):
        found = _LINE.match(line)
        assert found is not None, line
        thread, text, began = int(found[1]), found[2], place
        if text.startswith((b"+++", b"---")):
            continue
        if resumed := _RESUMED.match(text):
            began, first = begun.pop(thread)
            text = first + resumed[1]
        if text.endswith(_UNFINISHED):
            begun[thread] = began, text.removesuffix(_UNFINISHED).rstrip()
        else:
            calls.append(_ended(thread, text, began, place))
    calls += [_cut_short(thread, text, began) for thread, (began, text) in begun.items()]
    return sorted(calls, key=lambda call: call.began)


def _ended(thread: int, text: bytes, began: int, place: int) -> Call:
    found = _ENDED.fullmatch(text)
    assert found is not None, text
    name, arguments, result, said = found.groups()
    if result == b"?":
        return _cut_short(thread, name + b"(" + arguments, began)
    return Call(
        thread=thread,
        name=name.decode(),
        arguments=arguments,
        result=int(result, 0),
        injected=b"(INJECTED)" in said,
        began=began,
        ended=place,
    )


def _cut_short(thread: int, text: bytes, began: int) -> Call:
    name, _, arguments = text.partition(b"(")
    return Call(
        thread=thread,
        name=name.decode(),
        arguments=arguments,
        result=None,
        injected=False,
        began=began,
        ended=None,
    )


async def traced(workspace: Workspace, *words: str, options: Sequence[str]) -> tuple[Ended, list[Call]]:
    """Run a command under strace, from its first step on; how it ended, and what strace saw.

    Args:
        options: strace's: what to trace, and what to inject; ``{pid}`` in them is the command's number.
    """
    log = workspace.root / "trace.log"
    watchers: list[subprocess.Popen[bytes]] = []

    def watch(pid: int) -> None:
        _until_in(pid, "State:\tT")
        told = [option.format(pid=pid) for option in options]
        command = ["strace", "-f", "-y", "-qqq", "-o", str(log), *told, "-p", str(pid)]
        watchers.append(subprocess.Popen(command, stderr=subprocess.PIPE))
        _until_in(pid, f"TracerPid:\t{watchers[0].pid}")
        os.kill(pid, signal.SIGCONT)

    try:
        ended = await workspace.fluxbatch(*words, on_start=watch, held=True)
    finally:
        said = [watcher.communicate(timeout=PATIENCE_S)[1] for watcher in watchers]
    assert said == [b""], said
    return ended, read_log(log.read_bytes())


def started(words: Sequence[str], folder: Path, *, options: Sequence[str]) -> tuple[int, list[Call]]:
    """Run a program of Python's from its start under strace, in a folder; its exit code, and what strace saw."""
    log = folder / "trace.log"
    command = ["strace", "-f", "-y", "-qqq", "-o", str(log), *options, sys.executable, "-B", *words]
    plain = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    ended = subprocess.run(command, cwd=folder, env=plain, capture_output=True, timeout=PATIENCE_S, check=False)
    assert b"Traceback" not in ended.stderr, ended.stderr.decode()
    return ended.returncode, read_log(log.read_bytes())


def _until_in(pid: int, words: str) -> None:
    """Wait for something to stand in what the kernel says of a process."""
    until = time.monotonic() + PATIENCE_S
    while words not in Path(f"/proc/{pid}/status").read_text():
        assert time.monotonic() < until, words
        time.sleep(_LOOK_S)
