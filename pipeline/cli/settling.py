"""``fluxbatch ledger resolve``: a person's word on money that bought nothing."""

import sys

from pipeline.clock import SystemClock
from pipeline.errors import ExitCode, UsageError
from pipeline.ledger import Address, JobState, Settlement, hold, settle
from pipeline.money import format_usd
from pipeline.report import to_json


def resolve_jobs(path: Address, keys: list[str], *, billed: bool | None, unknown: bool, words: str, json: bool) -> int:
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
        sys.stdout.write(f"{each.key[:12]}: ${format_usd(each.amount_microusd)}: {_told(each, billed=billed)}\n")
    if not settled:
        sys.stdout.write("no money is unknown\n")
    sys.stdout.write(f"-> fluxbatch ledger verify{words}\n")
    return int(ExitCode.OK)


def _told(settlement: Settlement, *, billed: bool) -> str:
    """What has become of a job, in words."""
    money = "billed" if billed else "not billed"
    match settlement.after:
        case JobState.PLANNED:
            return f"{money}: the next run buys it"
        case JobState.LOST | JobState.SPOILED if settlement.accepted:
            return f"{money}, and accepted as {settlement.after}"
        case JobState.LOST | JobState.SPOILED:
            return (
                f"{money}; that the picture is {settlement.after} is still open: settle it once more, or --rebuy-lost"
            )
        case _:
            return f"{money}; the job is {settlement.after}"


def _as_json(settlement: Settlement) -> dict[str, str]:
    return {
        "key": settlement.key,
        "before": settlement.before,
        "after": settlement.after,
        "amount_usd": format_usd(settlement.amount_microusd),
    }
