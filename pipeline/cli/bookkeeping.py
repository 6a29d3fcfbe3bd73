"""``fluxbatch status`` and ``fluxbatch ledger ...``: what has happened, from the ledger."""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic_core import PydanticCustomError

from pipeline.catalog import models, profiles
from pipeline.cli.plain import plain
from pipeline.cli.tables import say, stdout_console, table
from pipeline.clock import SystemClock
from pipeline.errors import ExitCode, UsageError
from pipeline.ledger import (
    Address,
    BatchStatus,
    ExportFormat,
    JobState,
    Ledger,
    SpendBy,
    SpendLine,
    Verification,
    hold,
    repair,
)
from pipeline.money import format_usd, saving_percent
from pipeline.report import to_json
from pipeline.wording import counted

#: Findings that no repair puts right.
_BEYOND_REPAIR = {"altered", "damaged"}
#: What another run takes up by itself; and what it does not, whose reasons and remedies the report has.
_OPEN = (JobState.PLANNED, JobState.BUYING, JobState.BOUGHT)
_TROUBLE = (JobState.FAILED, JobState.LOST, JobState.SPOILED)


def show_status(path: Address, *, words: str, json: bool) -> int:
    """Print every manifest and edition, the one run last first.

    Args:
        path: The ledger.
        words: The options that lead another command to the same ledger; so below.
    """
    with Ledger(path) as ledger:
        batches = ledger.status()
    if json:
        sys.stdout.write(to_json({"ledger": str(path), "manifests": [_batch_json(batch) for batch in batches]}) + "\n")
        return int(ExitCode.OK)
    columns = [("manifest", "left"), ("last run", "left"), ("exit", "right"), ("jobs", "left")]
    columns += [("spent", "right"), ("unknown", "right")]
    rows = [
        (
            _name(batch),
            _when(batch.last_started_at),
            "under way or died" if batch.last_exit_code is None else str(batch.last_exit_code),
            ", ".join(f"{batch.states[state]:,} {state}" for state in JobState if batch.states.get(state)),
            f"${format_usd(batch.spent_microusd)}",
            f"${format_usd(batch.unknown_microusd + batch.reserved_microusd)}",
        )
        for batch in batches
    ]
    console = stdout_console()
    if batches:
        console.print(table(columns, rows))
    else:
        say(console, "no runs yet")
    say(console, f"-> {_after_status(batches, words)}")
    return int(ExitCode.OK)


def _after_status(batches: Sequence[BatchStatus], words: str) -> str:
    """The next useful command: what needs a person first, then what is still to be bought."""
    if not batches:
        return "fluxbatch init"
    unclear = [batch for batch in batches if batch.unknown_microusd]
    if any(not batch.simulated for batch in unclear):
        return f"fluxbatch reconcile{words}"
    if unclear:
        return f"fluxbatch ledger resolve --unknown --billed (or --not-billed){words}"
    if any(batch.last_exit_code is None for batch in batches):
        return f"fluxbatch run MANIFEST{words} (or, while it is under way: fluxbatch watch{words})"
    states = {state for batch in batches for state, number in batch.states.items() if number}
    if states.intersection(_OPEN):
        return f"fluxbatch run MANIFEST{words}"
    if states.intersection(_TROUBLE):
        return f"fluxbatch report{words}"
    return f"fluxbatch ledger verify{words}"


def export_ledger(path: Address, *, form: ExportFormat, to: Path | None) -> int:
    """Write one row a job."""
    with Ledger(path) as ledger:
        ledger.export(to=to, form=form, stdout=sys.stdout)
    return int(ExitCode.OK)


def endpoint_address(text: str) -> str:
    """A bucket's server, as a manifest would take it.

    Raises:
        UsageError: It is none.
    """
    from pipeline.manifest.fields import read_endpoint

    try:
        return read_endpoint(text)
    except PydanticCustomError as error:
        raise UsageError("--endpoint: no address of a server", remedy="such as https://s3.example.com") from error


def verify_ledger(path: Address, *, words: str, json: bool, mend: bool = False, endpoint: str | None = None) -> int:
    """Prove the ledger; list what does not hold. What is safe to put right is, before, when asked for."""
    Ledger(path).close()  # there is one, or this says so
    repaired: list[str] = []
    if mend:
        with hold(path, purpose="repair"):
            repaired = repair(path, clock=SystemClock(), endpoint=endpoint)
    with Ledger(path) as ledger:
        found = ledger.verify(endpoint=endpoint)
    code = ExitCode.OK if found.proven else ExitCode.MONEY_UNCLEAR
    if json:
        told = {
            "ledger": str(path),
            "pictures": found.pictures,
            "attempts": found.attempts,
            "spend_usd": format_usd(found.spent_microusd),
            "simulated_spend_usd": format_usd(found.simulated_microusd),
            "repaired": repaired,
            "findings": [asdict(finding) for finding in found.findings],
            "exit_code": int(code),
        }
        sys.stdout.write(to_json(told) + "\n")
        return int(code)
    for line in repaired:
        sys.stdout.write(f"repaired: {plain(line)}\n")
    for finding in found.findings:
        sys.stdout.write(plain(f"{finding.kind}: {finding.subject}: {finding.message}") + "\n")
    checked = f"{counted(found.pictures, 'picture')} and {counted(found.attempts, 'attempt')} checked"
    open_ones = sum(finding.needs_person for finding in found.findings)
    needs = "needs" if open_ones == 1 else "need"
    verdict = "all proven" if found.proven else f"{counted(open_ones, 'finding')} {needs} a person"
    money = f"${format_usd(found.spent_microusd)} spent"
    if found.simulated_microusd:
        money += f" and ${format_usd(found.simulated_microusd)} of make-believe money"
    sys.stdout.write(f"{checked}, {money}: {verdict}\n-> {_after_verify(found, words, mended=mend)}\n")
    return int(code)


