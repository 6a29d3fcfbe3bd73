"""``fluxbatch ledger resolve``: a person's word on money that bought nothing."""

import sys
from pathlib import Path

from pipeline.clock import SystemClock
from pipeline.errors import ExitCode, UsageError
from pipeline.ledger import JobState, Settlement, hold, settle
from pipeline.money import format_usd
from pipeline.report import to_json

_AFTER = {
    JobState.PLANNED: "not billed: the next run buys it",
    JobState.LOST: "billed, and accepted as lost",
    JobState.SPOILED: "billed, and accepted as spoiled",
}


def resolve_jobs(path: Path, keys: list[str], *, billed: bool | None, unknown: bool, json: bool) -> int:
    """Settle the jobs named, or every one with unknown money.

    Raises:
        UsageError: It is not said whether they were billed, or which they are.
    """
    if billed is None:
        raise UsageError("say --billed or --not-billed", remedy="the provider's bill tells")
    if bool(keys) == unknown:
        raise UsageError(
            "name the jobs by their keys, or all with --unknown", remedy="fluxbatch ledger export has them"
        )
    with hold(path, purpose="settling"):
        settled = settle(path, keys, billed=billed, clock=SystemClock())
    if json:
        sys.stdout.write(to_json({"settled": [_as_json(each) for each in settled]}) + "\n")
        return int(ExitCode.OK)
    for each in settled:
        after = _AFTER.get(each.after, f"{each.after}; its money is {'spent' if billed else 'given back'}")
        sys.stdout.write(f"{each.key[:12]}: ${format_usd(each.amount_microusd)}: {after}\n")
    if not settled:
        sys.stdout.write("no money is unknown\n")
    return int(ExitCode.OK)


def _as_json(settlement: Settlement) -> dict[str, str]:
    return {
        "key": settlement.key,
        "before": settlement.before,
        "after": settlement.after,
        "amount_usd": format_usd(settlement.amount_microusd),
    }
