"""``fluxbatch plan``: what would happen."""

import shlex
import sys
from dataclasses import replace
from pathlib import Path

from rich.text import Text

from pipeline.cli.options import same_places
from pipeline.cli.plain import plain
from pipeline.cli.tables import Listing, say, stdout_console, table
from pipeline.errors import ExitCode
from pipeline.manifest import Manifest, load_manifest
from pipeline.money import format_usd, saving_percent
from pipeline.plan import Plan
from pipeline.report import to_json
from pipeline.runner import RunOptions, plan_of
from pipeline.wording import counted


def show_plan(path: Path, options: RunOptions, *, json: bool) -> int:
    """Print what a run would buy and cost."""
    manifest = load_manifest(path)
    plan = plan_of(manifest, replace(options, notice=_tell))
    if json:
        sys.stdout.write(to_json(plan.as_json()) + "\n")
        return int(ExitCode.OK)
    console = stdout_console()
    edition = f" / {plan.edition}" if plan.edition else ""
    say(console, f"{plan.manifest}{edition}: {_counts(plan)}", style="bold")
    for problem in plan.problems:
        say(console, f"  {plain(problem)}")
    if plan.unfit > len(plan.problems):
        say(console, f"  and {plan.unfit - len(plan.problems):,} more: fluxbatch check {shlex.quote(str(path))}")
    if plan.to_buy:
        console.print(_costs(plan))
    for line in (*_money(plan), *_not_asked(manifest, plan), *_other_caps(manifest)):
        say(console, line)
    console.print(Text(plain(f"-> {_following(plan, path, options)}")), soft_wrap=True)
    return int(ExitCode.OK)


def _tell(text: str) -> None:
    """Say on standard error what is waited for."""
    sys.stderr.write(plain(text) + "\n")
    sys.stderr.flush()


def _following(plan: Plan, path: Path, options: RunOptions) -> str:
    """The command that does what was planned; with nothing to buy, the one that says how things are."""
    words = same_places(options.output, None if options.ledger is None else str(options.ledger))
    if plan.to_buy:
        return _run_words(path, options, words + options.words)
    return f"fluxbatch status{words}" if plan.kept or plan.held else f"fluxbatch check {shlex.quote(str(path))}"


def _run_words(path: Path, options: RunOptions, words: str) -> str:
    if options.own_budget and options.budget_microusd is not None:
        words += f" --budget {format_usd(options.budget_microusd)}"
    for name in ("resend_unknown", "retry_failed", "rebuy_lost"):
        words += f" --{name.replace('_', '-')}" * getattr(options.policy, name)
    return f"fluxbatch run {shlex.quote(str(path))}{words}"


def _counts(plan: Plan) -> str:
    counts = (
        (plan.new, "new", "new"),
        (plan.changed, "changed", "changed"),
        (plan.again, "to try again", "to try again"),
        (plan.kept, "kept", "kept"),
        (plan.held, "left as it is", "left as they are"),
        (plan.unfit, "row that does not fit", "rows that do not fit"),
    )
    told = ", ".join(counted(number, one, many) for number, one, many in counts if number)
    return f"{counted(plan.jobs, 'job')}: {told}" if told else "no jobs"


def _costs(plan: Plan) -> Listing:
    rows = [
        (
            line.model,
            f"{line.pictures:,}",
            f"${format_usd(line.cost_microusd)}",
            "" if line.official_microusd is None else f"${format_usd(line.official_microusd)}",
            ""
            if line.official_microusd is None
            else f"${format_usd(line.official_microusd - line.cost_microusd)}"
            f" ({saving_percent(line.cost_microusd, line.official_microusd)} %)",
        )
        for line in plan.models
    ]
    return table(
        [("model", "left"), ("pictures", "right"), ("cost", "right"), ("official price", "right"), ("saving", "right")],
        rows,
    )


def _money(plan: Plan) -> list[str]:
    if not plan.to_buy:
        return ["Nothing to buy."]
    cost, official = plan.cost_microusd, plan.official_microusd
    lines = [f"Worst case: ${format_usd(plan.worst_case_microusd)} for {counted(plan.to_buy, 'picture')}"]
    if plan.resends_microusd:
        lines[0] += f", ${format_usd(plan.resends_microusd)} of it for lost answers that are asked for again"
    if official is not None:
        saved = f"${format_usd(official - cost)} or {saving_percent(cost, official)} % less"
        lines[0] += f"; at the official price ${format_usd(official)}, so {saved}"
    if plan.credit_factor > 1 and official is not None:
        bonus = plan.with_bonus_microusd
        percent = round(100 * (plan.credit_factor - 1))
        lines.append(
            f"With the {percent} % top-up bonus that is ${format_usd(round(bonus, -3))} of what you pay,"
            f" {saving_percent(bonus, official)} % less than the official price"
        )
    if plan.budget_microusd is not None:
        budget, used = format_usd(plan.budget_microusd, places=2), format_usd(plan.committed_microusd)
        stop = "" if plan.affordable else ": the run will stop at the budget"
        lines.append(f"Budget: ${budget}, ${used} of it used{stop}")
    lines.append(f"Time: about {_duration(plan.estimate_s)} with {counted(plan.concurrency, 'request')} in flight")
    return lines


def _not_asked(manifest: Manifest, plan: Plan) -> list[str]:
    """The providers that will not stand in, though they are named, because nobody stated what they charge."""
    missing = {
        profile.name: ", ".join(line.model for line in plan.models if line.model not in profile.prices)
        for profile in manifest.profiles
    }
    return [f"{name} is not asked for {lacks}: no price is stated there" for name, lacks in missing.items() if lacks]


def _other_caps(manifest: Manifest) -> list[str]:
    """The budgets of the whole ledger, which a run counts against too."""
    limits = manifest.limits
    caps = (("day", limits.daily_microusd), ("month", limits.monthly_microusd), ("ledger", limits.total_microusd))
    told = [f"${format_usd(cap, places=2)} a {name}" for name, cap in caps[:2] if cap is not None]
    told += [f"${format_usd(cap, places=2)} in all" for _, cap in caps[2:] if cap is not None]
    return [f"The whole ledger may spend {', '.join(told)}: the run stops there too"] if told else []


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