def _after_verify(found: Verification, words: str, *, mended: bool) -> str:
    open_ones = {finding.kind for finding in found.findings if finding.needs_person}
    if mended or open_ones <= _BEYOND_REPAIR:
        return f"fluxbatch report{words}"
    return f"fluxbatch ledger verify --repair{words}"


def show_spend(path: Address, *, by: SpendBy, words: str, json: bool) -> int:
    """Print what was spent, on what, with the same pictures' official price beside it; make-believe money apart."""
    with Ledger(path) as ledger:
        lines = ledger.spend(by)
    paid = _paid_with_bonus(lines)
    if json:
        groups = [_spend_json(line) for line in lines]
        sys.stdout.write(to_json({"by": by, "groups": groups, "with_bonus_usd": format_usd(paid)}) + "\n")
        return int(ExitCode.OK)
    columns = [(by, "left"), ("pictures", "right"), ("spent", "right"), ("unknown", "right"), ("reserved", "right")]
    columns += [("official", "right"), ("saving", "right")]
    real = [line for line in lines if not line.simulated]
    console = stdout_console()
    totals = [_total(group) for group in (real, [line for line in lines if line.simulated]) if group]
    console.print(table(columns, [_spend_row(line) for line in (*lines, *totals)]))
    if paid != sum(line.spent_microusd for line in real):
        say(console, f"With the top-up bonus that is ${format_usd(paid)} of what you pay.")
    say(console, f"-> fluxbatch report{words}")
    return int(ExitCode.OK)


def _total(lines: list[SpendLine]) -> SpendLine:
    counts: Counter[str] = Counter()
    for line in lines:
        counts.update(line.models)
    return SpendLine(
        group="total",
        simulated=lines[0].simulated,
        models=dict(counts),
        spent_microusd=sum(line.spent_microusd for line in lines),
        unknown_microusd=sum(line.unknown_microusd for line in lines),
        reserved_microusd=sum(line.reserved_microusd for line in lines),
    )


def _paid_with_bonus(lines: list[SpendLine]) -> int:
    """What the real money spent costs in dollars topped up, by each provider's credit factor."""
    spent: Counter[str] = Counter()
    for line in lines:
        if not line.simulated:
            spent.update(line.providers)
    known = profiles()
    return sum(
        round(amount / (known[name].credit_factor if name in known else 1) / 1_000) * 1_000
        for name, amount in spent.items()
    )


def _official_microusd(line: SpendLine) -> int | None:
    """What the same pictures cost at their models' vendors; None when one of them publishes no price."""
    total = 0
    for model, pictures in line.models.items():
        spec = models().get(model)
        if spec is None or spec.official_usd is None:
            return None
        total += pictures * spec.official_usd
    return total


def _spend_row(line: SpendLine) -> tuple[str, ...]:
    official = _official_microusd(line)
    money = [f"${format_usd(each)}" for each in (line.spent_microusd, line.unknown_microusd, line.reserved_microusd)]
    group = line.group + (" (pretend)" if line.simulated else "")
    if official is None:
        return (group, f"{line.pictures:,}", *money, "", "")
    saved = saving_percent(line.spent_microusd, official)
    return (group, f"{line.pictures:,}", *money, f"${format_usd(official)}", f"{saved} %")


def _spend_json(line: SpendLine) -> dict[str, Any]:
    official = _official_microusd(line)
    return {
        "group": line.group,
        "simulated": line.simulated,
        "pictures": line.pictures,
        "spend_usd": format_usd(line.spent_microusd),
        "unknown_usd": format_usd(line.unknown_microusd),
        "reserved_usd": format_usd(line.reserved_microusd),
        "official_usd": None if official is None else format_usd(official),
    }


def _batch_json(batch: BatchStatus) -> dict[str, Any]:
    return {
        "manifest": batch.manifest,
        "edition": batch.edition,
        "simulated": batch.simulated,
        "states": {str(state): batch.states.get(state, 0) for state in JobState},
        "spend_usd": format_usd(batch.spent_microusd),
        "unknown_usd": format_usd(batch.unknown_microusd),
        "reserved_usd": format_usd(batch.reserved_microusd),
        "last_run": batch.last_run,
        "last_exit_code": batch.last_exit_code,
    }


def _name(batch: BatchStatus) -> str:
    edition = f" / {batch.edition}" if batch.edition else ""
    return batch.manifest + edition + (" (simulated)" if batch.simulated else "")


def _when(at: float | None) -> str:
    return "" if at is None else datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M")
