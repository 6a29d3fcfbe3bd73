"""The only module that knows the OpenAI batch format: one request a line, each with an id of its own."""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import UsageError
from pipeline.exchange.tables import job_of
from pipeline.exchange.writing import Wanted, Writer, problem, read_list
from pipeline.inputs import InputError, prepared
from pipeline.job import InputImage, Job, digest_of, is_url, named
from pipeline.manifest import Manifest
from pipeline.manifest.complaints import shown
from pipeline.manifest.fields import MAX_IMAGES
from pipeline.manifest.schema import MAX_REPEAT
from pipeline.provider import request_body
from pipeline.ratio import Ratio

_PATH = "/v1/images/generations"
_SIZE = re.compile(r"([1-9][0-9]{0,5})x([1-9][0-9]{0,5})")
_DATA_URL = re.compile(r"data:image/(png|jpe?g|webp);base64,")
_MAX_N = 10
_IMAGES = ("input_image", *(f"input_image_{place}" for place in range(2, MAX_IMAGES + 1)))
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
#: How an answer comes, and what no Flux model looks at: another picture is not meant by them.
_OTHERS = frozenset(
    {
        *("n", "size", "width", "height", "extra_body", "response_format", "stream", "partial_images", "user"),
        *("quality", "style", "background", "moderation", "output_compression", "webhook_url", "webhook_secret"),
    }
)


def import_batch(wanted: Wanted) -> Manifest:
    """Make a manifest and its rows of a batch; images that stand in it become files.

    Raises:
        NotFoundError: The batch cannot be read.
        ManifestError: A line is not a request for an image.
        OutputError: Something is there already, or cannot be written.
    """
    writer = Writer(wanted)
    groups: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for asked in _requests(wanted.source):
        row = asked.row
        row |= {f"image_{place}": _file(image, writer, asked.line) for place, image in enumerate(asked.images, start=1)}
        groups.setdefault((len(asked.images), asked.times), []).append(row)
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


@dataclass(slots=True, kw_only=True)
class _Asked:
    """One request: its columns, its images, how many pictures it asks for, and the line it first stands in."""

    row: dict[str, Any]
    images: list[str]
    times: int
    line: int


def _requests(source: Path) -> Iterable[_Asked]:
    """Every request once: lines that ask for the same are so many pictures of it, as their sender has it.

    Those with a seed stay as they are: they are the same picture, which a manifest buys once.
    """
    found: dict[str, _Asked] = {}
    for number, line in enumerate(read_list(source).split("\n"), start=1):
        if not line.strip():
            continue
        asked = _request(line, number, source)
        same = [{key: value for key, value in asked.row.items() if key != "custom_id"}, asked.images]
        key = str(number) if "seed" in asked.row else digest_of(same)
        first = found.setdefault(key, asked)
        if first is not asked:
            first.times += asked.times
        if first.times > MAX_REPEAT:
            raise problem(source, number, f"asks for more than {MAX_REPEAT:,} of the same", "give some of them a seed")
    return found.values()


def _request(line: str, number: int, source: Path) -> _Asked:
    try:
        asked = json.loads(line)
    except (ValueError, RecursionError):
        raise problem(source, number, "is not JSON", "a request a line") from None
    body = asked.get("body") if isinstance(asked, dict) else None
    if not isinstance(body, dict) or not str(asked.get("url", _PATH)).endswith("/images/generations"):
        raise problem(source, number, f"is not a request to {_PATH}", "it needs url and body")
    nested = body.get("extra_body")
    outer = {key: value for key, value in body.items() if value is not None}
    body = {
        key: value
        for key, value in (nested | outer if isinstance(nested, dict) else outer).items()
        if value is not None
    }
    if strange := body.keys() - _PARAMETERS.keys() - _OTHERS - {*_IMAGES}:
        told = f"holds {shown(min(strange))}, which has no place in a manifest"
        raise problem(
            source, number, told, "images are input_image, input_image_2 and so on; remove what is not needed"
        )
    row = {"custom_id": str(asked.get("custom_id", ""))}
    row |= {column: _text(body[name]) for name, column in _PARAMETERS.items() if name in body}
    if "ratio" not in row and (ratio := _ratio(body, number, source)):
        row["ratio"] = ratio
    times = body.get("n", 1)
    if type(times) is not int or not 1 <= times <= _MAX_N:
        raise problem(source, number, f"n must be a whole number from 1 to {_MAX_N}", "write 1")
    images = [body[name] for name in _IMAGES if name in body]
    if not all(isinstance(image, str) for image in images):
        raise problem(source, number, "input_image must be a URL or a data URL", "as a text")
    return _Asked(row=row, images=images, times=times, line=number)


def _ratio(body: dict[str, Any], number: int, source: Path) -> str:
    """The shape of a size that is asked for; "" where none is."""
    size = body.get("size", "auto")
    if "width" in body or "height" in body:
        size = f"{body.get('width')}x{body.get('height')}"
    if size == "auto":
        return ""
    match = _SIZE.fullmatch(str(size))
    if match is None:
        raise problem(source, number, f"asks for the size {shown(str(size))}", "write it as 1024x768")
    return Ratio(int(match[1]), int(match[2])).reduced


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
    suffix = match[1].replace("jpeg", "jpg")
    folder = writer.wanted.beside("-images")
    return writer.add(folder / f"{hashlib.sha256(data).hexdigest()[:16]}.{suffix}", data)
