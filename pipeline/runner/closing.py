"""The count at the end of a run: what the ledger says has become of its rows, and the exit code that follows."""

from dataclasses import dataclass
from textwrap import shorten

from pipeline.errors import ExitCode, most_serious
from pipeline.ledger import Run, Tally, Trouble
from pipeline.manifest import Manifest
from pipeline.money import format_usd
from pipeline.produce import Cause
from pipeline.report import Summary
from pipeline.runner.options import RunOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How a run came to its end.

    Attributes:
        unread: Rows that were never held against the ledger, but for those that are waiting.
        waiting: Rows that were not held against it either, but an earlier run has paid for: they can still be fetched.
        read_all: Whether every row was read, or counted.
        misplaced: Rows whose stored picture could not be put where they want it, a line each.
        leftovers: Pictures of earlier runs, paid for and still to be fetched, beyond those the tally has.
        causes: Why buying stopped.
        notes: What people should know besides.
    """

    tally: Tally
    troubles: tuple[Trouble, ...]
    unread: int
    waiting: int
    read_all: bool
    misplaced: tuple[str, ...]
    leftovers: int
    causes: tuple[Cause, ...]
    notes: tuple[str, ...]
    elapsed_s: float

    @property
    def skipped(self) -> int:
        """Rows not bought because the run stopped early."""
        return self.tally.planned + self.unread

    @property
    def exit_code(self) -> ExitCode:
        """The most serious of what applies."""
        tally = self.tally
        codes = {cause.code for cause in self.causes}
        if self.read_all and not self.skipped and not self.waiting:
            codes.discard(ExitCode.TEMPORARY)  # asked to stop, but there was nothing left to do
        if tally.unknown or self.leftovers or self.waiting or tally.lost + tally.spoiled > tally.settled:
            codes.add(ExitCode.MONEY_UNCLEAR)
        if self.misplaced:
            codes.add(ExitCode.CANNOT_CREATE)
        if tally.failed:
            codes.add(ExitCode.SOME_FAILED)
        return most_serious(codes)


def summarize(manifest: Manifest, options: RunOptions, run: Run, end: End) -> Summary:
    """Say what the run came to."""
    tally = end.tally
    return Summary(
        run_id=run.run_id,
        manifest=manifest.name,
        manifest_path=str(manifest.path),
        edition=manifest.edition,
        stored=tally.stored,
        reused=tally.reused - len(end.misplaced),
        failed=tally.failed + len(end.misplaced),
        passing=tally.passing + len(end.misplaced),
        unfit=tally.unfit,
        unknown=tally.unknown,
        lost=tally.lost + end.waiting,
        spoiled=tally.spoiled,
        skipped=end.skipped,
        wrong_shape=tally.wrong_shape,
        unfetched=tally.bought + end.waiting,
        settled=tally.settled,
        spend_microusd=tally.spend_microusd,
        unknown_microusd=tally.unknown_microusd,
        manifest_spend_microusd=tally.batch_spend_microusd,
        manifest_unknown_microusd=tally.batch_unknown_microusd,
        budget_microusd=options.budget_of(manifest),
        elapsed_s=end.elapsed_s,
        url_age_max_s=tally.url_age_max_s,
        providers=tally.providers,
        exit_code=end.exit_code,
        ledger=str(options.ledger_path),
        output=str(options.output),
        words=options.words,
        simulated=manifest.profile.simulated,
        own_budget=options.own_budget,
        causes=tuple(cause.code for cause in end.causes),
        needs=next((cause.needs for cause in end.causes if cause.needs), ""),
        notes=(
            *(_stopped(cause) for cause in end.causes),
            *end.notes,
            *_shares(end),
            *_leftovers(end),
            *_pruned(end),
        ),
        troubles=(*(_told(trouble) for trouble in end.troubles), *end.misplaced),
    )


def _shares(end: End) -> list[str]:
    """Who was paid what, where it was not one alone."""
    providers = end.tally.providers
    if len(providers) < 2:
        return []
    told = (f"{number:,} at {name} for ${format_usd(amount)}" for name, (number, amount) in providers.items())
    return [f"Bought: {', '.join(told)}"]


def _stopped(cause: Cause) -> str:
    """Why buying stopped, without saying "stopped" twice."""
    said = cause.message.removeprefix("stopped ")
    return f"Stopped: {cause.message}" if said == cause.message else f"Stopped {said}"


def _leftovers(end: End) -> list[str]:
    if not end.leftovers:
        return []
    return [f"{end.leftovers} bought by an earlier run can still be fetched: run again now"]


def _pruned(end: End) -> list[str]:
    if not end.tally.pruned:
        return []
    return [f"{end.tally.pruned:,} kept from before were pruned: their files are gone; a new edition buys new ones"]


def _told(trouble: Trouble) -> str:
    prompt = shorten(trouble.prompt, 40, placeholder="…")
    what = f"row {trouble.index} ({prompt})" if prompt else f"row {trouble.index}"
    return f"{what}: {trouble.state}: {shorten(trouble.message, 200, placeholder='…')}"
