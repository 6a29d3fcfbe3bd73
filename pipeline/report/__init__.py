"""What people see of a run: its progress and its summary."""

from pipeline.report.snapshot import Snapshot
from pipeline.report.summary import Summary, combined, to_json

__all__ = ["Snapshot", "Summary", "combined", "to_json"]
