"""The way in and the only way out: every error becomes one line, its remedy and its exit code."""

import errno
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NoReturn

import typer
from typer.exceptions import TyperException

from pipeline.cli.courtesy import bear_deaf_readers
from pipeline.cli.plain import DiscreetFormatter, plain
from pipeline.discretion import discreet
from pipeline.errors import ExitCode, FluxbatchError, ManifestError, StorageError, leading

#: What Typer returns for a command that Ctrl-C ended.
_TYPER_INTERRUPTED = 130
#: Typer's own options of these names take no word, and so cannot be told which shell is meant.
_COMPLETION = ("--show-completion", "--install-completion")
#: How the threads are called that blocking work is done in; after a loop's end only what was left alone is in one.
_WORKERS = "AnyIO worker thread"
#: Seconds in which an idle one surely ends.
_WORKER_ENDS_S = 0.5


def main(words: Sequence[str] | None = None) -> NoReturn:
    """Run the command that the words name, and exit with its code."""
    given = list(sys.argv[1:] if words is None else words)
    _open_missing_streams()
    bear_deaf_readers()
    if logging.lastResort is not None:  # the handler of whoever has none
        logging.lastResort.setFormatter(DiscreetFormatter())
    # Until a run listens by itself, a request to end is an interruption like Ctrl-C, and told as one.
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as ``nohup`` has it
            signal.signal(number, signal.default_int_handler)
    code = run_command(given, _commands)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _hush()
    except OSError as error:
        _hush()
        code = _fail(given, f"standard output cannot be written ({error.strerror})", ExitCode.STORAGE)
    if _left_alone():
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _left_alone() -> bool:
    """Whether something is still being read that somebody asked to stop: it buys nothing, and nobody waits for it."""
    workers = [thread for thread in threading.enumerate() if thread.name.startswith(_WORKERS)]
    for worker in workers:
        worker.join(_WORKER_ENDS_S)  # an idle one ends with its loop, but in its own time
    return any(worker.is_alive() for worker in workers)


def _open_missing_streams() -> None:
    """Give a process that was started without standard streams some that lead nowhere.

    Otherwise the next files opened, the ledger among them, would get their numbers.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8"))


def _commands() -> typer.Typer:
    from pipeline.cli.commands import app

    return app


def run_command(words: list[str], commands: Callable[[], typer.Typer]) -> int:
    """Run one command of a tree of commands; its exit code, whatever happens."""
    try:
        if words and words[0].partition("=")[0] in _COMPLETION:
            from pipeline.cli.completion import complete_for

            return complete_for(words)
        if "_FLUXBATCH_COMPLETE" in os.environ:
            from pipeline.cli.completion import rejoin

            rejoin(os.environ)
        # Outside its own standalone mode Typer returns what a command returns, and raises what it raises.
        result = typer.main.get_command(commands())(words, prog_name="fluxbatch", standalone_mode=False)
        if result == _TYPER_INTERRUPTED:
            raise KeyboardInterrupt
        return int(result) if isinstance(result, int) else int(ExitCode.OK)
    except (Exception, KeyboardInterrupt, SystemExit, BaseExceptionGroup) as error:  # noqa: BLE001 - no traceback unasked, whatever it is
        return _answer(words, error)


def _answer(words: list[str], error: BaseException) -> int:
    """Tell what went wrong; the exit code."""
    match error:
        case BaseExceptionGroup():
            return _answer(words, leading(error))
        case TyperException():
            return _misused(words, error.format_message().rstrip("."))
        case typer.Abort() | KeyboardInterrupt():
            return _fail(words, "interrupted", ExitCode.TEMPORARY)
        case BrokenPipeError() | SystemExit():  # Typer and Rich make the former the latter
            # Whoever read our output has gone; there is nobody left to tell. But a run is not known to have ended well.
            _hush()
            return int(ExitCode.TEMPORARY if words[:1] == ["run"] else ExitCode.OK)
        case OSError(errno=errno.ENOSPC | errno.EIO | errno.EDQUOT):
            _hush()
            return _report(words, StorageError(f"standard output cannot be written ({error.strerror})"))
        case _:
            return _report(words, error)


def _hush() -> None:
    """Let what is still to be written go nowhere, so that the interpreter can close standard output in peace."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _misused(words: list[str], message: str) -> int:
    if message.startswith("Usage:"):  # no words at all: the help is the answer
        return _fail(words, message, ExitCode.USAGE, prefix="")
    return _fail(words, message, ExitCode.USAGE, remedy="see fluxbatch --help")


def _report(words: list[str], error: BaseException) -> int:
    if "--debug" in words:
        sys.stderr.write(plain(discreet("".join(traceback.format_exception(error)))))
    match error:
        case ManifestError():
            count = len(error.problems)
            told = f"{error}\n{count} problem{'s' if count != 1 else ''}; nothing was bought"
            return _fail(words, told, error.exit_code, prefix="")
        case FluxbatchError():
            return _fail(words, error.message, error.exit_code, remedy=error.remedy)
        case _:
            what = discreet(f"a bug in fluxbatch: {type(error).__name__}: {error}")
            return _fail(words, what, ExitCode.BUG, remedy="run it again with --debug and report what it prints")


def _fail(words: list[str], message: str, code: ExitCode, *, remedy: str = "", prefix: str = "fluxbatch: ") -> int:
    if _logs_events(words):
        from pipeline.clock import SystemClock
        from pipeline.report.events import EventName, JsonLog

        facts = {"message": message, "remedy": remedy, "exit_code": int(code)}
        JsonLog(sys.stderr, SystemClock()).log(EventName.COMMAND_FAILED, facts)
    else:
        sys.stderr.write(f"{prefix}{plain(message)}\n")
        if remedy:
            sys.stderr.write(f"  -> {plain(remedy)}\n")
    if "--json" in words:
        from pipeline.report import to_json

        sys.stdout.write(to_json({"error": message, "remedy": remedy, "exit_code": int(code)}) + "\n")
    return int(code)


def _logs_events(words: list[str]) -> bool:
    """Whether the words ask for standard error as events, whatever else is wrong with them."""
    return "--log-format=json" in words or ("--log-format", "json") in pairwise(words)
