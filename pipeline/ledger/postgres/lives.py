"""Whether a run on a server's ledger is on: by when the server last heard of it, and here by its process.

A row with a time, not a lock of its session: when a server restarts every session ends, and just then nobody must be
taken for dead. On one machine the process itself is looked for, so that what a kill left is known at once.
"""

import os
import signal
from contextlib import suppress
from functools import cache
from pathlib import Path

from pipeline.ledger import runfile
from pipeline.ledger.postgres.connection import Connection


@cache
def machine() -> str:
    """This boot of this machine, and the set of processes that can be seen here; "" where that cannot be told."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{os.stat('/proc/self/ns/pid').st_ino}"  # noqa: PTH116 - what the link leads to
    except OSError:
        return ""


def process() -> str:
    """This process, by its number and when it began."""
    return f"{os.getpid()}:{_fields(os.getpid())[19]}" if machine() else ""


def is_gone(was: str) -> bool:
    """Whether a process of this machine has ended; what cannot be seen is there."""
    number = int(was.partition(":")[0])
    try:
        fields = _fields(number)
    except FileNotFoundError:
        return not _answers(number)  # other people's processes may be hidden
    except OSError:
        return False
    return fields[0] in "ZX" or f"{number}:{fields[19]}" != was


def _fields(number: int) -> list[str]:
    """What the kernel says of a process, from its state on."""
    return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()


def _answers(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def pronounce_dead(connection: Connection) -> None:
    """Say of every writer whose process was on this machine, and is gone, that it is."""
    if not machine():
        return
    rows = connection.execute(
        "SELECT id, process FROM writers WHERE machine = ? AND seen_at > '-infinity'", (machine(),)
    ).fetchall()
    for writer, was in rows:
        if is_gone(was):
            connection.execute("UPDATE writers SET seen_at = '-infinity' WHERE id = ?", (writer,))


def is_on(connection: Connection, run_id: str) -> bool:
    """Whether that run is on."""
    found = connection.execute("SELECT machine, process FROM writers WHERE run = ? AND is_on(run)", (run_id,)).get
    if found is None:
        return False
    where, was = found
    return where != machine() or not where or not is_gone(was)


def holders(connection: Connection) -> list[str]:
    """Who is running on the ledger, a few words each, for people."""
    rows = connection.execute("SELECT run, signature FROM writers WHERE run IS NOT NULL ORDER BY run").fetchall()
    return [runfile.told(signature.encode()) for run, signature in rows if is_on(connection, run)]


def ask_to_stop(connection: Connection, run_id: str) -> bool:
    """Send SIGTERM to the process of a run that is on, if it is this user's and on this machine; whether it was."""
    if not machine() or not is_on(connection, run_id):
        return False
    where, was = connection.execute("SELECT machine, process FROM writers WHERE run = ?", (run_id,)).get or ("", "")
    if where != machine():
        return False
    with suppress(OSError, ValueError):
        os.kill(int(was.partition(":")[0]), signal.SIGTERM)
        return True
    return False


def signature(purpose: str) -> str:
    """Who this process is and what it is about, for people."""
    return runfile.signature(purpose).decode().strip()
