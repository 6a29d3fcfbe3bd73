"""Options that several commands share, and what becomes of them."""

import os
import shlex
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeline.ledger import Address
    from pipeline.runner import RunOptions


class LogFormat(StrEnum):
    """How what happens is told."""

    text = "text"
    json = "json"


def _profiles() -> list[str]:
    """What a shell offers for a provider."""
    from pipeline.catalog import profiles

    return list(profiles())


ProviderName = Annotated[
    str | None,
    typer.Option(
        "--provider", metavar="PROFILE", help="A provider's profile, instead of a manifest.", autocompletion=_profiles
    ),
]
ManifestFile = Annotated[Path, typer.Argument(metavar="MANIFEST", help="A manifest file.")]
Output = Annotated[Path, typer.Option(metavar="DIR", help="Where pictures go.")]
LedgerFile = Annotated[
    str | None, typer.Option(metavar="PATH_OR_URL", help="The ledger; ledger.db in the output folder if not given.")
]
Budget = Annotated[
    str | None,
    typer.Option(metavar="USD", help="Dollars for this manifest and edition over all its runs; replaces its own."),
]
Concurrency = Annotated[int | None, typer.Option(min=1, max=512, metavar="N", help="At most N requests in flight.")]
Processes = Annotated[
    int | None, typer.Option(min=1, max=32, metavar="N", help="Divide buying and fetching over N processes.")
]
Limit = Annotated[int | None, typer.Option(min=1, metavar="N", help="Only the first N jobs.")]
ResendUnknown = Annotated[
    bool, typer.Option("--resend-unknown", help="Ask again where an answer was lost; may pay twice.")
]
RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="Ask again for what was refused.")]
RebuyLost = Annotated[bool, typer.Option("--rebuy-lost", help="Pay again for what was paid and lost or spoiled.")]
Shared = Annotated[
    bool, typer.Option("--shared", help="Run beside other manifests that share the ledger at the same time.")
]
Wait = Annotated[
    float,
    typer.Option(min=0, max=604_800, metavar="SECONDS", help="How long to wait for a ledger that another run holds."),
]
MetricsFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write how it ended there, for Prometheus' node_exporter (a .prom file)."),
]
LogAs = Annotated[
    LogFormat, typer.Option("--log-format", help="How standard error is written: text, or json, an event a line.")
]
EnvFile = Annotated[
    Path | None,
    typer.Option("--env-file", metavar="FILE", help="A private file (0600) that sets variables, such as the key's."),
]
LogFile = Annotated[
    Path | None,
    typer.Option("--log-file", metavar="FILE", help="Log every event there as well, as JSON; rotated at 1 MiB."),
]
Json = Annotated[bool, typer.Option("--json", help="Print exactly one JSON object; all else goes to standard error.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")]


class WrittenFormat(StrEnum):
    """What an export can be written as."""

    jsonl = "jsonl"
    csv = "csv"
    parquet = "parquet"


class SpendGroup(StrEnum):
    """What spend can be grouped by."""

    day = "day"
    month = "month"
    model = "model"
    manifest = "manifest"
    provider = "provider"


def ledger_path(output: Path, ledger: str | None) -> "Address":
    """Where the ledger is.

    Raises:
        UsageError: It is a URL of a kind this version does not keep ledgers in.
        NotFoundError: None is named, and there is no output folder.
    """
    from pipeline.ledger import address_of

    if ledger is not None:
        return address_of(ledger, output)
    if not output.is_dir():
        raise NotFoundError(
            output, "no such output folder", remedy="name it with --output, or the ledger with --ledger"
        )
    return output / "ledger.db"


def same_places(output: Path, ledger: str | None) -> str:
    """The options that lead another command to the same ledger, without a password; "" where it finds it by itself."""
    from pipeline.ledger import is_server, redacted

    elsewhere = "" if output == Path("output") else f" --output {shlex.quote(str(output))}"
    if ledger is None:
        return elsewhere
    if is_server(ledger):
        return f" --ledger {shlex.quote(redacted(ledger))}{elsewhere}"
    return f" --ledger {shlex.quote(ledger)}"


def run_options(
    *,
    output: Path,
    ledger: str | None,
    budget: str | None,
    concurrency: int | None,
    limit: int | None,
    resend_unknown: bool,
    retry_failed: bool,
    rebuy_lost: bool,
    shared: bool = False,
    wait: float = 0.0,
    processes: int | None = None,
    debug: bool = False,
    env_file: Path | None = None,
) -> "RunOptions":
    """The options of a run, checked.

    Raises:
        UsageError: The budget is no amount of money, or the ledger is a URL.
        ConfigurationError: The environment file is not private, or sets no variables.
    """
    from pipeline.ledger import Policy
    from pipeline.money import parse_usd
    from pipeline.runner import RunOptions

    try:
        microusd = None if budget is None else parse_usd(budget.removeprefix("$"))
    except ValueError as error:
        raise UsageError(f"--budget: {error}") from error
    environment: Mapping[str, str] = os.environ
    if env_file is not None:
        from pipeline.runner.keyfile import environment_of

        environment = {**os.environ, **environment_of(env_file)}
    return RunOptions(
        output=output,
        environment=environment,
        ledger=None if ledger is None else ledger_path(output, ledger),
        budget_microusd=microusd,
        concurrency=concurrency,
        processes=processes,
        debug=debug,
        limit=limit,
        shared=shared,
        wait_s=wait,
        own_budget=budget is not None,
        words=" --shared" * shared
        + "".join(
            f" --{name} {value}"
            for name, value in (
                ("wait", f"{wait:g}" if wait else ""),
                ("limit", limit),
                ("concurrency", concurrency),
                ("processes", processes),
            )
            if value
        ),
        policy=Policy(resend_unknown=resend_unknown, retry_failed=retry_failed, rebuy_lost=rebuy_lost),
    )
