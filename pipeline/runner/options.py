"""What a run is told besides its manifest."""

import os
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigurationError, UsageError
from pipeline.inputs import Finder
from pipeline.job import Job, UnfitRow
from pipeline.ledger import Address, Caps, Policy, Server, Share
from pipeline.manifest import Manifest
from pipeline.plan import Plan
from pipeline.produce.halt import Cause
from pipeline.provider import Poster
from pipeline.report import Snapshot
from pipeline.report.events import EventName, Log
from pipeline.runner.part import Part
from pipeline.runner.stop import Stop

#: Shows a run while it goes on; is cancelled at its end.
Watch = Callable[[Callable[[], Snapshot]], Coroutine[Any, Any, None]]


def _quiet(_: str) -> None:
    """Say nothing."""


def _as_it_is(poster: Poster) -> Poster:
    return poster


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """The command line's options, for one manifest.

    Attributes:
        output: Where pictures go.
        ledger: Where the ledger is; ``ledger.db`` in the output folder when None.
        budget_microusd: Replaces the manifest's own budget.
        concurrency: Replaces the manifest's ceiling on requests in flight.
        processes: Replaces what the manifest says of processes.
        part: Which part of a run this process does; None: all of it.
        share: What this run does of a fleet's work; None: it is no part of any.
        policy: What may be bought again.
        limit: Only the first so many jobs.
        environment: Where the key and the base URL are looked for.
        stop: Asked from elsewhere to end the run; see ``asked_by_signals``.
        shared: Run beside others that share the ledger, too.
        wait_s: How long to wait for a ledger that somebody else holds, in seconds.
        own_budget: Whether the budget was given here, rather than derived from the plan.
        words: Other options, as words, that a next run needs to be the same: they go into the advice of the summary.
        watch: Shows progress.
        confirm: Asked, where no budget is set at all, whether to spend what the plan says; None: not asked.
        notice: Told, in one line, of what people should see at once; a ``Notice`` where that is an event with a name.
        poster: Stands between a provider's client and its session; for who wants to hear what is answered.
        debug: Whether a bug is told with its traceback.
        told_cause: Told why buying stops, in the log's stead.
        log: Told of every other event; None: nobody listens.
    """

    output: Path = Path("output")
    ledger: Address | None = None
    budget_microusd: int | None = None
    concurrency: int | None = None
    processes: int | None = None
    part: Part | None = None
    share: Share | None = None
    policy: Policy = field(default_factory=Policy)
    limit: int | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    stop: Stop | None = None
    shared: bool = False
    wait_s: float = 0.0
    own_budget: bool = False
    words: str = ""
    watch: Watch | None = None
    confirm: Callable[[Plan], Coroutine[Any, Any, bool]] | None = None
    notice: Callable[[str], None] = _quiet
    poster: Callable[[Poster], Poster] = _as_it_is
    log: Log | None = None
    debug: bool = False
    told_cause: Callable[[Cause], None] | None = None

    @property
    def ledger_path(self) -> Address:
        """Where the ledger is."""
        return self.ledger or self.output / "ledger.db"

    def on_cause(self, cause: Cause) -> None:
        """Tell why buying stops."""
        if self.told_cause is not None:
            self.told_cause(cause)
        elif self.log is not None:
            self.log(EventName.BUYING_STOPPED, {"exit_code": int(cause.code), "message": cause.message})

    def budget_of(self, manifest: Manifest) -> int | None:
        """The budget of this manifest and edition, in micro-dollars."""
        return manifest.limits.budget_microusd if self.budget_microusd is None else self.budget_microusd

    def caps_of(self, manifest: Manifest) -> Caps:
        """Every budget that bounds a run of this manifest."""
        limits = manifest.limits
        return Caps(
            batch=self.budget_of(manifest),
            daily=limits.daily_microusd,
            monthly=limits.monthly_microusd,
            total=limits.total_microusd,
            resend=None if self.policy.resend_unknown else limits.resend_microusd,
        )

    def policy_of(self, manifest: Manifest) -> Policy:
        """What may be bought again, by a person's word or by the manifest's."""
        by_itself = manifest.limits.resend_microusd is not None
        return replace(self.policy, resend_unknown=self.policy.resend_unknown or by_itself)

    def concurrency_of(self, manifest: Manifest) -> int:
        """The most requests in flight."""
        whole = manifest.limits.concurrency if self.concurrency is None else self.concurrency
        return whole if self.part is None else self.part.share(whole)

    def downloads_of(self, manifest: Manifest) -> int:
        """The most pictures fetched at once."""
        whole = manifest.limits.downloads
        return whole if self.part is None else self.part.share(whole)

    def rows_of(self, manifest: Manifest, finder: Finder | None = None) -> Iterator[Job | UnfitRow]:
        """The rows to be looked at, in order.

        Args:
            finder: What looks at their input images.
        """
        rows = islice(manifest.jobs(finder=finder), self.limit)
        return rows if self.part is None else self.part.rows(rows)

    def processes_of(self, manifest: Manifest) -> int:
        """What the work is divided over.

        Raises:
            UsageError: There is not enough to divide, by the command's words, or the ledger is on a server.
            ConfigurationError: The same, by the manifest's.
        """
        if self.part is not None:
            return 1
        number = manifest.limits.processes if self.processes is None else self.processes
        if number > 1 and isinstance(self.ledger_path, Server):
            raise UsageError(
                f"{number} processes, but the ledger is on a server",
                remedy="start several runs instead: there they share it",
            )
        least = min(self.concurrency_of(manifest), self.downloads_of(manifest))
        if number <= least:
            return number
        told = f"{number} processes, but only {least} requests or downloads at once to divide over them"
        remedy = "fewer processes, or a larger concurrency and downloads"
        if self.processes is None and self.concurrency is None:
            raise ConfigurationError(f"{manifest.path}: {told}", remedy=remedy)
        raise UsageError(told, remedy=remedy)
