"""The only module that guesses what a table's columns mean: by the names that people and other programs give them."""

from pathlib import Path
from typing import Any

from pipeline.errors import NotFoundError
from pipeline.exchange.writing import Wanted, Writer, braced, problem, relative
from pipeline.manifest import Manifest
from pipeline.manifest.rows import open_rows
from pipeline.manifest.rowsource import RowsError
from pipeline.manifest.template import NAME

#: By the manifest's key: what such a column is called, the likeliest first.
_NAMES = {
    "prompt": ("prompt", "text", "description", "caption"),
    "model": ("model",),
    "ratio": ("ratio", "aspect_ratio"),
    "use": ("use",),
    "seed": ("seed",),
    "format": ("format", "output_format"),
    "safety_tolerance": ("safety_tolerance",),
    "prompt_upsampling": ("prompt_upsampling",),
}
_IMAGES = (("reference", "base"), ("input_image", "input_image_2"), ("input_image",), ("image",))


def import_table(wanted: Wanted) -> Manifest:
    """Make a manifest whose rows are a CSV or JSONL file, which stays where and as it is.

    Raises:
        NotFoundError: The file cannot be read.
        ManifestError: No column holds prompts, and no prompt was given.
        OutputError: Something is there already, or cannot be written.
    """
    source = wanted.source
    if not source.exists():
        raise NotFoundError(source, remedy="name a list that can be read")
    try:
        columns = open_rows(source, str(source)).columns
    except RowsError as exc:
        raise problem(source, 1, str(exc).removeprefix(f"{source}: "), "name a .csv or .jsonl file") from None
    return Writer(wanted).finish([job_of(relative(source, wanted.manifest), columns, wanted, source)])


def job_of(rows: str, columns: tuple[str, ...], wanted: Wanted, source: Path) -> dict[str, Any]:
    """The job that asks for one picture a row."""
    named = {column.lower(): column for column in columns if NAME.fullmatch(column)}
    job: dict[str, Any] = {"rows": rows}
    for key, names in _NAMES.items():
        if column := next((named[name] for name in names if name in named), None):
            job[key] = f"{{{column}}}"
    if "ratio" in job:
        job.pop("use", None)
    if wanted.prompt:
        job["prompt"] = wanted.prompt if "{" in wanted.prompt else braced(wanted.prompt)
    if "prompt" not in job:
        hint = "give one with --prompt; {COLUMN} in it stands for a column"
        raise problem(source, 1, f"no column is called prompt, but {', '.join(columns[:20])}", hint)
    if images := next((names for names in _IMAGES if all(name in named for name in names)), None):
        job["images"] = [f"{{{named[name]}}}" for name in images]
    return job
