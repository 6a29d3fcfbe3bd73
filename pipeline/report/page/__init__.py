"""The report: one page that shows what was bought, what it cost and what went wrong, beside the pictures."""

from pipeline.report.page.document import Places
from pipeline.report.page.making import MOST_ROWS, PAGE, Report, write_report
from pipeline.report.page.sheet import write_sheet

__all__ = ["MOST_ROWS", "PAGE", "Places", "Report", "write_report", "write_sheet"]
