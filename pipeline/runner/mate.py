"""One process of a run that is divided over several: it buys and fetches its part, and is told when to stop."""

import os
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

import anyio

from pipeline.clock import SystemClock
from pipeline.discretion import discreet
from pipeline.errors import ConfigurationError, ExitCode, FluxbatchError, leading
from pipeline.inputs import Store
from pipeline.inputs.darkroom import Darkroom
from pipeline.inputs.finder import Blindfold
from pipeline.ledger import LedgerWriter
from pipeline.manifest import load_manifest
from pipeline.produce import Cause, Halt
from pipeline.report.events import EventName, Notice
from pipeline.runner.keeping import open_store
from pipeline.runner.loop import run_loop
from pipeline.runner.part import Part
from pipeline.runner.planning import finder_of
from pipeline.runner.relay import Relay
from pipeline.runner.sellers import open_seller, reach_of
from pipeline.runner.shift import Shift, Tools
from pipeline.runner.task import Done, Happened, Leave, Said, Task
from pipeline.transport import DownloadTransport

#: How often a process says how far it is, in seconds.
TELL_EVERY_S = 0.2


class _Line:
    """The line to the run's own process; threads may say something, too."""

    def __init__(self, link: Connection) -> None:
        self._link = link
        self._lock = threading.RLock()

    def send(self, what: object) -> None:
        """Tell the run's own process, if it is still there."""
        with self._lock, suppress(OSError):
            self._link.send(what)

    def say(self, text: str) -> None:
        """Tell people a line."""
        self.send(Said(str(text), text.event, dict(text.facts)) if isinstance(text, Notice) else Said(text))

    def log(self, event: EventName, facts: Mapping[str, Any]) -> None:
        """Tell the log an event."""
        self.send(Happened(event, dict(facts)))


class _Mate:
    """One process at work, and its line to the run's own."""

    def __init__(self, link: Connection, line: _Line, task: Task, part: Part) -> None:
        self._link = link
        self._line = line
        self._task = task
        self._part = part

    async def work(self) -> None:
        task, clock = self._task, SystemClock()
        manifest = load_manifest(task.path, now=task.read_at)
        if manifest.sha256 != task.sha256:
            raise ConfigurationError(f"{task.path}: changed while its run began", remedy="run it again")
        line = self._line
        options = replace(task.options, notice=line.say, log=line.log if task.logs else None, told_cause=line.send)
        manifest = replace(manifest, profiles=tuple(contact.profile for contact in task.contacts))
        own_origin, allow_hosts = reach_of(task.contacts)
        async with AsyncExitStack() as stack:
            ledger = await stack.enter_async_context(LedgerWriter(options.ledger_path, clock=clock))
            ledger.join(task.run, task.handle)
            sellers = [await stack.enter_async_context(open_seller(contact, clock=clock)) for contact in task.contacts]
            downloads = DownloadTransport(own_origin=own_origin, allow_hosts=allow_hosts)
            await stack.enter_async_context(downloads)
            # Whoever does no edits need not even look at their inputs.
            finder = stack.enter_context(finder_of(manifest, options) if self._part.number == 0 else Blindfold())
            inputs = DownloadTransport(own_origin=None, allow_hosts=finder.allow_hosts)
            await stack.enter_async_context(inputs)
            store = await stack.enter_async_context(open_store(manifest.store, options.output))
            tools = Tools(
                ledger=ledger,
                run=task.run,
                sellers=tuple(sellers),
                downloads=downloads,
                clock=clock,
                finder=finder,
                darkroom=Darkroom(output=options.output, store=Store(options.output), transport=inputs),
                store=store,
            )
            await self._see_through(Shift(manifest, options, tools))

    async def _see_through(self, shift: Shift) -> None:
        with anyio.CancelScope() as leave_at_once:
            async with anyio.create_task_group() as group:
                group.start_soon(self._obey, shift.halt, leave_at_once)
                group.start_soon(self._tell, shift)
                try:
                    await shift.share(self._part)
                finally:
                    group.cancel_scope.cancel()
            done = Done(count=shift.count, notes=shift.notes, unserved=shift.causes, lessons=shift.learned)
            self._line.send(done)

    async def _obey(self, halt: Halt, leave_at_once: anyio.CancelScope) -> None:
        """Do as the run's own process says; without it, buy no more."""
        while True:
            await anyio.wait_readable(self._link.fileno())
            try:
                told = self._link.recv()
            except (EOFError, OSError):
                halt.call(ExitCode.TEMPORARY, "the process that began the run is gone")
                return
            match told:
                case Cause():
                    halt.call(told.code, told.message, needs=told.needs)
                case Leave():
                    leave_at_once.cancel()

    async def _tell(self, shift: Shift) -> None:
        while True:
            self._line.send(shift.count)
            await anyio.sleep(TELL_EVERY_S)


def _cause(error: BaseException, secrets: Sequence[str]) -> Cause:
    """What broke this process, as the run's own is told: a bug's words may repeat a key."""
    match error:
        case BaseExceptionGroup():
            return _cause(leading(error), secrets)
        case FluxbatchError():
            return Cause(code=error.exit_code, message=str(error))
        case _:
            what = discreet(f"a bug in fluxbatch: {type(error).__name__}: {error}", secrets)
            return Cause(code=ExitCode.BUG, message=f"{what} (run it again with --debug and report what it prints)")


def main() -> None:
    """Be a process of a run; the first argument names the line to its own. What breaks it stops the whole run."""
    with Connection(int(sys.argv[1])) as link:
        line = _Line(link)
        sys.stderr = Relay(line.say)
        try:
            task, part = link.recv()
        except (EOFError, OSError):
            return
        secrets = [key for contact in task.contacts if (key := contact.endpoint.api_key)]
        sys.stderr = Relay(line.say, secrets=secrets)
        try:
            run_loop(_Mate(link, line, task, part).work)
        except BaseException as error:  # noqa: BLE001 - no traceback unasked, whatever it is
            cause = _cause(error, secrets)
            if task.options.debug and cause.code is ExitCode.BUG:
                traceback.print_exception(error, file=sys.stderr)
            line.send(cause)
    os._exit(0)  # a thread that still reads rows is not waited for: all that counts is in the ledger
