"""``fluxbatch reconcile``: the ledger beside the provider's own log of what it billed."""

import os
import sys
from datetime import date, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import anyio
from rich.console import Console
from rich.text import Text

from pipeline.catalog import Profile
from pipeline.cli.tables import say, stdout_console, table
from pipeline.errors import ExitCode, UsageError
from pipeline.ledger import Address, Ledger
from pipeline.manifest import Manifest, known_profiles, load_manifest
from pipeline.money import format_usd
from pipeline.provider import Billed
from pipeline.reconcile import DayLine, Finding, Reconciliation
from pipeline.reconcile.findings import counted, signed_usd
from pipeline.report import to_json
from pipeline.runner.reconciling import Asked, reconcile

#: Jobs and entries shown one by one; --json has all.
SHOWN = 10
#: Digits of a key in a command: two jobs of a ledger with a million have the same ones once in 500 ledgers.
_KEY_DIGITS = 12
_KEYS_A_COMMAND = 50


def show_reconciliation(
    path: Address,
    *,
    manifest: Path | None,
    provider: str | None,
    since: str | None,
    until: str | None,
    token_name: str,
    words: str,
    json: bool,
) -> int:
    """Compare, and print what differs and what can be done.

    Args:
        path: The ledger.
        words: The options that lead another command to the same ledger.
    """
    asked = Asked(since=_date("--since", since), until=_date("--until", until), token_name=token_name)
    Ledger(path).close()  # there is one, or this says so
    profile = _profile(path, manifest, provider)

    async def run() -> Reconciliation:
        return await reconcile(profile, ledger=path, asked=asked, environment=os.environ)

    found = anyio.run(run)
    code = ExitCode.MONEY_UNCLEAR if found.findings else ExitCode.OK
    if json:
        sys.stdout.write(to_json(_as_json(found, profile, path, code)) + "\n")
    else:
        show(found, profile, words, stdout_console())
    return int(code)


def _profile(path: Address, manifest: Path | None, provider: str | None) -> Profile:
    """The provider: of the manifest, by its name, or the only one of the ledger's with real money."""
    if manifest is not None:
        return provider_meant(load_manifest(manifest), provider)
    if provider is None:
        with Ledger(path) as ledger:
            known = ledger.providers()
        real = [name for name, simulated in known if not simulated] or [name for name, _ in known]
        if len(real) != 1:
            told = f"the ledger has money at {', '.join(real)}" if real else "the ledger has no runs"
            raise UsageError(f"{told}: which provider is to be asked?", remedy="say --provider PROFILE, or a manifest")
        provider = real[0]
    profiles = known_profiles()
    if provider not in profiles:
        raise UsageError(f"there is no provider profile named {provider!r}", remedy=f"one of {', '.join(profiles)}")
    return profiles[provider]


def provider_meant(manifest: Manifest, provider: str | None) -> Profile:
    """A manifest's provider; where it has several, the one that is named, or that alone has a log to read.

    Raises:
        UsageError: It is named although there is one only, is none of them, or is not named and there are several.
    """
    names = [profile.name for profile in manifest.profiles]
    if len(names) == 1 and provider is not None:
        raise UsageError("a manifest names its provider already", remedy="leave out --provider")
    if provider is not None and provider not in names:
        raise UsageError(f"{manifest.path} has no provider {provider!r}", remedy=f"one of {', '.join(names)}")
    meant = [each for each in manifest.profiles if each.name == provider or (provider is None and each.log is not None)]
    if len(names) > 1 and len(meant) > 1:
        told = f"{manifest.path} may buy at {', '.join(names)}: which is to be asked?"
        raise UsageError(told, remedy="say --provider PROFILE, and then the other")
    return meant[0] if meant else manifest.profile


def _date(option: str, text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option} {text}: not a date", remedy=f"write it as in {option} 2026-11-23") from None


def show(found: Reconciliation, profile: Profile, words: str, console: Console) -> None:
    """Print a comparison for people."""
    say(console, _verdict(found, profile), style="bold yellow" if found.findings else "bold green")
    if found.lines:
        columns = [("day and model", "left"), ("ledger", "right"), ("unknown", "right"), ("log", "right")]
        console.print(table([*columns, ("difference", "right")], _rows(found.lines)))
    for finding in found.findings:
        say(console, finding.message, style="bold")
        for line in _subjects(finding):
            console.print(Text(f"  {line}"), soft_wrap=True)
        for line in _commands(finding, words):
            console.print(Text(f"  -> {line}"), soft_wrap=True)  # never folded, so that it can be copied
        if finding.advice:
            say(console, f"-> {finding.advice}", label="  ")
    for line in _notes(found):
        say(console, line)
    if not found.findings:
        say(console, f"-> fluxbatch ledger spend --by provider{words}")


def _verdict(found: Reconciliation, profile: Profile) -> str:
    since, until = found.period.since, found.period.until
    days = f"on {since}" if since == until else f"from {since} to {until}"
    of = f"{profile.name} {days}"
    if not found.findings:
        return f"{of}: ledger and log agree" if found.lines else f"{of}: nothing in the ledger, nothing in the log"
    return f"{of}: {counted(len(found.findings), 'difference')} to look at"


