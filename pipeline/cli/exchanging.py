"""``fluxbatch import`` and ``fluxbatch export``: what was written, and what to do with it."""

import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from pipeline.cli.plain import plain
from pipeline.errors import ExitCode, OutputError
from pipeline.exchange import Wanted, export_batch
from pipeline.manifest import Manifest, load_manifest


def imported(make: Callable[[Wanted], Manifest], wanted: Wanted) -> int:
    """Import a list, and say what came of it."""
    manifest = make(wanted)
    path = plain(str(wanted.manifest))
    sys.stdout.write(f"{path}: {manifest.count():,} jobs; a run asks {plain(manifest.profile.title)} for them\n")
    sys.stdout.write(f"-> fluxbatch plan {plain(shlex.quote(str(wanted.manifest)))}\n")
    return int(ExitCode.OK)


def write_batch(path: Path, to: Path | None, *, force: bool, limit: int | None) -> int:
    """Write a manifest's jobs as a batch.

    Raises:
        OutputError: Something is there already, or it cannot be written.
    """
    manifest = load_manifest(path)
    lines = export_batch(manifest, limit=limit)
    if to is None:
        sys.stdout.writelines(lines)
        return int(ExitCode.OK)
    if to.exists() and any(to.samefile(source) for source in (path, *manifest.rows_files)):
        raise OutputError(f"{to}: is what is exported", remedy="name another with --to")
    part = to.with_name(f".{to.name}.part")
    if to.exists() and not force:
        raise OutputError(f"{to}: is there already", remedy="name another with --to, or replace it: --force")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.writelines(lines)
        part.replace(to)
    except OSError as error:
        raise OutputError(f"{to}: cannot be written ({error.strerror})", remedy="name another with --to") from error
    finally:
        part.unlink(missing_ok=True)
    sys.stdout.write(f"{plain(str(to))}: written\n")
    return int(ExitCode.OK)
