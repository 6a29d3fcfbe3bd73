"""The commands of ``fluxbatch cron``, as words."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.options import Debug, LedgerFile, ManifestFile, Output, ledger_path

At = Annotated[str, typer.Option(metavar="WHEN", help="Minute, hour, day, month, weekday, as cron has them.")]
EnvFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="A private file with the key; ~/.config/fluxbatch/env if not given.")
]
Systemd = Annotated[bool, typer.Option("--systemd", help="A systemd service and timer instead of a crontab line.")]
TimeOut = Annotated[
    int, typer.Option("--time-out", min=60, max=604_800, metavar="SECONDS", help="When a run is asked to stop.")
]
Wait = Annotated[
    int, typer.Option(min=0, max=604_800, metavar="SECONDS", help="How long it waits for a ledger another run holds.")
]

cron_app = typer.Typer(help="Let a manifest run by itself: a crontab line, or a systemd timer.", no_args_is_help=True)


@cron_app.command()
def show(
    manifest: ManifestFile,
    at: At = "0 2 * * *",
    output: Output = Path("output"),
    ledger: LedgerFile = None,
    env_file: EnvFile = None,
    time_out: TimeOut = 21_600,
    wait: Wait = 3_600,
    systemd: Systemd = False,
    debug: Debug = False,
) -> int:
    """Print what install would write; writes nothing."""
    from pipeline.cli import scheduling

    path = None if ledger is None else ledger_path(output, ledger)
    entry = scheduling.entry_of(
        manifest, at=at, output=output, ledger=path, env_file=env_file, timeout_s=time_out, wait_s=wait
    )
    return scheduling.show(entry, systemd=systemd)


@cron_app.command()
def install(
    manifest: ManifestFile,
    at: At = "0 2 * * *",
    output: Output = Path("output"),
    ledger: LedgerFile = None,
    env_file: EnvFile = None,
    time_out: TimeOut = 21_600,
    wait: Wait = 3_600,
    systemd: Systemd = False,
    debug: Debug = False,
) -> int:
    """Write it, in place of what was there for the manifest; the rest of the crontab stays as it is."""
    from pipeline.cli import scheduling

    path = None if ledger is None else ledger_path(output, ledger)
    entry = scheduling.entry_of(
        manifest, at=at, output=output, ledger=path, env_file=env_file, timeout_s=time_out, wait_s=wait
    )
    return scheduling.install(entry, systemd=systemd)


@cron_app.command()
def remove(manifest: ManifestFile, systemd: Systemd = False, debug: Debug = False) -> int:
    """Take it out again."""
    from pipeline.cli import scheduling

    entry = scheduling.entry_of(
        manifest, at="@daily", output=Path("output"), ledger=None, env_file=None, timeout_s=60, wait_s=0
    )
    return scheduling.remove(entry, systemd=systemd)
