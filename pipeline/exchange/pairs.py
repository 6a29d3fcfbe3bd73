"""The only module that reads the provider's two-image script: ``REFERENCE_URL|BASE_URL`` entries under one prompt."""

import csv
import io
import re
import shlex
from collections.abc import Iterator
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
_BEFORE = r"^[ \t]*(?:(?:declare|local|readonly|export|typeset)[ \t]+(?:-\w+[ \t]+)*)?"
_ARRAY = re.compile(_BEFORE + r"IMAGE_PAIRS=\(", re.MULTILINE)
_PROMPT = re.compile(_BEFORE + r"""BATCH_PROMPT=(?:"((?:[^"\\]|\\.)*)"|'([^']*)')?""", re.MULTILINE)
_FORM = "write REFERENCE|BASE, a pair a line"
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
    prompt = wanted.prompt or _prompt(text, wanted.source) or _USUAL_PROMPT
    rows = io.StringIO()
    table = csv.writer(rows, lineterminator="\n")
    table.writerow(["reference", "base"])
    pairs = _pairs(text, wanted.source)
    table.writerows([_placed(each, wanted) for each in pair] for pair in pairs)
    writer = Writer(wanted)
    name = writer.add(wanted.beside(".pairs.csv"), rows.getvalue())
    return writer.finish([{"rows": name, "prompt": braced(prompt), "images": ["{reference}", "{base}"]}])


def _prompt(text: str, source: Path) -> str:
    """The script's own prompt; "" where there is none, as in a plain list."""
    written = _PROMPT.search(text)
    if written is None:
        return ""
    doubly, singly = written.groups()
    if doubly is None and singly is None:
        line = text.count("\n", 0, written.end()) + 1
        raise problem(source, line, "has a prompt that cannot be read", "give it with --prompt")
    return re.sub(r'\\(["\\$`])', r"\1", doubly) if singly is None else str(singly)


def _pairs(text: str, source: Path) -> list[tuple[str, str]]:
    array = _ARRAY.search(text)
    entries = _lines(text) if array is None else _array(text, array.end(), source)
    pairs = []
    for line, entry in entries:
        reference, bar, base = (part.strip() for part in entry.rstrip(", ").partition("|"))
        if not (reference and bar and base) or "|" in base:
            raise problem(source, line, "is not a pair", _FORM)
        pairs.append((reference, base))
    if not pairs:
        raise problem(source, 1, "holds no pairs", _FORM)
    return pairs


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """The entries of a plain list, with their lines."""
    for number, line in enumerate(text.split("\n"), start=1):
        entry = line.strip().rstrip(", ").strip("\"'")
        if entry and not entry.startswith("#"):
            yield number, entry


def _array(text: str, start: int, source: Path) -> Iterator[tuple[int, str]]:
    """The entries of a shell's array that begins there, as the shell reads them: several a line, comments left out."""
    rest = io.StringIO(text[start:])
    words = shlex.shlex(rest, posix=True, punctuation_chars=")")
    words.whitespace_split = True
    before = text.count("\n", 0, start) + 1
    try:
        for word in words:
            if word.startswith(")"):
                return
            yield before + text[start : start + rest.tell()].rstrip().count("\n"), word
    except ValueError:
        raise problem(source, before, "has a quotation that does not end", "close it") from None
    raise problem(source, before, "has a list that does not end", "close it with )")


def _placed(entry: str, wanted: Wanted) -> str:
    """A file's name as seen from the manifest; URLs stay as they are."""
    return entry if is_url(entry) else relative(wanted.source.parent / entry, wanted.manifest)
