"""The only module that knows the OpenAI batch format: one request a line, each with an id of its own."""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterator
from math import gcd
from pathlib import Path
from typing import Any

from pipeline.errors import UsageError
from pipeline.exchange.tables import job_of
from pipeline.exchange.writing import Wanted, Writer, problem, read_list
from pipeline.inputs import InputError, prepared
from pipeline.job import InputImage, Job, is_url, named
from pipeline.manifest import Manifest
from pipeline.provider import request_body

_PATH = "/v1/images/generations"
_SIZE = re.compile(r"([1-9][0-9]{0,5})x([1-9][0-9]{0,5})")
_DATA_URL = re.compile(r"data:image/(png|jpeg|webp);base64,")
_MAX_N = 10
_MAX_IMAGES = 8
#: A batch's parameters, by the column they go into.
_PARAMETERS = {
    "prompt": "prompt",
    "model": "model",
    "aspect_ratio": "ratio",
    "seed": "seed",
    "output_format": "format",
    "safety_tolerance": "safety_tolerance",
    "prompt_upsampling": "prompt_upsampling",
}


def import_batch(wanted: Wanted) -> Manifest:
    """Make a manifest and its rows of a batch; images that stand in it become files.

    Raises:
        NotFoundError: The batch cannot be read.
        ManifestError: A line is not a request for an image.
        OutputError: Something is there already, or cannot be written.
    """
    writer = Writer(wanted)
    groups: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for number, line in enumerate(read_list(wanted.source).split("\n"), start=1):
        if line.strip():
            row, images, times = _row(line, number, wanted.source)
            row |= {f"image_{place}": _file(image, writer, number) for place, image in enumerate(images, start=1)}
            groups.setdefault((len(images), times), []).append(row)
    if not groups:
        raise problem(wanted.source, 1, "holds no requests", "a request a line, as JSON")
    jobs = []
    for (inside, times), rows in groups.items():
        kind = f"{f'.{inside}-images' if inside else ''}{f'.{times}-times' if times > 1 else ''}"
        columns = tuple(dict.fromkeys(column for row in rows for column in row))
        text = "".join(json.dumps({column: row.get(column, "") for column in columns}) + "\n" for row in rows)
        job = job_of(writer.add(wanted.beside(f"{kind}.rows.jsonl"), text), columns, wanted, wanted.source)
        if inside:
            job["images"] = [f"{{image_{place}}}" for place in range(1, inside + 1)]
        jobs.append(job | ({"repeat": times} if times > 1 else {}))
    return writer.finish(jobs)


def export_batch(manifest: Manifest, *, limit: int | None = None) -> Iterator[str]:
    """A manifest's jobs as a batch, a line each, inputs prepared and inside; rows that do not fit are left out.

    Raises:
        UsageError: An input is a URL that would have to be fetched, or will not do.
    """
    for count, job in enumerate(manifest.jobs(), start=1):
        if limit is not None and count > limit:
            return
        if isinstance(job, Job):
            body = request_body(job.request, wire="flat", images=_images(job))
            line = {"custom_id": f"{manifest.name}-{job.index:05}", "method": "POST", "url": _PATH, "body": body}
            yield json.dumps(line, ensure_ascii=False) + "\n"


def _images(job: Job) -> tuple[InputImage, ...]:
    for source in job.found_at:
        if is_url(source):
            raise UsageError(f"{job.source}: {named(source)} is not fetched here", remedy="save it as a file first")
    try:
        return prepared(job.request, job.found_at)
    except InputError as exc:
        raise UsageError(f"{job.source}: {exc.message}", remedy="fluxbatch check finds all of them") from exc


def _row(line: str, number: int, source: Path) -> tuple[dict[str, Any], list[str], int]:
    """One request: its columns, its images, and how many pictures it asks for."""
    try:
        asked = json.loads(line)
    except (ValueError, RecursionError):
        raise problem(source, number, "is not JSON", "a request a line") from None
    body = asked.get("body") if isinstance(asked, dict) else None
    if not isinstance(body, dict) or not str(asked.get("url", _PATH)).endswith("/images/generations"):
        raise problem(source, number, f"is not a request to {_PATH}", "it needs url and body")
    nested = body.get("extra_body")
    body = (nested if isinstance(nested, dict) else {}) | {
        key: value for key, value in body.items() if value is not None
    }
    row = {"custom_id": str(asked.get("custom_id", ""))}
    row |= {column: _text(body[name]) for name, column in _PARAMETERS.items() if name in body}
    if "ratio" not in row and (size := _SIZE.fullmatch(str(body.get("size", "")))):
        width, height = int(size[1]), int(size[2])
        row["ratio"] = f"{width // gcd(width, height)}:{height // gcd(width, height)}"
    times = body.get("n", 1)
    if type(times) is not int or not 1 <= times <= _MAX_N:
        raise problem(source, number, f"n must be a whole number from 1 to {_MAX_N}", "write 1")
    names = ("input_image", *(f"input_image_{place}" for place in range(2, _MAX_IMAGES + 1)))
    images = [body[name] for name in names if name in body]
    if not all(isinstance(image, str) for image in images):
        raise problem(source, number, "input_image must be a URL or a data URL", "as a text")
    return row, images, times


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _file(image: str, writer: Writer, number: int) -> str:
    """An input as a row names it: a URL as it is, bytes as a file beside the manifest, named by their digest."""
    if is_url(image):
        return image
    match = _DATA_URL.match(image)
    try:
        data = base64.b64decode(image[match.end() :], validate=True) if match else b""
    except binascii.Error:
        data = b""
    if not match or not data:
        raise problem(writer.wanted.source, number, "holds an image that is neither a URL nor base64", "use data:")
    suffix = {"jpeg": "jpg"}.get(match[1], match[1])
    folder = writer.wanted.beside("-images")
    return writer.add(folder / f"{hashlib.sha256(data).hexdigest()[:16]}.{suffix}", data)
