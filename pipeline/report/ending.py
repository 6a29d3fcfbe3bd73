"""How a command that ran manifests ended, each of them: also those that broke before they could count."""

from dataclasses import dataclass

from pipeline.errors import DeclinedError, ExitCode, FluxbatchError, leading
from pipeline.report.summary import Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How one manifest's run ended.

    Attributes:
        manifest: Its name, or its file's where it could not be read.
        path: Its file, as it was named.
        error: What broke it, in one line; "" where nothing did, or nobody need be told.
        summary: None where the run broke before it could count, or was not begun.
    """

    manifest: str
    path: str = ""
    exit_code: ExitCode
    error: str = ""
    summary: Summary | None = None


def code_of(error: BaseException) -> ExitCode:
    """What a command that was ended by an error ends with."""
    match error:
        case BaseExceptionGroup():
            return code_of(leading(error))
        case FluxbatchError():
            return error.exit_code
        case KeyboardInterrupt():
            return ExitCode.TEMPORARY
        case _:
            return ExitCode.BUG


def told_of(error: BaseException) -> str:
    """What somebody who was not there should be told of an error; "" for what a person at the keyboard wanted."""
    match error:
        case BaseExceptionGroup():
            return told_of(leading(error))
        case DeclinedError() | KeyboardInterrupt():
            return ""
        case FluxbatchError():
            return error.message
        case _:
            return f"a bug in fluxbatch: {type(error).__name__}"
