"""``fluxbatch doctor``: what a run would need, and what to mend."""

import os
import shlex
import sys
from functools import partial
from pathlib import Path

import anyio
from rich.console import Console
from rich.text import Text

from pipeline.bucket import BucketAddress
from pipeline.catalog import Profile
from pipeline.cli.plain import plain
from pipeline.clock import SystemClock
from pipeline.errors import UsageError
from pipeline.ledger import Address
from pipeline.manifest import known_profiles, load_manifest
from pipeline.report import to_json
from pipeline.runner.doctor import examine

_STYLES = {"ok": "green", "warning": "yellow", "trouble": "bold red"}


def doctor(
    *, manifest: Path | None, provider: str | None, output: Path, ledger: Address, words: str = "", json: bool
) -> int:
    """Examine this machine for a provider, and say what to do.

    Args:
        manifest: Says which provider, as ``provider`` does.
        provider: A profile's name.
        output: Where pictures go.
        ledger: The ledger, which need not be there.
        words: Options that lead another command to the same ledger.
        json: Print one object instead.

    Raises:
        UsageError: There is no such profile, or two are named.
    """
    profiles, store = _examined(manifest, provider)
    look = partial(
        examine, profiles, output=output, ledger=ledger, environment=os.environ, clock=SystemClock(), store=store
    )
    found = anyio.run(look)
    if json:
        checks = [
            {"name": check.name, "verdict": check.verdict, "message": check.message, "remedy": check.remedy}
            for check in found.checks
        ]
        sys.stdout.write(
            to_json(
                {
                    "provider": ", ".join(each.name for each in profiles),
                    "checks": checks,
                    "exit_code": int(found.exit_code),
                }
            )
            + "\n"
        )
        return int(found.exit_code)
    console = Console(highlight=False)
    for check in found.checks:
        line = Text(f"{check.verdict:8}", style=_STYLES[check.verdict]).append(f"{check.name:8} ", style="bold")
        console.print(line.append(Text(check.message, style="not bold default")), soft_wrap=True)
        if check.remedy:
            console.print(Text(f"  -> {check.remedy}"), soft_wrap=True)
    if found.exit_code:
        about = f" {shlex.quote(str(manifest))}" if manifest else f" --provider {provider}" if provider else ""
        following = f"mend this, then: fluxbatch doctor{about}{words}"
    else:
        following = f"fluxbatch run {shlex.quote(str(manifest)) if manifest else 'MANIFEST'}{words}"
    console.print(Text(plain(f"-> {following}")), soft_wrap=True)
    return int(found.exit_code)


def _examined(manifest: Path | None, provider: str | None) -> tuple[tuple[Profile, ...], BucketAddress | None]:
    """The providers, and the bucket where the manifest has one."""
    if manifest is not None and provider is not None:
        raise UsageError("name a manifest or a provider, not both", remedy="the manifest says its own")
    if manifest is not None:
        loaded = load_manifest(manifest)
        return loaded.profiles, loaded.store
    name = provider or "apiyi"
    known = known_profiles()
    if name not in known:
        raise UsageError(f"there is no provider profile named {name}", remedy=f"one of {', '.join(known)}")
    return (known[name],), None
