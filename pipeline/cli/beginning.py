"""``fluxbatch init``: a commented first manifest, where there is none yet."""

import shlex
import sys
from importlib.resources import files
from pathlib import Path

from pipeline.errors import ExitCode, OutputError


def write_first(path: Path) -> int:
    """Write the first manifest, and say what to do with it.

    Raises:
        OutputError: Something is there already, or it cannot be written.
    """
    text = files("pipeline.manifest").joinpath("first.yaml").read_text(encoding="utf-8")
    try:
        with path.open("x", encoding="utf-8") as file:  # never over what is there
            file.write(text.replace("FILE", shlex.quote(str(path))))
    except FileExistsError:
        raise OutputError(f"{path}: is there already", remedy="name another file, or look at this one") from None
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror})", remedy="name another place") from error
    sys.stdout.write(f"{path}: a first manifest; it buys make-believe pictures, without a key\n")
    sys.stdout.write(f"-> fluxbatch run {shlex.quote(str(path))}\n")
    return int(ExitCode.OK)
