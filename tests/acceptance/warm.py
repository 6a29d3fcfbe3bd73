"""The command without its start: a process that has everything imported, and forks itself into each command.

Half a second of a command is the interpreter's start, and there are hundreds of them here. Each is still a process of
its own, with its own folder, environment, files and exit code. What is about signals, kills and the real start uses
``Workspace.started`` instead.
"""

import ctypes
import gc
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import anyio

#: What a command loads when it is called.
_LOADED_LATE = (
    "coverage", "pipeline.cli.bookkeeping", "pipeline.cli.catalog", "pipeline.cli.checking", "pipeline.cli.commands",
    "pipeline.cli.planning", "pipeline.cli.reconciling", "pipeline.cli.running", "pipeline.cli.simulating",
    "pyarrow.parquet",
)  # fmt: skip
_LONGEST_REQUEST_BYTES = 200_000
#: Of ``prctl``: who may trace this process where only parents may (Yama).
_PR_SET_PTRACER = 0x59616D61


class Warm:
    """The near end: asks for one command at a time.

    Attributes:
        cpu_s: What the command that ended last took of a processor, in seconds, its start left out.
        peak_bytes: The most memory it had, what it shares with this process included.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.cpu_s = 0.0
        self.peak_bytes = 0

    async def run(
        self,
        words: Sequence[str],
        *,
        cwd: Path,
        environment: Mapping[str, str],
        files: Sequence[int],
        file_limit_bytes: int | None = None,
        on_start: Callable[[int], None] = lambda _: None,
        held: bool = False,
    ) -> int:
        """Run a command to its end, killed when cancelled; its exit code, or minus the signal that ended it.

        Args:
            files: The descriptors of its standard input, output and error.
            file_limit_bytes: It may let no file grow beyond that.
            on_start: Told the process's number.
            held: It stops before its first step, until it is sent SIGCONT, so that it can be traced from there on; its
                coverage is not measured, which would write files of its own.
        """
        asked = {
            "words": list(words),
            "cwd": str(cwd),
            "environment": dict(environment),
            "file_limit_bytes": file_limit_bytes,
            "held": held,
        }
        socket.send_fds(self._connection, [json.dumps(asked).encode()], files)
        pid = int(self._connection.recv(64))
        on_start(pid)
        try:
            await anyio.wait_readable(self._connection)
        except BaseException:
            os.kill(pid, 9)
            self._connection.recv(64)
            raise
        status, cpu_us, peak_kib = map(int, self._connection.recv(64).split())
        self.cpu_s, self.peak_bytes = cpu_us / 1e6, peak_kib << 10
        return os.waitstatus_to_exitcode(status)


@contextmanager
def warmed() -> Iterator[Warm]:
    """A process that is ready; it ends with the block."""
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    words = [sys.executable, "-m", "tests.acceptance.warm", str(far.fileno())]
    plain = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    with near, subprocess.Popen(words, pass_fds=[far.fileno()], cwd=Path(__file__).parents[2], env=plain):
        far.close()
        yield Warm(near)
        near.shutdown(socket.SHUT_RDWR)


def _serve(connection: socket.socket) -> None:
    """Fork for each request; answer with the child's process id, and at its end with its status."""
    for module in _LOADED_LATE:
        __import__(module)
    gc.freeze()  # or each child's collector would touch, and so copy, all that was loaded
    while True:
        request, files, _, _ = socket.recv_fds(connection, _LONGEST_REQUEST_BYTES, 3)
        if not request:
            return
        pid = os.fork()
        if pid == 0:
            connection.close()
            _become(json.loads(request), files)
        for file in files:
            os.close(file)
        connection.send(str(pid).encode())
        _, status, used = os.wait4(pid, 0)
        cpu_us = round((used.ru_utime + used.ru_stime) * 1e6)
        connection.send(f"{status} {cpu_us} {used.ru_maxrss}".encode())


def _become(asked: dict[str, Any], files: list[int]) -> NoReturn:
    """Be the command that was asked for, from its first line to its exit code."""
    code = 1
    try:
        for place, file in enumerate(files):
            os.dup2(file, place)
            os.close(file)
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", buffering=1)  # noqa: SIM115
        os.chdir(asked["cwd"])
        os.environ.clear()
        os.environ.update(asked["environment"])
        if asked["held"]:
            _hold()
        code = _measured(asked["words"], asked["file_limit_bytes"] or resource.RLIM_INFINITY, not asked["held"])
        sys.stdout.flush()
    except BaseException:  # noqa: BLE001 - nothing may leave the fork but through its exit code
        traceback.print_exc()
    finally:
        os._exit(code)


def _hold() -> None:
    """Stop until somebody says go on; whoever that is may trace from here."""
    ctypes.CDLL(None).prctl(_PR_SET_PTRACER, ctypes.c_ulong(-1), 0, 0, 0)  # of no account where nothing forbids it
    os.kill(os.getpid(), signal.SIGSTOP)


def _measured(words: list[str], file_limit_bytes: int, measured: bool) -> int:
    """The command's exit code; its coverage, where that is measured, is kept where the tests' own is."""
    import coverage

    from pipeline.cli import main

    if measured:
        coverage.process_startup()
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit_bytes, resource.RLIM_INFINITY))
        main(words)
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        measuring = coverage.Coverage.current()
        if measuring is not None:
            measuring.stop()
            measuring.save()


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
