"""The processes that a run is divided over: started, heard, told to stop, and all of them ended before the run is."""

import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from pathlib import Path

import anyio
import anyio.to_thread

from pipeline.clock import Clock
from pipeline.errors import ExitCode
from pipeline.produce import Cause, Halt, Lesson
from pipeline.report.events import Notice
from pipeline.runner.count import Count
from pipeline.runner.options import RunOptions
from pipeline.runner.part import Part, together
from pipeline.runner.task import Done, Happened, Leave, Said, Task

#: What a new process runs; where this package is comes with it, and the working folder is not looked through.
_BEGIN = "import sys; sys.path.append(sys.argv[2]); from pipeline.runner.mate import main; main()"
_HOME = str(Path(__file__).parents[2])
#: Signals reach the run's own process, which tells the others; they hold them back from their first moment on.
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: How long processes that are to leave at once may take, in seconds, before they are killed.
LEAVING_S = 10.0


class _Member:
    """One process, as the run's own sees it."""

    def __init__(self, part: Part, process: "subprocess.Popen[bytes]", link: Connection) -> None:
        self.part = part
        self.process = process
        self.link = link
        self.count = Count()
        self.done: Done | None = None
        self.gone = False

    def tell(self, what: object) -> None:
        """Say something to it; one that is gone needs to know nothing."""
        with suppress(OSError):
            self.link.send(what)


class Team:
    """Buys and fetches for a run, in several processes on its ledger."""

    def __init__(
        self, task: Task, number: int, *, halt: Halt, options: RunOptions, keep: Sequence[int], clock: Clock
    ) -> None:
        """Say what is to be done; nothing is started yet.

        Args:
            number: The processes.
            halt: The run's: what one process stops for stops all.
            keep: Descriptors that each process inherits: the ledger is held, and the run lives, while any of them does.
        """
        self.fell = False  # a process died without having seen its part through
        self._task = task
        self._number = number
        self._halt = halt
        self._options = options
        self._keep = tuple(keep)
        self._clock = clock
        self._members: list[_Member] = []

    @property
    def count(self) -> Count:
        """How far all of them are."""
        counts = [member.count for member in self._members]
        whole = sum(counts[1:], counts[0]) if counts else Count()
        finished = len(counts) == self._number and all(count.finished for count in counts)
        return whole.finishing(finished=finished)

    @property
    def notes(self) -> tuple[str, ...]:
        """What people should know besides."""
        return tuple(note for member in self._members if member.done for note in member.done.notes)

    @property
    def unserved(self) -> tuple[Cause, ...]:
        """Why jobs were left as they were although buying went on."""
        return tuple(cause for member in self._members if member.done for cause in member.done.unserved)

    @property
    def lessons(self) -> Mapping[str, Mapping[str, Lesson]]:
        """By provider and model: what they found of the limits."""
        found = [member.done.lessons for member in self._members if member.done]
        names = dict.fromkeys(name for lessons in found for name in lessons)
        return {name: together([lessons.get(name, {}) for lessons in found]) for name in names}

    def tell(self, cause: Cause) -> None:
        """Stop buying in all of them."""
        for member in self._members:
            member.tell(cause)

    async def work(self) -> None:
        """See all parts through; when this is cancelled, the processes leave at once, and are gone when it returns."""
        try:
            for number in range(self._number):
                self._members.append(self._start(Part(number=number, of=self._number)))
            for cause in self._halt.causes:
                self.tell(cause)
            async with anyio.create_task_group() as group:
                for member in self._members:
                    group.start_soon(self._listen, member)
        finally:
            await self._end()

    def _start(self, part: Part) -> _Member:
        ours, theirs = Pipe()
        with theirs:
            held = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
            try:
                process = subprocess.Popen(  # noqa: S603 - our own interpreter
                    [sys.executable, "-P", "-c", _BEGIN, str(theirs.fileno()), _HOME],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(), *self._keep),
                )
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, held)
        member = _Member(part, process, ours)
        member.tell((self._task.divided(part), part))
        return member

    async def _listen(self, member: _Member) -> None:
        """Hear a process until it is gone."""
        while True:
            await anyio.wait_readable(member.link.fileno())
            try:
                said = member.link.recv()
            except (EOFError, OSError):
                break
            self._take(member, said)
        member.gone = True
        if member.done is None:
            await self._miss(member)

    def _take(self, member: _Member, said: object) -> None:
        match said:
            case Count():
                member.count = said
            case Cause():
                self._halt.call(said.code, said.message, needs=said.needs)
            case Said(text=text, event=None):
                self._options.notice(text)
            case Said(text=text, event=event, facts=facts) if event is not None:
                self._options.notice(Notice.of(event, text, **facts))
            case Happened(event=event, facts=facts):
                if self._options.log is not None:
                    self._options.log(event, facts)
            case Done(count=count):
                member.done, member.count = said, count

    async def _miss(self, member: _Member) -> None:
        """A process ended early: what it had under way is unknown, and the others stop, for its part stays undone."""
        self.fell = True
        code = await anyio.to_thread.run_sync(member.process.wait)
        if code < 0:
            told = f"a process of this run was killed ({signal.Signals(-code).name}); its part is left undone"
            self._halt.call(ExitCode.TEMPORARY, told)
        elif not self._halt.called:
            self._halt.call(ExitCode.BUG, f"a process of this run ended by itself (exit code {code})")

    async def _end(self) -> None:
        """Leave no process behind."""
        with anyio.CancelScope(shield=True):
            for member in self._members:
                if not member.gone:
                    member.tell(Leave())
                member.link.close()  # nothing holds up one that has much to say
            with anyio.move_on_after(LEAVING_S):
                for member in self._members:
                    while member.process.poll() is None:  # noqa: ASYNC110 - a process sends no event
                        await anyio.sleep(0.01)
            for member in self._members:
                if member.process.poll() is None:
                    member.process.kill()
                member.process.wait()
