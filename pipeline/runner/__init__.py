"""The composition root: opens what a run needs, wires the stages, and sees it through."""

import os
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from pipeline.clock import Clock, SystemClock
from pipeline.deliver import prepare_output
from pipeline.errors import OutputError, one_of_several
from pipeline.inputs import Store
from pipeline.inputs.darkroom import Darkroom
from pipeline.ledger import LedgerWriter, Policy, Run, Server, address_of, hold
from pipeline.manifest import Manifest, load_manifest
from pipeline.money import format_usd, parse_usd
from pipeline.produce import Halt
from pipeline.report import Summary
from pipeline.report.events import EventName
from pipeline.runner.endpoint import check_sellers, configured
from pipeline.runner.keeping import open_store, trouble_with
from pipeline.runner.options import RunOptions, Watch
from pipeline.runner.patience import Patience
from pipeline.runner.planning import bounded, finder_of, plan_of
from pipeline.runner.sellers import in_turn, open_sellers, reach_of
from pipeline.runner.shift import Shift, Tools
from pipeline.runner.stop import Stop, asked_by_signals, in_thread, unless_stopped
from pipeline.runner.task import Task
from pipeline.runner.team import Team
from pipeline.transport import DownloadTransport


async def run_async(manifest: Manifest, options: RunOptions, *, clock: Clock | None = None) -> Summary:
    """Buy what is missing of a manifest, fetch it, keep it, and write everything down.

    One failed job is data in the summary; what is raised broke the run before it could count.

    Raises:
        ConfigurationError: No key, or a base URL that cannot be used.
        OutputError: The output folder or the ledger cannot be made or written.
        StorageError: The disk is full or fails; the ledger is damaged.
        LedgerBusyError: Another run holds the ledger, longer than ``options.wait_s``.
        DeclinedError: ``options.confirm`` said no.
        StoppedError: ``options.stop`` was asked before anything was bought.
    """
    clock = clock or SystemClock()
    check_sellers(manifest.profiles, options.environment)
    processes = options.processes_of(manifest)
    await anyio.to_thread.run_sync(prepare_output, options.output)
    _make_folder(options.ledger_path.parent)
    profile = manifest.profile
    async with AsyncExitStack() as stack:
        patience = Patience(options, clock)

        async def hold_ledger() -> int:
            shared = options.shared or isinstance(options.ledger_path, Server)
            return stack.enter_context(hold(options.ledger_path, purpose=f"run of {manifest.name}", shared=shared))

        lock = await patience.have(hold_ledger)
        ledger = await stack.enter_async_context(LedgerWriter(options.ledger_path, clock=clock))
        trouble = await unless_stopped(options.stop, partial(trouble_with, manifest.store))
        finder = stack.enter_context(finder_of(manifest, options))
        options = await bounded(manifest, options, finder)
        opened = await stack.enter_async_context(
            open_sellers(
                manifest.profiles,
                options.environment,
                ledger=ledger,
                clock=clock,
                rate_per_minute=manifest.limits.rate_per_minute,
                poster=options.poster,
            )
        )
        own_origin, allow_hosts = reach_of([each.contact for each in opened])
        downloads = DownloadTransport(own_origin=own_origin, allow_hosts=allow_hosts)
        await stack.enter_async_context(downloads)
        inputs = await stack.enter_async_context(DownloadTransport(own_origin=None, allow_hosts=finder.allow_hosts))
        store = await stack.enter_async_context(open_store(manifest.store, options.output))
        begun = await patience.have(
            partial(
                ledger.begin,
                manifest=manifest.name,
                edition=manifest.edition,
                provider=profile.name,
                simulated=profile.simulated,
                caps=options.caps_of(manifest),
                share=options.share,
            )
        )

        def team(halt: Halt) -> Team:
            contacts = tuple(each.contact for each in opened)
            task = Task.of(manifest, options, run=begun, contacts=contacts, handle=ledger.run_handle)
            return Team(task, processes, halt=halt, options=options, keep=(lock, ledger.run_handle), clock=clock)

        tools = Tools(
            ledger=ledger,
            run=begun,
            sellers=tuple(
                each.seller if options.share is None else in_turn(each, ledger=ledger, clock=clock) for each in opened
            ),
            downloads=downloads,
            clock=clock,
            finder=finder,
            darkroom=Darkroom(output=options.output, store=Store(options.output), transport=inputs),
            experiences={each.contact.profile.name: each.experience for each in opened},
            team=team if processes > 1 else None,
            store=store,
            trouble=trouble,
        )
        if options.log is not None:
            options.log(EventName.RUN_BEGUN, _facts(begun, options.budget_of(manifest)))
        with one_of_several():
            summary = await Shift(manifest, options, tools).work()
        if options.log is not None:
            options.log(EventName.RUN_ENDED, summary.as_json() | {"notes": summary.notes, "troubles": summary.troubles})
        return summary


def run(
    manifest: Manifest | str | Path,
    *,
    output: str | Path = "output",
    ledger: str | Path | None = None,
    budget_usd: str | int | None = None,
    concurrency: int | None = None,
    limit: int | None = None,
    policy: Policy | None = None,
    environment: Mapping[str, str] | None = None,
) -> Summary:
    """Run a manifest from a script; blocks until it is over. Inside an event loop, await ``run_async`` instead.

    Args:
        manifest: A loaded manifest, or its file.
        output: Where pictures go.
        ledger: The ledger's file, or ``postgresql://HOST/DATABASE``; ``ledger.db`` in ``output`` when None.
        budget_usd: Dollars for this manifest and edition over all its runs, as text or a whole number.
        concurrency: The most requests in flight.
        limit: Only the first so many jobs.
        policy: What may be bought again; only what failed for a passing reason when None.
        environment: Where the key and the base URL are looked for; the process's own when None.

    Raises:
        ManifestError: The manifest has problems.
        NotFoundError: There is no such file.
        FluxbatchError: As ``run_async``.
    """
    loaded = manifest if isinstance(manifest, Manifest) else load_manifest(manifest)
    options = RunOptions(
        output=Path(output),
        ledger=None if ledger is None else address_of(ledger, Path(output)),
        budget_microusd=None if budget_usd is None else parse_usd(budget_usd),
        concurrency=concurrency,
        limit=limit,
        policy=policy or Policy(),
        environment=os.environ if environment is None else environment,
    )
    return anyio.run(partial(run_async, loaded, options))


def _facts(begun: Run, budget: int | None) -> dict[str, Any]:
    """What a log says of a run that begins."""
    return {
        "run_id": begun.run_id,
        "manifest": begun.manifest,
        "edition": begun.edition,
        "simulated": begun.simulated,
        "budget_usd": None if budget is None else format_usd(budget, places=2),
    }


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{folder}: the ledger's folder cannot be made ({error.strerror})", remedy="name another with --ledger"
        ) from error


__all__ = [
    "RunOptions",
    "Stop",
    "Watch",
    "asked_by_signals",
    "check_sellers",
    "configured",
    "in_thread",
    "plan_of",
    "run",
    "run_async",
    "unless_stopped",
]
