"""The only module that reads the provider's two-image script: ``REFERENCE_URL|BASE_URL`` entries under one prompt."""

import csv
import io
import re
from dataclasses import replace
from pathlib import Path

from pipeline.exchange.writing import Wanted, Writer, braced, problem, read_list, relative
from pipeline.job import is_url
from pipeline.manifest import Manifest

#: What the document asks of a pair, for lists that say nothing.
_USUAL_PROMPT = (
    "Look at the left image and right image. Transfer the pattern of the left image to the clothes of the model in the"
    " right image, two thirds as wide as the chest and in its middle. Make it look natural and well-integrated."
)
_ARRAY = re.compile(r"^\s*IMAGE_PAIRS=\(", re.MULTILINE)
_PROMPT = re.compile(r'^\s*BATCH_PROMPT="((?:[^"\\]|\\.)*)"', re.MULTILINE)
_SUITED_MODEL = "flux-kontext-max"


def import_pairs(wanted: Wanted) -> Manifest:
    """Make a manifest and a rows file of a list of pairs, or of the script that holds one.

    Raises:
        NotFoundError: The list cannot be read.
        ManifestError: An entry is no pair, or there is none.
        OutputError: Something is there already, or cannot be written.
    """
    text = read_list(wanted.source)
    if not wanted.model:
        wanted = replace(wanted, model=_SUITED_MODEL)
    written = _PROMPT.search(text)
    prompt = wanted.prompt or (re.sub(r'\\(["\\$`])', r"\1", written[1]) if written else _USUAL_PROMPT)
    rows = io.StringIO()
    table = csv.writer(rows, lineterminator="\n")
    table.writerow(["reference", "base"])
    pairs = _pairs(text, wanted.source)
    table.writerows([_placed(each, wanted) for each in pair] for pair in pairs)
    writer = Writer(wanted)
    name = writer.add(wanted.beside(".pairs.csv"), rows.getvalue())
    return writer.finish([{"rows": name, "prompt": braced(prompt), "images": ["{reference}", "{base}"]}])


def _pairs(text: str, source: Path) -> list[tuple[str, str]]:
    array = _ARRAY.search(text)
    first = text.count("\n", 0, array.end()) if array else 0
    pairs = []
    for number, line in enumerate(text.split("\n")[first:], start=first + 1):
        entry = line.partition("(")[2] if array and number == first + 1 else line
        entry = entry.strip()
        if array and entry == ")":
            break
        closed = bool(array) and entry.endswith(")")
        entry = entry.removesuffix(")" if closed else "").rstrip(", ").strip("\"'")
        if entry and not entry.startswith("#"):
            reference, bar, base = (part.strip() for part in entry.partition("|"))
            if not (reference and bar and base) or "|" in base:
                raise problem(source, number, "is not a pair", "write REFERENCE|BASE, a pair a line")
            pairs.append((reference, base))
        if closed:
            break
    if not pairs:
        raise problem(source, 1, "holds no pairs", "write REFERENCE|BASE, a pair a line")
    return pairs


def _placed(entry: str, wanted: Wanted) -> str:
    """A file's name as seen from the manifest; URLs stay as they are."""
    return entry if is_url(entry) else relative(wanted.source.parent / entry, wanted.manifest)
