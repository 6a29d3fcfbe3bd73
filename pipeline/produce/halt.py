"""The one decision to stop buying: who took it, why, and how whatever waits to buy is told."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import anyio

from pipeline.errors import ExitCode


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why buying stopped: the exit code it leads to and one line for people.

    Attributes:
        needs: What it takes to buy on, in words that a command follows; empty where that goes without saying.
    """

    code: ExitCode
    message: str
    needs: str = ""


class Halt:
    """Stops buying once, for any number of causes; what is paid goes on to be fetched and stored."""

    def __init__(self, on_cause: Callable[[Cause], None] | None = None) -> None:
        self._on_cause = on_cause
        self.causes: list[Cause] = []
        self._scopes: set[anyio.CancelScope] = set()

    @property
    def called(self) -> bool:
        """Whether buying has stopped."""
        return bool(self.causes)

    def call(self, code: ExitCode, message: str, *, needs: str = "") -> None:
        """Stop buying; the first cause of a kind is kept, later ones of the same kind say nothing new."""
        if all(cause.code != code for cause in self.causes):
            cause = Cause(code=code, message=message, needs=needs)
            self.causes.append(cause)
            if self._on_cause is not None:
                self._on_cause(cause)
        for scope in self._scopes:
            scope.cancel()

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Wait inside this for leave to buy: the wait ends at once when buying stops, without an error.

        Nothing that may cost money happens inside; look at ``called`` afterwards.
        """
        with anyio.CancelScope() as scope:
            if self.called:
                scope.cancel()
            self._scopes.add(scope)
            try:
                yield
            finally:
                self._scopes.discard(scope)
