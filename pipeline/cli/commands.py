"""The tree of commands; each one's work is in a module of its own, imported when it is called."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli import everyday
from pipeline.cli.ledger_commands import ledger_app
from pipeline.cli.options import (
    Budget,
    Concurrency,
    Debug,
    EnvFile,
    Json,
    LedgerFile,
    Limit,
    LogAs,
    LogFile,
    LogFormat,
    ManifestFile,
    MetricsFile,
    Output,
    Processes,
    ProviderName,
    RebuyLost,
    ResendUnknown,
    RetryFailed,
    Shared,
    Wait,
    ledger_path,
    run_options,
    same_places,
)

app = typer.Typer(
    name="fluxbatch",
    help="Buys images in bulk from a paid API, with every cent and every picture accounted for.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(ledger_app, name="ledger")


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"fluxbatch {version('fluxbatch')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which version this is.")
    ] = False,
) -> None:
    """Buys images in bulk from a paid API, with every cent and every picture accounted for."""


@app.command()
def run(
    manifests: Annotated[list[Path], typer.Argument(metavar="MANIFEST...", help="Manifest files.")],
    output: Output = Path("output"),
    ledger: LedgerFile = None,
    budget: Budget = None,
    concurrency: Concurrency = None,
    limit: Limit = None,
    resend_unknown: ResendUnknown = False,
    retry_failed: RetryFailed = False,
    rebuy_lost: RebuyLost = False,
    processes: Processes = None,
    shared: Shared = False,
    wait: Wait = 0.0,
    metrics_file: MetricsFile = None,
    log_format: LogAs = LogFormat.text,
    log_file: LogFile = None,
    env_file: EnvFile = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before spending without a budget.")] = False,
    json: Json = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Say only what went wrong, and only if it is news.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Serve the report live on this machine while it runs.")
    ] = False,
    show: Annotated[bool, typer.Option("--open", help="Open the live report in a browser.")] = False,
    no_report: Annotated[bool, typer.Option("--no-report", help="Do not write report.html at the end.")] = False,
    debug: Debug = False,
) -> int:
    """Buy what is missing, fetch it, keep it, and write everything down."""
    from pipeline.cli.running import Showing, run_manifests

    options = run_options(
        output=output,
        ledger=ledger,
        budget=budget,
        concurrency=concurrency,
        limit=limit,
        resend_unknown=resend_unknown,
        retry_failed=retry_failed,
        rebuy_lost=rebuy_lost,
        processes=processes,
        shared=shared,
        wait=wait,
        debug=debug,
        env_file=env_file,
    )
    return run_manifests(
        manifests,
        options,
        yes=yes,
        json=json,
        quiet=quiet,
        showing=Showing(report=not no_report, watch=watch or show, show=show),
        log_json=log_format is LogFormat.json,
        metrics_file=metrics_file,
        log_file=log_file,
    )


@app.command()
def plan(
    manifest: ManifestFile,
    output: Output = Path("output"),
    ledger: LedgerFile = None,
    budget: Budget = None,
    concurrency: Concurrency = None,
    limit: Limit = None,
    resend_unknown: ResendUnknown = False,
    retry_failed: RetryFailed = False,
    rebuy_lost: RebuyLost = False,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Say what a run would buy and cost; buys nothing."""
    from pipeline.cli.planning import show_plan

    options = run_options(
        output=output,
        ledger=ledger,
        budget=budget,
        concurrency=concurrency,
        limit=limit,
        resend_unknown=resend_unknown,
        retry_failed=retry_failed,
        rebuy_lost=rebuy_lost,
    )
    return show_plan(manifest, options, json=json)


@app.command()
def check(manifest: ManifestFile, json: Json = False, debug: Debug = False) -> int:
    """Validate a manifest and every row of its rows files, touching nothing."""
    from pipeline.cli.checking import check_manifest

    return check_manifest(manifest, json=json)


@app.command()
def status(output: Output = Path("output"), ledger: LedgerFile = None, json: Json = False, debug: Debug = False) -> int:
    """Say what each manifest's runs have come to, from the ledger."""
    from pipeline.cli.bookkeeping import show_status

    return show_status(ledger_path(output, ledger), words=same_places(output, ledger), json=json)


