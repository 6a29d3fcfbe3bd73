"""``--show-completion`` and ``--install-completion``: for the shell that is named, or the one around the command."""

import subprocess
import sys
from collections.abc import Callable, MutableMapping, Sequence

from typer._completion_shared import Shells, _get_shell_name, get_completion_script, install

from pipeline.errors import ExitCode, OutputError, UsageError

_SHOW = "--show-completion"
_PROGRAM = "fluxbatch"
_VARIABLE = "_FLUXBATCH_COMPLETE"
_FROM_BASH = "complete_bash"


def rejoin(environment: MutableMapping[str, str]) -> None:
    """Put together what bash takes apart at ``=``: an option's value, which would be taken for a word of its own.

    Args:
        environment: What bash asks with, if it does; changed in place.
    """
    if environment.get(_VARIABLE) != _FROM_BASH:
        return
    words, current = environment.get("COMP_WORDS", "").split("\n"), int(environment.get("COMP_CWORD", "0"))
    for number in range(len(words) - 1, 0, -1):
        if words[number] != "=" or not words[number - 1].startswith("--"):
            continue
        if number == current:
            words[number] = "''"  # nothing of the value is there yet
        else:
            del words[number]
            current -= number < current
    environment["COMP_WORDS"], environment["COMP_CWORD"] = "\n".join(words), str(current)


def complete_for(words: Sequence[str], detect: Callable[[], str | None] = _get_shell_name) -> int:
    """Print a shell's script, or put it where that shell finds it.

    Args:
        words: One of the options, and the shell behind it or after its ``=``.
        detect: Finds the shell where none is named; None where there is none, as under cron.

    Raises:
        UsageError: Nobody can say which shell is meant, or there is no script for it.
        OutputError: The script cannot be put there.
    """
    option, _, joined = words[0].partition("=")
    named = [*([joined] if joined else []), *words[1:]]
    if len(named) > 1:
        raise UsageError(f"{option} takes one shell", remedy=f"{_PROGRAM} {option} {named[0]}")
    shell = _known(option, named[0] if named else detect())
    if option == _SHOW:
        sys.stdout.write(get_completion_script(prog_name=_PROGRAM, complete_var=_VARIABLE, shell=shell) + "\n")
        return int(ExitCode.OK)
    try:
        _, path = install(shell=shell, prog_name=_PROGRAM, complete_var=_VARIABLE)
    except (OSError, subprocess.CalledProcessError) as exc:
        raise OutputError(
            f"the completion for {shell} cannot be installed ({exc})",
            remedy=f"{_PROGRAM} {_SHOW} {shell} prints it, to be put there by hand",
        ) from exc
    sys.stdout.write(f"{path}: completion for {shell}, from its next start on\n")
    return int(ExitCode.OK)


def _known(option: str, shell: str | None) -> str:
    remedy = f"name one: {_PROGRAM} {option} bash (or {', '.join(list(Shells)[1:])})"
    if shell is None:
        raise UsageError("which shell is meant? This process was started from none", remedy=remedy)
    if shell not in list(Shells):
        raise UsageError(f"there is no completion for the shell {shell!r}", remedy=remedy)
    return shell
