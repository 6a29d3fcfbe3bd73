"""The report: one page that shows what was bought, what it cost and what went wrong, beside the pictures."""

from pipeline.report.page.document import Places, figures, live_document, live_row
from pipeline.report.page.joining import joined
from pipeline.report.page.making import MOST_PROMPTS, MOST_ROWS, PAGE, Report, write_report
from pipeline.report.page.sheet import write_sheet
from pipeline.report.page.thumbnails import FOLDER, Source, make_one, sources

__all__ = [
    "FOLDER",
    "MOST_PROMPTS",
    "MOST_ROWS",
    "PAGE",
    "Places",
    "Report",
    "Source",
    "figures",
    "joined",
    "live_document",
    "live_row",
    "make_one",
    "sources",
    "write_report",
    "write_sheet",
]
