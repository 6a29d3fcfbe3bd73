"""What a page is given to show: the ledger's survey as plain JSON values."""

import os
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from pipeline.bucket import in_bucket
from pipeline.catalog import models
from pipeline.ledger import Address, Scope, Shown, Survey
from pipeline.report.page.thumbnails import FOLDER, Thumbnails

#: A row's values that the page takes as the ledger has them.
_AS_THEY_ARE = (
    "id", "key", "manifest", "edition", "simulated", "index", "model", "prompt", "ratio", "duplicate", "settled",
    "passing", "attempts", "spent_microusd", "unknown_microusd", "sha256", "bytes", "width", "height", "format",
    "verdict", "bought_at", "stored_at", "url_age_s", "error_kind", "error_message", "request_id", "provider", "open",
)  # fmt: skip


#: Input images shown with a row; no model takes more.
_MOST_INPUTS = 10


@dataclass(frozen=True, slots=True)
class Places:
    """Where things are that a page leads to.

    Attributes:
        ledger: The ledger's file; its folder is what recorded paths are relative to.
        output: The folder that thumbnails are kept in.
        page: The page's file.
        options: The options that lead a command to the same ledger, as words; "" where it finds it by itself.
    """

    ledger: Address
    output: Path
    page: Path
    options: str = ""

    def picture_file(self, recorded: str) -> Path:
        """A picture's file."""
        return self.ledger.parent / recorded

    def picture(self, recorded: str) -> str:
        """A picture's address, relative to the page; of one in a bucket, the bucket's."""
        if in_bucket(recorded):
            return recorded
        return self._address(self.picture_file(recorded))

    def thumbnails(self) -> str:
        """The address of the thumbnails' folder, relative to the page."""
        return self._address(self.output / FOLDER)

    def _address(self, file: Path) -> str:
        there = os.path.relpath(Path(os.path.abspath(file)), Path(os.path.abspath(self.page)).parent)  # noqa: PTH100 - links stay what they are
        return quote(PurePosixPath(there).as_posix())


def document(
    survey: Survey, scope: Scope, places: Places, thumbnails: Thumbnails, inputs: Thumbnails, *, made_at: float
) -> dict[str, Any]:
    """A page's data.

    Args:
        thumbnails: Of the pictures.
        inputs: Of what was edited.
        made_at: Seconds since 1970.
    """
    return {
        "made_at": made_at,
        "manifest": scope.manifest,
        "run": scope.run,
        "ledger": places.ledger.name,
        "options": places.options,
        "total": survey.total,
        "thumbnails": places.thumbnails(),
        "embedded": inputs.embedded() | thumbnails.embedded(),
        "rows": [row_of(row, places, thumbnails.made, inputs.made) for row in survey.rows],
        **figures(survey),
    }


def live_document(rows: list[dict[str, Any]], told: dict[str, Any], places: Places, scope: Scope) -> dict[str, Any]:
    """The data of a page that is served while a run goes on.

    Args:
        rows: See ``live_row``.
        told: Figures, progress, and how far the page is behind: what an event would bring.
    """
    return {
        "manifest": scope.manifest,
        "run": scope.run,
        "ledger": places.ledger.name,
        "options": places.options,
        "thumbnails": "thumbnail",
        "rows": rows,
        **told,
    }


def live_row(row: Shown, places: Places) -> dict[str, Any]:
    """One row whose pictures are asked for by the ledger's numbers, never by a path."""
    told = row_of(row, places, frozenset())
    if "picture" in told:
        told |= {"picture": f"picture/{row.id}", "thumbnail": True}
    return told


def figures(survey: Survey) -> dict[str, Any]:
    """The numbers of a page, without its rows."""
    return {
        "counts": [asdict(count) for count in survey.counts],
        "money": [asdict(line) for line in survey.money],
        "ages": [asdict(bar) for bar in survey.ages],
        "budgets": [asdict(line) for line in survey.budgets],
        "runs": [asdict(run) for run in survey.runs],
        "models": {
            name: {"title": model.title, "official_microusd": model.official_usd} for name, model in models().items()
        },
    }


def row_of(row: Shown, places: Places, made: frozenset[str], inputs: frozenset[str] = frozenset()) -> dict[str, Any]:
    """One row; what is absent is left out."""
    told = {name: getattr(row, name) for name in _AS_THEY_ARE}
    told = {name: value for name, value in told.items() if value is not False and value != ""}
    told["state"] = "missed" if row.state == "lost" and row.sha256 else str(row.state)
    told |= {
        "seed": None if row.seed is None else str(row.seed),  # a browser's numbers are shorter
        "format_asked": row.asked.get("output_format"),
        "safety_tolerance": row.asked.get("safety_tolerance"),
        "prompt_upsampling": row.asked.get("prompt_upsampling"),
        "repeat": row.asked.get("repeat"),
        "inputs": ", ".join(row.asked.get("found_at", [])) or None,
        "input_pictures": [each for each in row.asked.get("inputs", [])[:_MOST_INPUTS] if each in inputs] or None,
    }
    if row.path is not None and row.state == "stored":
        told["file"] = row.path
        told["picture"] = places.picture(row.path)
        told["thumbnail"] = True if row.sha256 in made else None
    return {name: value for name, value in told.items() if value is not None}
