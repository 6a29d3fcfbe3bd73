"""Every way a whole run can end badly, each with its exit code. One failed job is data; these are for a broken run.

    FluxbatchError                     70  our bug, when nothing below fits
    ├── UsageError                     64  the command's words are off
    ├── ManifestError                  65  the manifest has problems (all of them listed)
    ├── NotFoundError                  66  a named file is not there, or cannot be read
    ├── ProviderUnavailableError       69  the provider answers nobody
    ├── OutputError                    73  a file or folder cannot be made
    ├── StorageError                   74  the disk is full or fails, the ledger cannot be read or written
    │   └── LedgerCorruptError         74  the ledger's file is damaged or not a ledger
    ├── LedgerBusyError                75  another run holds the ledger
    ├── DeclinedError                  75  a person was asked whether to spend, and said no
    ├── StoppedError                   75  somebody asked to stop before anything was bought
    ├── AccountError                   77  the provider refuses the account
    │   ├── KeyRefusedError            77  the key is refused
    │   └── NoBalanceError             77  the account has no money left
    └── ConfigurationError             78  a setting is missing or wrong: no key, a bad base URL

The codes are those of ``sysexits.h`` where it has one; 0, 3, 4 and 5 are outcomes, not errors (see ``ExitCode``).
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """What the command ends with; automation depends on each number.

    Attributes:
        OK: All there.
        SOME_FAILED: Some jobs failed; nothing was billed for them.
        BUDGET: Stopped by a budget.
        MONEY_UNCLEAR: Money is unknown, or paid and lost: a person must look.
        USAGE: The command's words are off.
        MANIFEST: The manifest has problems.
        NOT_FOUND: No such file.
        UNAVAILABLE: The provider cannot be reached, or serves nobody.
        BUG: A bug in fluxbatch.
        CANNOT_CREATE: A file or folder cannot be made.
        STORAGE: The disk is full or fails, or the ledger is damaged.
        TEMPORARY: Another run holds the ledger, or stopped by a signal with work left.
        ACCOUNT: The key is refused, or the account is empty.
        CONFIGURATION: A setting is missing or wrong, such as the key.
    """

    OK = 0
    SOME_FAILED = 3
    BUDGET = 4
    MONEY_UNCLEAR = 5
    USAGE = 64
    MANIFEST = 65
    NOT_FOUND = 66
    UNAVAILABLE = 69
    BUG = 70
    CANNOT_CREATE = 73
    STORAGE = 74
    TEMPORARY = 75
    ACCOUNT = 77
    CONFIGURATION = 78


#: When several apply, the one that comes first here. The contract's order, with the two that may also end a run that
#: has bought already (a folder that cannot be made, a host that downloads may not reach) after the money.
SERIOUSNESS = (
    ExitCode.BUG,
    ExitCode.STORAGE,
    ExitCode.ACCOUNT,
    ExitCode.UNAVAILABLE,
    ExitCode.MONEY_UNCLEAR,
    ExitCode.CANNOT_CREATE,
    ExitCode.CONFIGURATION,
    ExitCode.BUDGET,
    ExitCode.TEMPORARY,
    ExitCode.SOME_FAILED,
    ExitCode.OK,
)


def most_serious(codes: Iterable[ExitCode]) -> ExitCode:
    """The code to end with when several apply; OK when there is none."""
    found = set(codes)
    unranked = found - set(SERIOUSNESS)
    if unranked:
        return max(unranked)
    return next((code for code in SERIOUSNESS if code in found), ExitCode.OK)


class FluxbatchError(Exception):
    """The root. ``str()`` is one line with what is wrong; ``remedy`` says what to do about it."""

    exit_code: ClassVar[ExitCode] = ExitCode.BUG

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}; {self.remedy}" if self.remedy else self.message


class UsageError(FluxbatchError):
    """The command's words are off."""

    exit_code = ExitCode.USAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing wrong with a manifest: ``file:line:column: key.path: message (hint)``."""

    file: str
    line: int
    column: int
    path: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}"
        where = f" {self.path}:" if self.path else ""
        return f"{place}:{where} {self.message}" + (f" ({self.hint})" if self.hint else "")


class ManifestError(FluxbatchError):
    """A manifest with problems. ``problems`` holds all of them, in the order of the file."""

    exit_code = ExitCode.MANIFEST

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.file, problem.line, problem.column)))
        super().__init__("\n".join(map(str, self.problems)))


class NotFoundError(FluxbatchError):
    """A named file or folder is not there, or cannot be read."""

    exit_code = ExitCode.NOT_FOUND

    def __init__(self, path: object, reason: str = "no such file", *, remedy: str = "") -> None:
        super().__init__(f"{path}: {reason}", remedy=remedy)
        self.path = path


class ProviderUnavailableError(FluxbatchError):
    """The provider answers nobody: no connection, or nothing but overload."""

    exit_code = ExitCode.UNAVAILABLE


class OutputError(FluxbatchError):
    """A file or folder cannot be made where it was asked for."""

    exit_code = ExitCode.CANNOT_CREATE


class StorageError(FluxbatchError):
    """The disk is full or fails."""

    exit_code = ExitCode.STORAGE


class LedgerCorruptError(StorageError):
    """The ledger's file is damaged, not a ledger, or of a newer version."""


class LedgerBusyError(FluxbatchError):
    """Another run holds the ledger."""

    exit_code = ExitCode.TEMPORARY


class DeclinedError(FluxbatchError):
    """A person was asked whether to spend, and said no."""

    exit_code = ExitCode.TEMPORARY


class StoppedError(FluxbatchError):
    """Somebody asked to stop before anything was bought."""

    exit_code = ExitCode.TEMPORARY


class AccountError(FluxbatchError):
    """The provider refuses the account."""

    exit_code = ExitCode.ACCOUNT


class KeyRefusedError(AccountError):
    """The provider refuses the key."""


class NoBalanceError(AccountError):
    """The account has no money left."""


class ConfigurationError(FluxbatchError):
    """A setting is missing or wrong."""

    exit_code = ExitCode.CONFIGURATION


def leading(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that matters of several that came at once: one of ours before a bug's."""
    ours, others = group.split(FluxbatchError)
    found: BaseException = ours or others or group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found


@contextmanager
def one_of_several() -> Iterator[None]:
    """Around a task group: what its tasks ended with is raised as the one error that matters."""
    try:
        yield
    except ExceptionGroup as several:  # a task group's, whatever it holds; all of it stays the cause
        raise leading(several) from several
