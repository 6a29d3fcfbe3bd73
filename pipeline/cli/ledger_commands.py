"""The commands below ``fluxbatch ledger``; each one's work is in a module of its own, imported when it is called."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.options import Debug, Json, LedgerFile, Output, SpendGroup, WrittenFormat, ledger_path, same_places

ledger_app = typer.Typer(help="Read, export and prove the ledger.", no_args_is_help=True)


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
    endpoint: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The server of pictures in a bucket; else a fleet's, or the environment's."),
    ] = None,
    output: Output = Path("output"),
    ledger: LedgerFile = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Prove every stored file against the ledger, and the sums against the rows."""
    from pipeline.cli.bookkeeping import endpoint_address, verify_ledger

    return verify_ledger(
        ledger_path(output, ledger),
        mend=mend,
        words=same_places(output, ledger),
        json=json,
        endpoint=None if endpoint is None else endpoint_address(endpoint),
    )


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

    return resolve_jobs(
        ledger_path(output, ledger),
        keys or [],
        billed=billed,
        unknown=unknown,
        words=same_places(output, ledger),
        json=json,
    )


@ledger_app.command("migrate")
def migrate(
    ledger: Annotated[str, typer.Option(metavar="URL", help="The database, as postgresql://HOST/DATABASE.")],
    output: Output = Path("output"),
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Make a ledger in a PostgreSQL database, or bring it up to date; --output is where its pictures are."""
    from pipeline.cli.migrating import migrate_ledger

    return migrate_ledger(ledger_path(output, ledger), json=json)


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

    return show_spend(ledger_path(output, ledger), by=by.value, words=same_places(output, ledger), json=json)
