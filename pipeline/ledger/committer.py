"""The one writing connection to a file: a thread owns it, and everything that waits is committed together."""

import asyncio
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import apsw

from pipeline.errors import FluxbatchError
from pipeline.ledger.connection import Connection, open_writing, translate
from pipeline.ledger.handover import Handover, Step

#: How many waiting steps share one commit at most; a bound on what one failed commit takes with it.
MAX_GROUP = 256


class Committer(Handover):
    """Takes steps from an event loop, commits them in groups on its thread, and says so once they are durable."""

    def __init__(self, path: Path, *, give_way: Callable[[], bool]) -> None:
        """Name the ledger; nothing is opened yet.

        Args:
            path: The ledger's file.
            give_way: Asked on the thread when the disk is full: makes room, and says whether it could.
        """
        super().__init__(path)
        self.path = path
        self._give_way = give_way

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
