"""The commands around a run, as words: what there is to ask for, a manifest's start, a picture's story, the machine."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.cron_commands import cron_app
from pipeline.cli.exchange_commands import export_app, import_app
from pipeline.cli.fleet_commands import fleet_app
from pipeline.cli.options import Debug, Json, LedgerFile, Output, ProviderName, ledger_path, same_places


def add_to(app: typer.Typer) -> None:
    """Hang them into the tree."""
    app.command("init")(first)
    app.command()(explain)
    app.command()(doctor)
    app.command()(prune)
    app.command()(probe)
    app.add_typer(cron_app, name="cron")
    app.add_typer(import_app, name="import")
    app.add_typer(export_app, name="export")
    app.add_typer(fleet_app, name="fleet")
    for catalog in (models, ratios, schema):
        app.command()(catalog)


def first(
    manifest: Annotated[Path, typer.Argument(metavar="FILE", help="The manifest to write.")] = Path("manifest.yaml"),
    debug: Debug = False,
) -> int:
    """Write a commented first manifest that runs as it is, without a key."""
    from pipeline.cli.beginning import write_first

    return write_first(manifest)


def explain(
    named: Annotated[
        str, typer.Argument(metavar="KEY|FILE", help="A job's key, or its first six digits or more; or a picture.")
    ],
    output: Output = Path("output"),
    ledger: LedgerFile = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Tell one picture's whole story: who wants it, what was asked when, what it cost, where it is."""
    from pipeline.cli.explaining import explain as tell

    return tell(ledger_path(output, ledger), named, words=same_places(output, ledger), json=json)


def doctor(
    manifest: Annotated[
        Path | None, typer.Argument(metavar="MANIFEST", help="A manifest, for the provider it names.")
    ] = None,
    provider: ProviderName = None,
    output: Output = Path("output"),
    ledger: LedgerFile = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Look at all that a run needs (key, clock, disk, SQLite, ledger, network), spend nothing, say what to mend."""
    from pipeline.cli.doctoring import doctor as look

    path = output / "ledger.db" if ledger is None else ledger_path(output, ledger)
    words = same_places(output, ledger)
    return look(manifest=manifest, provider=provider, output=output, ledger=path, words=words, json=json)


def probe(
    provider: Annotated[str, typer.Argument(metavar="PROFILE", help="A provider's profile.")],
    model: Annotated[
        str | None, typer.Option(metavar="MODEL", help="What to ask for, rather than its cheapest.")
    ] = None,
    output: Output = Path("output"),
    ledger: LedgerFile = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether to spend the price of one picture.")] = False,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Buy one picture, the cheapest, and say what a provider honours, how long its URLs live, what its headers tell."""
    from pipeline.cli.probing import probe_provider
    from pipeline.runner import RunOptions

    path = None if ledger is None else ledger_path(output, ledger)
    return probe_provider(provider, RunOptions(output=output, ledger=path), model=model, yes=yes, json=json)


def prune(
    older_than: Annotated[
        float, typer.Option("--older-than", min=0, metavar="DAYS", help="Only what no run has wanted since.")
    ] = 30.0,
    pictures: Annotated[bool, typer.Option("--pictures", help="Pictures may go, too.")] = False,
    max_size: Annotated[
        str | None, typer.Option("--max-size", metavar="SIZE", help="Only as many as it takes, such as 20GB.")
    ] = None,
    max_inputs: Annotated[
        str | None,
        typer.Option(
            "--max-inputs", metavar="SIZE", help="The same for input images that no job needs; they go unasked."
        ),
    ] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Do it, rather than say what would be done.")] = False,
    output: Output = Path("output"),
    ledger: LedgerFile = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Keep output and ledger in bounds: say what could go, or let it go; never money, a picture only with a word."""
    from pipeline.cli.pruning import prune_ledger

    return prune_ledger(
        ledger_path(output, ledger),
        output=output,
        older_than_days=older_than,
        pictures=pictures,
        max_size=max_size,
        max_inputs=max_inputs,
        apply=apply,
        words=same_places(output, ledger),
        json=json,
    )


def models(json: Json = False, debug: Debug = False) -> int:
    """List the models: prices, parameters, and when to use which."""
    from pipeline.cli.catalog import show_models

    return show_models(json=json)


def ratios(json: Json = False, debug: Debug = False) -> int:
    """List the ratios by use, with the size to expect."""
    from pipeline.cli.catalog import show_ratios

    return show_ratios(json=json)


def schema(debug: Debug = False) -> int:
    """Print the JSON schema of a manifest, for editors."""
    from pipeline.cli.catalog import show_schema

    return show_schema()
