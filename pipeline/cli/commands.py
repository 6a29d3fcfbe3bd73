"""The tree of commands; each one's work is in a module of its own, imported when it is called."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli import everyday
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
    ProviderName,
    RebuyLost,
    ResendUnknown,
    RetryFailed,
    Shared,
    SpendGroup,
    Wait,
    WrittenFormat,
    ledger_path,
    places,
    run_options,
)

app = typer.Typer(
    name="fluxbatch",
    help="Buys images in bulk from a paid API, with every cent and every picture accounted for.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
ledger_app = typer.Typer(help="Read, export and prove the ledger.", no_args_is_help=True)
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
    debug: Debug = False,
) -> int:
    """Buy what is missing, fetch it, keep it, and write everything down."""
    from pipeline.cli.running import run_manifests

    options = run_options(
        output=output,
        ledger=ledger,
        budget=budget,
        concurrency=concurrency,
        limit=limit,
        resend_unknown=resend_unknown,
        retry_failed=retry_failed,
        rebuy_lost=rebuy_lost,
        shared=shared,
        wait=wait,
        env_file=env_file,
    )
    return run_manifests(
        manifests,
        options,
        yes=yes,
        json=json,
        quiet=quiet,
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

    return show_status(ledger_path(output, ledger), json=json)


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
        words=places(output, ledger),
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
    )


@ledger_app.command("export")
def export(
    form: Annotated[WrittenFormat, typer.Option("--format", help="jsonl, csv or parquet.")] = WrittenFormat.jsonl,
    to: Annotated[Path | None, typer.Option(help="The file to write; standard output if not given.")] = None,
    output: Output = Path("output"),
    ledger: LedgerFile = None,
    debug: Debug = False,
) -> int:
    """Write one row a job."""
    from pipeline.cli.bookkeeping import export_ledger

    return export_ledger(ledger_path(output, ledger), form=form.value, to=to)


@ledger_app.command("verify")
def verify(
    mend: Annotated[bool, typer.Option("--repair", help="Put right what is safe to put right, first.")] = False,
    output: Output = Path("output"),
    ledger: LedgerFile = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Prove every stored file against the ledger, and the sums against the rows."""
    from pipeline.cli.bookkeeping import verify_ledger

    return verify_ledger(ledger_path(output, ledger), mend=mend, json=json)


@ledger_app.command("resolve")
def resolve(
    keys: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY...]", help="Job keys, or their first six digits or more.")
    ] = None,
    billed: Annotated[
        bool | None, typer.Option("--billed/--not-billed", help="Whether the provider's bill has the money.")
    ] = None,
    unknown: Annotated[bool, typer.Option("--unknown", help="Every job with unknown money, instead of keys.")] = False,
    output: Output = Path("output"),
    ledger: LedgerFile = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Settle money that bought nothing, after reading the provider's bill."""
    from pipeline.cli.settling import resolve_jobs

    return resolve_jobs(ledger_path(output, ledger), keys or [], billed=billed, unknown=unknown, json=json)


@ledger_app.command("spend")
def spend(
    by: Annotated[SpendGroup, typer.Option(help="day, month, model, manifest or provider.")] = SpendGroup.day,
    output: Output = Path("output"),
    ledger: LedgerFile = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Say what was spent, on what."""
    from pipeline.cli.bookkeeping import show_spend

    return show_spend(ledger_path(output, ledger), by=by.value, json=json)


everyday.add_to(app)
