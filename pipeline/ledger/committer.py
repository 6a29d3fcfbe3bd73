"""The one writing connection: a thread owns it, and everything that waits is committed together."""

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, TypeVar

import apsw

from pipeline.errors import FluxbatchError, StorageError
from pipeline.ledger.connection import Connection, open_writing, translate

T = TypeVar("T")
Step = Callable[[Connection], Any]

#: How many waiting steps share one commit at most; a bound on what one failed commit takes with it.
MAX_GROUP = 256


class Committer:
    """Takes steps from an event loop, commits them in groups on its thread, and says so once they are durable."""

    def __init__(self, path: Path, *, give_way: Callable[[], bool]) -> None:
        """Name the ledger; nothing is opened yet.

        Args:
            give_way: Asked on the thread when the disk is full: makes room, and says whether it could.
        """
        self.path = path
        self._give_way = give_way
        self._steps: queue.SimpleQueue[tuple[Step, asyncio.Future[Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="ledger", daemon=True)
        self._closed = False
        self._last = False  # the thread's own: it has seen the end of the steps
        self._ill: FluxbatchError | None = None  # the thread's own: what the disk has, once it was full or failed
        self._opened: asyncio.Future[None]
        self._loop: asyncio.AbstractEventLoop

    async def open(self) -> None:
        """Start the thread, and wait until it has opened the ledger.

        Raises:
            FluxbatchError: As ``connection.open_writing``.
        """
        self._loop = asyncio.get_running_loop()
        self._opened = self._loop.create_future()
        self._thread.start()
        try:
            await self._opened
        except BaseException:  # closed or undone, whatever it is, and raised again
            self._steps.put(None)  # cancelled, or not opened: either way nobody will come to close it
            raise

    def close(self) -> None:
        """Commit what waits, and end the thread."""
        self._closed = True
        self._steps.put(None)
        # Joined in place: the last commits take milliseconds, and a cancelled run must still see them through.
        self._thread.join()

    async def do(self, step: Callable[[Connection], T]) -> T:
        """Hand over a step, and wait until it is durable; what it returns."""
        if self._closed:
            raise FluxbatchError(f"{self.path}: a step came after the ledger was closed")
        future: asyncio.Future[T] = self._loop.create_future()
        self._steps.put((step, future))
        # Shielded: a step once handed over will be committed, and its outcome must not be lost to a cancellation.
        return await asyncio.shield(future)

    async def do_if_room(self, step: Callable[[Connection], T]) -> T:
        """The same for a step that leads to more buying: refused once the disk was full or failed.

        Raises:
            StorageError: It was.
        """

        def refusing(connection: Connection) -> T:
            if self._ill is not None:
                raise StorageError(self._ill.message, remedy=self._ill.remedy)
            return step(connection)

        return await self.do(refusing)

    def _work(self) -> None:
        try:
            connection = open_writing(self.path)
        except FluxbatchError as error:
            self._resolve([(self._opened, None, error)])
            return
        self._resolve([(self._opened, None, None)])
        with closing(connection):
            while group := self._next_group():
                self._resolve(self._commit(connection, group))

    def _next_group(self) -> list[tuple[Step, asyncio.Future[Any]]]:
        """Wait for a step and take what waits with it; empty once the last is done."""
        group: list[tuple[Step, asyncio.Future[Any]]] = []
        while not self._last and len(group) < MAX_GROUP and not (group and self._steps.empty()):
            entry = self._steps.get()
            if entry is None:
                self._last = True
            else:
                group.append(entry)
        return group

    def _commit(
        self, connection: Connection, group: list[tuple[Step, asyncio.Future[Any]]], *, again: bool = False
    ) -> list[tuple[asyncio.Future[Any], Any, BaseException | None]]:
        """Run a group of steps in one transaction; one step's failure undoes that step only.

        What a disk refuses is tried once more, for it may be the URL of what is paid: with the room of the ballast
        where it is full, and where it fails by writing it all anew, as SQLite does after an undone transaction. Nothing
        is bought after that.
        """
        try:
            connection.execute("BEGIN IMMEDIATE")
            outcomes = self._together(connection, group)
            if outcomes is None:
                connection.execute("ROLLBACK")
                connection.execute("BEGIN IMMEDIATE")
                outcomes = [(future, *self._attempt(connection, step)) for step, future in group]
            connection.execute("COMMIT")
        except apsw.Error as error:
            with suppress(apsw.Error):  # a disk that fails may refuse this too; the next BEGIN then says so
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            if isinstance(error, apsw.FullError | apsw.IOError):
                self._ill = translate(error, self.path)
                # Once: a run's beginning takes its ballast anew each time, and could give it up for ever.
                if not again and (isinstance(error, apsw.IOError) or self._give_way()):
                    return self._commit(connection, group, again=True)
            return [(future, None, translate(error, self.path)) for _, future in group]
        return outcomes

    def _together(
        self, connection: Connection, group: list[tuple[Step, asyncio.Future[Any]]]
    ) -> list[tuple[asyncio.Future[Any], Any, BaseException | None]] | None:
        """Run a group's steps with nothing between them; None when one failed, and all must be undone.

        Hardly any ever fails, and a savepoint for each would cost two statements more.
        """
        try:
            return [(future, step(connection), None) for step, future in group]
        except apsw.ConstraintError:
            return None
        except apsw.Error:
            raise  # the file or the disk: the whole group fails
        except Exception:  # noqa: BLE001 - the step is run again by itself, and its failure told then
            return None

    def _attempt(self, connection: Connection, step: Step) -> tuple[Any, BaseException | None]:
        connection.execute("SAVEPOINT step")
        try:
            result = step(connection)
        except apsw.ConstraintError as error:
            refused: Exception = error
        except FluxbatchError as error:
            connection.execute("ROLLBACK TO step; RELEASE step")
            return None, error
        except apsw.Error:
            raise  # the file or the disk: the whole group fails
        except Exception as error:  # noqa: BLE001 - carried to whoever waits; the thread must outlive one step's bug
            refused = error
        else:
            connection.execute("RELEASE step")
            return result, None
        connection.execute("ROLLBACK TO step; RELEASE step")
        failure = FluxbatchError(f"{self.path}: a step was refused: {refused}")
        failure.__cause__ = refused
        return None, failure

    def _resolve(self, outcomes: Sequence[tuple[asyncio.Future[Any], Any, BaseException | None]]) -> None:
        def deliver() -> None:
            for future, result, error in outcomes:
                if future.cancelled():
                    continue
                if error is None:
                    future.set_result(result)
                else:
                    future.set_exception(error)

        self._loop.call_soon_threadsafe(deliver)
