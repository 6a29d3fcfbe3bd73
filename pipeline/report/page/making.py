"""Making a report: the ledger asked, small copies made, and the page put in its place."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.clock import Clock, SystemClock
from pipeline.ledger import Ledger, Scope
from pipeline.report.page.document import Places, document
from pipeline.report.page.joining import MARK, joined
from pipeline.report.page.thumbnails import FOLDER, inputs_of, make_thumbnails, sources
from pipeline.report.page.writing import put_text

#: The name of the page of a whole ledger.
PAGE = "report.html"
#: The most rows in a page, and the most characters in their prompts: about 30 MB of page at the very most. The figures
#: count every row.
MOST_ROWS = 10_000
MOST_PROMPTS = 8_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A page that was written.

    Attributes:
        page: Its file.
        rows: All rows it is about.
        shown: Those it shows one by one.
        thumbnails: Pictures that have a small copy.
    """

    page: Path
    rows: int
    shown: int
    thumbnails: int


def write_report(
    places: Places,
    scope: Scope,
    *,
    thumbnails_s: float,
    most_rows: int = MOST_ROWS,
    clock: Clock | None = None,
) -> Report:
    """Write the page. Blocks; call from a thread.

    Args:
        thumbnails_s: How long small copies may be made, in seconds; pictures without one are shown themselves.

    Raises:
        NotFoundError: There is no such ledger, or no such run or manifest in it.
        UsageError: The page's place is one of the ledger's own.
        OutputError: The page cannot be written, or something else is in its place.
        StorageError: The disk is full; the ledger is damaged.
    """
    clock = clock or SystemClock()
    with Ledger(places.ledger) as ledger:
        ledger.refuse_ours(places.page)
        survey = ledger.survey(scope, limit=most_rows, prompts=MOST_PROMPTS, clock=clock)
    made = make_thumbnails(
        places.output / FOLDER,
        sources(survey.rows, places.picture_file),
        within_s=thumbnails_s,
        monotonic=clock.monotonic,
    )
    inputs = inputs_of(places.output / FOLDER, survey.rows)
    data = document(survey, scope, places, made, inputs, made_at=clock.wall())
    put_text(places.page, joined(data), mark=MARK)
    return Report(page=places.page, rows=survey.total, shown=len(survey.rows), thumbnails=len(made.made))
