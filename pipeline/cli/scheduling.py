"""``fluxbatch cron``: shows, installs and removes what runs a manifest by itself."""

import os
import shlex
import sys
from pathlib import Path

from pipeline.errors import ConfigurationError, ExitCode, NotFoundError, OutputError
from pipeline.ledger import Address
from pipeline.manifest import load_manifest
from pipeline.runner import check_sellers
from pipeline.runner.keyfile import environment_of
from pipeline.schedule import Crontab, Entry, Units, cron_line, default_env_file, units_of

_TEMPLATE = """# What fluxbatch finds in its environment when it runs by itself; NAME=value, one a line.
# FLUXBATCH_API_KEY=
"""


def entry_of(
    manifest: Path, *, at: str, output: Path, ledger: Address | None, env_file: Path | None, timeout_s: int, wait_s: int
) -> Entry:
    """What is to be run, with absolute paths.

    Raises:
        UsageError: ``at`` is no schedule.
    """
    return Entry(
        manifest=_absolute(manifest),
        output=_absolute(output),
        ledger=_absolute(ledger) if isinstance(ledger, Path) else ledger,
        env_file=_absolute(env_file or default_env_file(os.environ)),
        at=at,
        timeout_s=timeout_s,
        wait_s=wait_s,
    )


def show(entry: Entry, *, systemd: bool) -> int:
    """Print what ``install`` would write, and where; writes nothing."""
    load_manifest(entry.manifest)
    if not systemd:
        sys.stdout.write(cron_line(entry) + "\n")
        return int(ExitCode.OK)
    units = units_of(entry, os.environ)
    for name, text in units.files.items():
        sys.stdout.write(f"# {units.folder / name}\n{text}\n")
    return int(ExitCode.OK)


def install(entry: Entry, *, systemd: bool) -> int:
    """Write it, once the manifest could be run: a job that fails every night helps nobody.

    Raises:
        ManifestError: The manifest has problems.
        ConfigurationError: The environment file is not private or has no key; there is no cron.
        OutputError: A file cannot be written.
    """
    manifest = load_manifest(entry.manifest)
    _make_env_file(entry.env_file)
    # Only the file counts: what this shell has exported is not there at night.
    environment = environment_of(entry.env_file)
    try:
        check_sellers(manifest.profiles, environment)
    except ConfigurationError as error:
        raise ConfigurationError(
            f"as it would run by itself: {error.message}", remedy=f"write it into {entry.env_file}, then once more"
        ) from error
    if systemd:
        units = units_of(entry, os.environ)
        units.install()
        sys.stdout.write("".join(f"{units.folder / name}\n" for name in units.files))
        sys.stdout.write(f"-> systemctl --user daemon-reload && systemctl --user enable --now {units.timer}\n")
        return int(ExitCode.OK)
    sys.stdout.write(Crontab().install(entry) + "\n")
    sys.stdout.write(f"-> fluxbatch plan {shlex.quote(str(entry.manifest))}\n")
    return int(ExitCode.OK)


def remove(entry: Entry, *, systemd: bool) -> int:
    """Take it out again; the environment file and the logs stay.

    Raises:
        NotFoundError: There is none.
    """
    if systemd:
        return _remove_units(units_of(entry, os.environ), entry)
    if not Crontab().remove(entry):
        raise NotFoundError(
            entry.manifest,
            "has no line in the crontab",
            remedy="crontab -l shows what there is; a timer goes with --systemd",
        )
    sys.stdout.write(f"{entry.manifest}: no longer in the crontab\n")
    return int(ExitCode.OK)


def _remove_units(units: Units, entry: Entry) -> int:
    if not units.remove():
        raise NotFoundError(entry.manifest, f"has no units in {units.folder}", remedy="systemctl --user list-timers")
    sys.stdout.write("".join(f"{units.folder / name}: removed\n" for name in units.files))
    sys.stdout.write(f"-> systemctl --user disable --now {units.timer}; systemctl --user daemon-reload\n")
    return int(ExitCode.OK)


def _make_env_file(path: Path) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(path, "x", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(_TEMPLATE)
    except FileExistsError:
        return
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be made ({error.strerror})", remedy="name another with --env-file"
        ) from error


def _absolute(path: Path) -> Path:
    """From the root, without ``..``; links stay, because they may be moved on purpose."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links
