"""The ledger held against what the provider says it billed: which request is which entry, and what differs."""

from pipeline.reconcile.comparison import DayLine, Period, Reconciliation, compare
from pipeline.reconcile.findings import Finding

__all__ = ["DayLine", "Finding", "Period", "Reconciliation", "compare"]
