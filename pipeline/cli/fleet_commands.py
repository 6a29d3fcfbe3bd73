"""The commands below ``fluxbatch fleet``; each one's work is in ``cli/fleet.py``, imported when it is called."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.options import (
    Budget,
    Debug,
    EnvFile,
    Json,
    Limit,
    LogAs,
    LogFile,
    LogFormat,
    Output,
    RebuyLost,
    ResendUnknown,
    RetryFailed,
    run_options,
)

fleet_app = typer.Typer(help="Buy with many machines, on a ledger in a PostgreSQL database.", no_args_is_help=True)

FleetLedger = Annotated[str, typer.Option(metavar="URL", help="The database, as postgresql://HOST/DATABASE.")]


@fleet_app.command("submit")
def submit(
    manifests: Annotated[list[Path], typer.Argument(metavar="MANIFEST...", help="Manifest files.")],
    ledger: FleetLedger,
    output: Output = Path("output"),
    budget: Budget = None,
    limit: Limit = None,
    resend_unknown: ResendUnknown = False,
    retry_failed: RetryFailed = False,
    rebuy_lost: RebuyLost = False,
    shard_size: Annotated[
        int, typer.Option(min=1, max=10_000, metavar="N", help="Jobs that a worker takes at once.")
    ] = 200,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before spending without a budget.")] = False,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Hand out what is missing; once more, only what is new since."""
    from pipeline.cli.fleet import submit_manifests

    options = run_options(
        output=output,
        ledger=ledger,
        budget=budget,
        concurrency=None,
        limit=limit,
        resend_unknown=resend_unknown,
        retry_failed=retry_failed,
        rebuy_lost=rebuy_lost,
        debug=debug,
    )
    return submit_manifests(manifests, options, size=shard_size, yes=yes, json=json)


@fleet_app.command("worker")
def worker(
    ledger: FleetLedger,
    output: Output = Path("output"),
    concurrency: Annotated[
        int | None,
        typer.Option(min=1, max=512, metavar="N", help="At most N requests in flight, over all its shards."),
    ] = None,
    shards: Annotated[int, typer.Option(min=1, max=16, metavar="N", help="Shards that are done at once.")] = 1,
    until_done: Annotated[bool, typer.Option("--until-done", help="End once nothing is left to do.")] = False,
    outage: Annotated[
        float,
        typer.Option(min=1, metavar="SECONDS", help="With --until-done: end when the database was away for so long."),
    ] = 900.0,
    env_file: EnvFile = None,
    log_format: LogAs = LogFormat.text,
    log_file: LogFile = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Buy and fetch what was submitted, here, until a signal asks to stop; any number of these, anywhere."""
    from pipeline.cli.fleet import run_worker

    options = run_options(
        output=output,
        ledger=ledger,
        budget=None,
        concurrency=concurrency,
        limit=None,
        resend_unknown=False,
        retry_failed=False,
        rebuy_lost=False,
        debug=debug,
        env_file=env_file,
    )
    return run_worker(
        options,
        shards=shards,
        until_done=until_done,
        outage_s=outage,
        log_json=log_format is LogFormat.json,
        log_file=log_file,
        json=json,
    )


@fleet_app.command("status")
def status(
    ledger: FleetLedger,
    output: Output = Path("output"),
    watch: Annotated[bool, typer.Option("--watch", help="Look again every two seconds, until all is done.")] = False,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Say what was submitted, how far it is, who works on it, and what waits."""
    from pipeline.cli.fleet_status import show_fleet

    return show_fleet(ledger, output, watch=watch, json=json)


@fleet_app.command("cancel")
def cancel(
    ledger: FleetLedger,
    manifests: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME...]", help="Names of manifests, as status shows them.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Whatever was submitted.")] = False,
    output: Output = Path("output"),
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Buy nothing more of what was submitted; what is paid is still fetched."""
    from pipeline.cli.fleet import cancel_manifests

    return cancel_manifests(ledger, output, manifests or [], everything=everything, json=json)
