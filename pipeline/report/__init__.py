"""What people see of a run: its progress and its summary."""

from pipeline.report.snapshot import Snapshot
from pipeline.report.summary import SHOWN_TROUBLES, Summary, combined, to_json

__all__ = ["SHOWN_TROUBLES", "Snapshot", "Summary", "combined", "to_json"]
