"""How a command that ran manifests ended, each of them: also those that broke before they could count."""

from dataclasses import dataclass

from pipeline.errors import ExitCode, FluxbatchError, leading
from pipeline.report.summary import Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How one manifest's run ended.

    Attributes:
        manifest: Its name, or its file's where it could not be read.
        summary: None where the run broke before it could count, or was not begun.
    """

    manifest: str
    exit_code: ExitCode
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
