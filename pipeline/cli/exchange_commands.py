"""The commands of ``fluxbatch import`` and ``fluxbatch export``, as words."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.options import Debug, ManifestFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.exchange import Wanted
    from pipeline.manifest import Manifest

Source = Annotated[Path, typer.Argument(metavar="FILE", help="The list.")]
To = Annotated[Path | None, typer.Option(metavar="FILE", help="The manifest to write; beside the list if not given.")]
Force = Annotated[bool, typer.Option("--force", help="Replace what is there.")]
Profile = Annotated[str, typer.Option("--provider", metavar="PROFILE", help="The provider to write into it.")]
ModelName = Annotated[str, typer.Option("--model", help="The model of rows that name none.")]
Prompt = Annotated[str, typer.Option("--prompt", metavar="TEXT", help="The prompt of rows that have none.")]
BatchFile = Annotated[
    Path | None, typer.Option("--to", metavar="FILE", help="The batch; standard output if not given.")
]
Limit = Annotated[int | None, typer.Option(min=1, help="Only the first so many jobs.")]

import_app = typer.Typer(help="Make a manifest of another program's list.", no_args_is_help=True)
export_app = typer.Typer(help="Write a manifest as another program's list.", no_args_is_help=True)


@import_app.command("pairs")
def pairs(
    source: Source,
    to: To = None,
    force: Force = False,
    provider: Profile = "apiyi",
    model: ModelName = "",
    prompt: Prompt = "",
    debug: Debug = False,
) -> int:
    """Import REFERENCE|BASE lines, or the provider's two-image script that holds them."""
    from pipeline.exchange import import_pairs

    return _imported(import_pairs, source, to, force=force, provider=provider, model=model, prompt=prompt)


@import_app.command("csv")
def csv(
    source: Source,
    to: To = None,
    force: Force = False,
    provider: Profile = "apiyi",
    model: ModelName = "",
    prompt: Prompt = "",
    debug: Debug = False,
) -> int:
    """Import a table: a job a row, by its columns' names."""
    from pipeline.exchange import import_table

    return _imported(import_table, source, to, force=force, provider=provider, model=model, prompt=prompt)


@import_app.command("jsonl")
def jsonl(
    source: Source,
    to: To = None,
    force: Force = False,
    provider: Profile = "apiyi",
    model: ModelName = "",
    prompt: Prompt = "",
    debug: Debug = False,
) -> int:
    """Import JSON objects, one a line: a job each, by their keys."""
    from pipeline.exchange import import_table

    return _imported(import_table, source, to, force=force, provider=provider, model=model, prompt=prompt)


@import_app.command("openai-batch")
def openai_batch(
    source: Source,
    to: To = None,
    force: Force = False,
    provider: Profile = "apiyi",
    model: ModelName = "",
    debug: Debug = False,
) -> int:
    """Import a file of OpenAI's batch API."""
    from pipeline.exchange import import_batch

    return _imported(import_batch, source, to, force=force, provider=provider, model=model, prompt="")


@export_app.command("openai-batch")
def export_openai_batch(
    manifest: ManifestFile, to: BatchFile = None, force: Force = False, limit: Limit = None, debug: Debug = False
) -> int:
    """Write a manifest's jobs as a file of OpenAI's batch API."""
    from pipeline.cli.exchanging import write_batch

    return write_batch(manifest, to, force=force, limit=limit)


def _imported(
    make: "Callable[[Wanted], Manifest]",
    source: Path,
    to: Path | None,
    *,
    force: bool,
    provider: str,
    model: str,
    prompt: str,
) -> int:
    from pipeline.cli.exchanging import imported
    from pipeline.exchange import Wanted

    wanted = Wanted(source=source, to=to, force=force, provider=provider, model=model, prompt=prompt)
    return imported(make, wanted)