def _rows(lines: tuple[DayLine, ...]) -> list[tuple[str, ...]]:
    """Each day above its models, and the total at the end."""
    rows: list[tuple[str, ...]] = []
    for day, models in groupby(lines, key=lambda line: line.day):
        rows.append((day, "", "", "", ""))
        rows += [_row(f" {line.model}", line) for line in models]
    return [*rows, _row("total", _total(lines))] if len(lines) > 1 else rows


def _row(title: str, line: DayLine) -> tuple[str, ...]:
    differs = line.difference or line.difference_microusd
    return (
        title,
        _amount(line.spent, line.spent_microusd),
        _amount(line.unknown, line.unknown_microusd),
        _amount(line.billed, line.billed_microusd),
        f"{line.difference:+,} {signed_usd(line.difference_microusd)}" if differs else "",
    )


def _total(lines: tuple[DayLine, ...]) -> DayLine:
    total = DayLine(day="total", model="")
    for line in lines:
        total.spent += line.spent
        total.spent_microusd += line.spent_microusd
        total.unknown += line.unknown
        total.unknown_microusd += line.unknown_microusd
        total.billed += line.billed
        total.billed_microusd += line.billed_microusd
    return total


def _amount(number: int, microusd: int) -> str:
    return f"{number:,} ${format_usd(microusd)}" if number else ""


def _subjects(finding: Finding) -> list[str]:
    """Which requests it is about, where no command names them."""
    told = [_entry(entry) for entry in finding.entries]
    if finding.kind != "price" and not (finding.billed or finding.not_billed):
        told += [f"job {key[:_KEY_DIGITS]}" for key in finding.keys]
    return told if len(told) <= SHOWN else [*told[:SHOWN], f"and {len(told) - SHOWN:,} more: --json has all"]


def _commands(finding: Finding, words: str) -> list[str]:
    choices = ((finding.billed, "--billed"), (finding.not_billed, "--not-billed"))
    return [
        f"fluxbatch ledger resolve {' '.join(key[:_KEY_DIGITS] for key in some)} {word}{words}"
        for keys, word in choices
        for some in (keys[start : start + _KEYS_A_COMMAND] for start in range(0, len(keys), _KEYS_A_COMMAND))
    ]


def _entry(entry: Billed) -> str:
    at = datetime.fromtimestamp(entry.at).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    names = f" {entry.request_id}" if entry.request_id else ""
    names += f" key {entry.token_name}" if entry.token_name else ""
    return f"{at} {entry.model} ${format_usd(entry.microusd)}{names}"


def _notes(found: Reconciliation) -> list[str]:
    """What is worth knowing, and nobody's task."""
    notes = []
    if found.by_time:
        pairs = found.by_name + found.by_time
        notes.append(f"{found.by_time:,} of {counted(pairs, 'pair')} told by model and time, the others by request id")
    if found.under_way:
        notes.append(f"{counted(found.under_way, 'request')} under way, not compared: look again when they have ended")
    if found.others:
        what = ", ".join(
            f"{number:,} {model} ${format_usd(amount)}" for model, (number, amount) in found.others.items()
        )
        notes.append(f"The account has paid for other models, too, which are not compared: {what}")
    return notes


def _as_json(found: Reconciliation, profile: Profile, path: Address, code: ExitCode) -> dict[str, Any]:
    return {
        "ledger": str(path),
        "provider": profile.name,
        "simulated": profile.simulated,
        "since": found.period.since.isoformat(),
        "until": found.period.until.isoformat(),
        "days": [{"day": line.day, "model": line.model, **_line_json(line)} for line in found.lines],
        "total": _line_json(_total(found.lines)),
        "findings": [_finding_json(finding) for finding in found.findings],
        "matched_by_name": found.by_name,
        "matched_by_time": found.by_time,
        "under_way": found.under_way,
        "other_models": {
            model: {"billed": number, "billed_usd": format_usd(amount)}
            for model, (number, amount) in found.others.items()
        },
        "exit_code": int(code),
    }


def _line_json(line: DayLine) -> dict[str, Any]:
    return {
        "spent": line.spent,
        "spend_usd": format_usd(line.spent_microusd),
        "unknown": line.unknown,
        "unknown_usd": format_usd(line.unknown_microusd),
        "billed": line.billed,
        "billed_usd": format_usd(line.billed_microusd),
        "difference": line.difference,
        "difference_usd": format_usd(line.difference_microusd),
    }


def _finding_json(finding: Finding) -> dict[str, Any]:
    return {
        "kind": finding.kind,
        "count": finding.count,
        "amount_usd": format_usd(finding.microusd),
        "message": finding.message,
        "advice": finding.advice,
        "keys": list(finding.keys),
        "resolve_billed": list(finding.billed),
        "resolve_not_billed": list(finding.not_billed),
        "entries": [
            {
                "at": datetime.fromtimestamp(entry.at).astimezone().isoformat(),
                "model": entry.model,
                "amount_usd": format_usd(entry.microusd),
                "request_id": entry.request_id,
                "token_name": entry.token_name,
            }
            for entry in finding.entries
        ],
    }
