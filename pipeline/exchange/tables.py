"""The only module that guesses what a table's columns mean: by the names that people and other programs give them."""

import json
from pathlib import Path
from typing import Any

from pipeline.errors import NotFoundError
from pipeline.exchange.writing import MAX_BYTES, Wanted, Writer, braced, problem, relative
from pipeline.manifest import Manifest
from pipeline.manifest.rows import MAX_COLUMNS, RowsFile, open_rows
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

    Objects whose keys differ are copied into a rows file beside the manifest, where each has all of them: a manifest
    asks every row for the same keys, and a ratio that the first row lacks would be left out of all.

    Raises:
        NotFoundError: The file cannot be read.
        ManifestError: No column holds prompts, and no prompt was given.
        OutputError: Something is there already, or cannot be written.
    """
    source = wanted.source
    if not source.exists():
        raise NotFoundError(source, remedy="name a list that can be read")
    try:
        file = open_rows(source, str(source))
    except RowsError as exc:
        raise problem(source, 1, str(exc).removeprefix(f"{source}: "), "name a .csv or .jsonl file") from None
    writer = Writer(wanted)
    keys = _keys_of_all(file)
    if keys is None:
        return writer.finish([job_of(relative(source, wanted.manifest), file.columns, wanted, source)])
    rows = writer.add(wanted.beside(".rows.jsonl"), _levelled(file, keys))
    return writer.finish([job_of(rows, keys, wanted, source)])


def _keys_of_all(file: RowsFile) -> tuple[str, ...] | None:
    """Every key of JSON rows that do not all have the same; None of a table, or where they do."""
    if file.path.suffix.lower() not in {".jsonl", ".ndjson"}:
        return None
    keys = dict.fromkeys(file.columns)
    level = True
    for row in file.rows(()):
        if row.cells is not None:
            own = json.loads(row.raw)
            level = level and own.keys() == keys.keys()
            keys.update(dict.fromkeys(own))
            if len(keys) > MAX_COLUMNS:
                raise problem(file.path, row.line, f"has more than {MAX_COLUMNS:,} keys, with the rows before", "")
    if not level and file.path.stat().st_size > MAX_BYTES:
        raise problem(file.path, 1, "has rows of different keys, and is larger than 256 MiB", "give all rows the same")
    return None if level else tuple(keys)


def _levelled(file: RowsFile, keys: tuple[str, ...]) -> str:
    """The same rows at the same lines, each with all of these keys; a broken one stays as it is, to be told of."""
    lines: list[str] = []
    for row in file.rows(()):
        lines += [""] * (row.line - 1 - len(lines))
        if row.cells is None:
            lines.append(row.raw if isinstance(row.raw, str) else f"cannot be read: {row.fault}")
        else:
            own = json.loads(row.raw, parse_int=str, parse_float=str)
            lines.append(json.dumps({key: own.get(key, "") for key in keys}))
    return "\n".join(lines) + "\n"


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