@app.command("report")
def write_report(
    about: Annotated[
        str | None, typer.Argument(metavar="[RUN|MANIFEST]", help="A run's id, a manifest's file or name; all if none.")
    ] = None,
    to: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The page; in the output folder if not given.")
    ] = None,
    contact_sheet: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw one printable picture, too: .png, .jpg, .webp or .pdf.")
    ] = None,
    output: Output = Path("output"),
    ledger: LedgerFile = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Write one page that shows the pictures, what they cost, and what went wrong."""
    from pipeline.cli.reporting import show_report

    return show_report(
        about,
        output=output,
        ledger=ledger_path(output, ledger),
        to=to,
        contact_sheet=contact_sheet,
        options=same_places(output, ledger),
        json=json,
    )


@app.command()
def watch(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for any free one.")] = 0,
    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Keep the address's token there, for a scraper of /metrics; made if missing."
        ),
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open it in a browser.")] = False,
    output: Output = Path("output"),
    ledger: LedgerFile = None,
    debug: Debug = False,
) -> int:
    """Serve the report live, on this machine only, until stopped; of runs in other processes, too."""
    from pipeline.cli.watching import watch_ledger

    path = ledger_path(output, ledger)
    places = same_places(output, ledger)
    return watch_ledger(output=output, ledger=path, options=places, port=port, token_file=token_file, show=show)


@app.command()
def reconcile(
    manifest: Annotated[
        Path | None, typer.Argument(metavar="MANIFEST", help="A manifest, for the provider it names.")
    ] = None,
    provider: ProviderName = None,
    since: Annotated[
        str | None, typer.Option(metavar="DATE", help="The first day; the ledger's first, at most 31 days back.")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="DATE", help="The last day; today if not given.")] = None,
    token_name: Annotated[
        str, typer.Option(metavar="NAME", help="Only what the provider billed to its API key of that name.")
    ] = "",
    output: Output = Path("output"),
    ledger: LedgerFile = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Compare the ledger with the provider's own log of what it billed; changes neither."""
    from pipeline.cli.reconciling import show_reconciliation

    return show_reconciliation(
        ledger_path(output, ledger),
        manifest=manifest,
        provider=provider,
        since=since,
        until=until,
        token_name=token_name,
        words=same_places(output, ledger),
        json=json,
    )


@app.command()
def simulate(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for any free one.")] = 8765,
    key: Annotated[list[str] | None, typer.Option(help="An API key to accept; none given: any.")] = None,
    window: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="How long a URL lives.")] = 600.0,
    latency: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="How long a picture takes.")] = 1.0,
    spread: Annotated[float, typer.Option(min=0, help="Sigma of a log-normal around the latency.")] = 0.3,
    rate: Annotated[int | None, typer.Option(min=1, metavar="N", help="Requests a minute before 429.")] = None,
    in_flight: Annotated[int | None, typer.Option(min=1, metavar="N", help="Requests at once before 429.")] = None,
    vendor_limits: Annotated[
        bool, typer.Option("--vendor-limits", help="Of bfl's API: 24 tasks at once, 6 of flux-kontext-max, before 429.")
    ] = False,
    rate_kind: Annotated[str, typer.Option(help="How --rate is measured: sliding, fixed or bucket.")] = "sliding",
    burst: Annotated[int | None, typer.Option(min=1, metavar="N", help="Tokens a bucket holds at most.")] = None,
    balance: Annotated[
        str | None, typer.Option(metavar="USD", help="What the account holds; endless if not given.")
    ] = None,
    fault: Annotated[
        list[str] | None, typer.Option(metavar="NAME=RATE", help="Inject a fault, such as lost=0.1; repeatable.")
    ] = None,
    answer: Annotated[str, typer.Option(help="url, relative_url, b64_json, b64_json_prefixed or data_url.")] = "url",
    wire: Annotated[str, typer.Option(help="Where parameters are looked for: flat, extra_body or both.")] = "flat",
    scale: Annotated[int, typer.Option(help="Draw pictures at 1/N of their size: 1, 2, 4, 8 or 16.")] = 1,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    log_token: Annotated[
        list[str] | None, typer.Option(help="A token to show the log of charges to; none given: any.")
    ] = None,
    log_form: Annotated[str, typer.Option(help="How a page of that log comes: list or items.")] = "list",
    log_ids: Annotated[bool, typer.Option("--log-ids/--no-log-ids", help="Whether it names the requests.")] = True,
    debug: Debug = False,
) -> int:
    """Serve a make-believe provider until stopped: real HTTP, real pictures, make-believe money."""
    from pipeline.cli.simulating import serve

    return serve(
        host=host,
        port=port,
        keys=key or [],
        window_s=window,
        latency_s=latency,
        latency_spread=spread,
        requests_per_minute=rate,
        rate_kind=rate_kind,
        rate_burst=burst,
        max_in_flight=in_flight,
        balance=balance,
        faults=fault or [],
        answer=answer,
        wire=wire,
        scale=scale,
        seed=seed,
        log_tokens=log_token or [],
        log_form=log_form,
        log_request_ids=log_ids,
        vendor_limits=vendor_limits,
    )


everyday.add_to(app)
