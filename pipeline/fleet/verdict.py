"""What becomes of a shard after a run of it."""

from dataclasses import dataclass

from pipeline.errors import ExitCode
from pipeline.report import Summary

#: Seconds until a shard is begun again: after the budget was reached while some of it was on order, after a fault, and
#: after its key was refused.
BUDGET_S, FAULT_S, KEY_S = 3.0, 10.0, 30.0
#: What every shard would meet here, so that this worker ends; others may do better.
FATAL = frozenset({ExitCode.ACCOUNT, ExitCode.CONFIGURATION})


@dataclass(frozen=True, slots=True)
class Verdict:
    """See ``Board.close_shard``."""

    again_s: float | None
    why: str
    leaves: bool = False
    fault: bool = False


def verdict_of(summary: Summary, *, on_order_microusd: int) -> Verdict:
    """What becomes of a shard that was run.

    Args:
        on_order_microusd: What requests under way hold of its manifest's budget: some of it may be given back.
    """
    causes, why = summary.causes, "; ".join(summary.notes[: len(summary.causes)])
    if ExitCode.BUDGET in causes:
        return Verdict(BUDGET_S if on_order_microusd else None, why, leaves=True)
    if ExitCode.TEMPORARY in causes or ExitCode.UNAVAILABLE in causes:  # at once: others may reach the provider
        return Verdict(0.0, why)
    if FATAL.intersection(causes):
        return Verdict(KEY_S, why)
    if causes:
        return Verdict(FAULT_S, why, fault=ExitCode.BUG in causes)
    return Verdict(None, "")
