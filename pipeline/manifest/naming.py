"""The only module that knows where pictures go: readable, portable names that never leave the output folder."""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from pipeline.job import PictureRequest
from pipeline.manifest.complaints import Gathering, UnfitError
from pipeline.manifest.template import Placeholder, Template, compile_template, unknown_word

#: A path's part in UTF-8 bytes: file systems take 255, and a suffix and a number still have to fit.
MAX_PART_BYTES = 200
#: Folders and file together.
MAX_PARTS = 8
MAX_SLUG = 40
#: An output template with its placeholders, in characters.
MAX_TEMPLATE = 1_000
#: How much of a text is looked at to make a part of a path: putting marks in order takes the square of their number.
_MOST_LOOKED_AT = 1_000
#: What a picture is called whose prompt has no letter and no digit.
NAMELESS = "picture"

_INTEGERS = frozenset({"index", "repeat", "seed"})
#: The words an output template may hold, besides the variables of its jobs; these come first.
WORDS = ("name", "edition", "date", "index", "slug", "ratio", "model", "seed", "format", "repeat", "use", "key")

# Controls, what Windows refuses, marks that hide or turn text around, and halves of surrogate pairs.
_MARKS = r"\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff"
_UNSAFE = re.compile(rf'[<>:"/\\|?*{_MARKS}]+')
_HIDDEN = re.compile(f"[{_MARKS}]")
_RESERVED = re.compile(
    r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])\s*(?:\..*)?", re.IGNORECASE | re.DOTALL
)
_PLACEHOLDER = re.compile(r"\{[^{}]*\}")
_ASCII_WORD = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Naming:
    """Where each picture goes, by the manifest's templates.

    Attributes:
        parts: One function for each part of the path; the last one is the file's.
        words: The variables and columns that its templates hold.
    """

    parts: "tuple[Callable[[Named], str], ...]"
    words: frozenset[str]

    def path(self, named: "Named") -> str:
        """The picture's path, relative to the output folder, with ``/`` and without a suffix."""
        *folders, file = [part(named) for part in self.parts]
        return "/".join([folder for folder in folders if folder] + [file or NAMELESS])


@dataclass(slots=True)
class Named:
    """What a path can be made of, for one picture."""

    index: int
    request: PictureRequest
    repeat: int
    use: str
    key: str
    variables: Mapping[str, str]


_Piece: TypeAlias = "str | Callable[[Named], str]"


def naming_of(folder: str, file: str, *, constants: Mapping[str, str], variables: frozenset[str] | None) -> Naming:
    """Make the naming from an output section.

    Args:
        folder: The template of the folders, parted by ``/``; empty for none.
        file: The template of the file's name.
        constants: What ``{name}``, ``{edition}`` and ``{date}`` stand for.
        variables: The variables and columns that any job has; None when nobody knows all of them.

    Raises:
        UnfitError: With the key ``folder`` or ``file``: it would leave the output folder, or holds what a file name
            cannot, or a word that nobody has. Each of them is named.
    """
    faults = Gathering()
    for key, text in (("folder", folder), ("file", file)):
        if len(text) > MAX_TEMPLATE:
            faults.found.append(UnfitError(key, f"is longer than {MAX_TEMPLATE:,} characters", "shorten it"))
    faults.settle()
    if folder.startswith("/"):
        hint = "write a folder inside it, without a / at the start"
        faults.found.append(UnfitError("folder", "would lead outside the output folder", hint))
    folders = [part for part in folder.split("/") if part]
    if len(folders) >= MAX_PARTS:
        faults.found.append(UnfitError("folder", f"has more than {MAX_PARTS - 1} parts", "use fewer folders"))
    templates = [*(("folder", part) for part in folders), ("file", file)]
    parts = [faults.attempt(_part, key, text, constants, variables) for key, text in templates]
    faults.settle()
    compiled = [part for part in parts if part is not None]
    words = frozenset[str]().union(*(words for _, words in compiled))
    return Naming(tuple(part for part, _ in compiled), words - frozenset(WORDS))


def check_name(key: str, text: str) -> str:
    """Take a manifest's name or edition, which becomes a part of paths.

    Raises:
        UnfitError: It could lead outside the output folder, or cannot stand in a path or on one line of a screen.
    """
    faults = Gathering()
    if len(text) > MAX_PART_BYTES:
        faults.found.append(UnfitError(key, f"is longer than {MAX_PART_BYTES} characters", "shorten it"))
        text = text[:MAX_PART_BYTES]
    if (bad := _HIDDEN.search(text)) is not None:
        faults.found.append(UnfitError(key, f"holds the character U+{ord(bad[0]):04X}", "remove it"))
    if text != "" and (_leaves(text) or "/" in text or "\\" in text or not safe_part(text)):
        hint = "leave out / and \\ and a point at the start"
        faults.found.append(UnfitError(key, "would lead outside the output folder", hint))
    faults.settle()
    return text


def slug(prompt: str) -> str:
    """Make a short readable name from a prompt: lower case, letters of any script, ``-`` between words.

    At most 40 characters, cut between words where that is possible; ``picture`` when nothing is left. NFC, never NFKC:
    the latter turns the full-width solidus into ``/``.
    """
    return _slug(prompt[:_MOST_LOOKED_AT])


@lru_cache(maxsize=4096)
def _slug(prompt: str) -> str:
    text = unicodedata.normalize("NFC", prompt.lower()).replace("'", "").replace("’", "")
    words = _ASCII_WORD.findall(text) if text.isascii() else _words(text)
    if not words:
        return NAMELESS
    kept = words[0][:MAX_SLUG]
    for word in words[1:]:
        if len(kept) + 1 + len(word) > MAX_SLUG:
            break
        kept += f"-{word}"
    return kept


def safe_part(text: str) -> str:
    """Make one part of a path from any text: portable, never hidden or reserved, at most 200 bytes; may be empty."""
    text = text[:_MOST_LOOKED_AT]
    part = text if text.isascii() else unicodedata.normalize("NFC", text)
    part = _cut(_UNSAFE.sub("-", part).strip(". "))
    return _cut(f"_{part}") if _RESERVED.fullmatch(part) else part


def _cut(part: str) -> str:
    if len(part) * 4 <= MAX_PART_BYTES:
        return part
    return part.encode()[:MAX_PART_BYTES].decode(errors="ignore").rstrip(". ")


def _words(text: str) -> list[str]:
    # Vowel signs of Indic scripts are marks, which the regular expressions' \\w leaves out.
    kept = "".join(character if unicodedata.category(character)[0] in "LMN" else " " for character in text)
    return kept.split()


def _part(
    key: str, text: str, constants: Mapping[str, str], variables: frozenset[str] | None
) -> tuple[Callable[[Named], str], frozenset[str]]:
    faults = Gathering()
    known = _known(variables)
    template = faults.attempt(compile_template, key, text, specs=True, known=known) or Template(
        (_PLACEHOLDER.sub("", text),)
    )
    faults.attempt(_check_part, key, text, template)
    made = [faults.attempt(_piece, key, piece, constants, known) for piece in template.pieces]
    faults.settle()
    pieces = tuple(piece for piece in made if piece is not None)
    if all(isinstance(piece, str) for piece in pieces):
        whole = safe_part("".join(map(str, pieces)))
        return (lambda _: whole), template.words
    return (
        lambda named: safe_part("".join([piece if isinstance(piece, str) else piece(named) for piece in pieces]))
    ), template.words


def _check_part(key: str, text: str, template: Template) -> None:
    """Refuse what the manifest itself writes; what comes out of values is made safe instead."""
    faults = Gathering()
    texts = [piece for piece in template.pieces if isinstance(piece, str)]
    if _leaves(text):
        hint = "start each part with a letter"
        faults.found.append(UnfitError(key, "would lead outside the output folder, or be hidden", hint))
    elif texts and len(texts) == len(template.pieces) and not safe_part(text):
        faults.found.append(UnfitError(key, "has a part without a letter or digit", "write a name in it"))
    for character in dict.fromkeys("".join("".join(_UNSAFE.findall(piece)) for piece in texts)):
        visible = character if character.isprintable() else f"U+{ord(character):04X}"
        faults.found.append(UnfitError(key, f"the character {visible} cannot stand in a file's name", "use - or _"))
    faults.settle()


def _leaves(text: str) -> bool:
    """Whether a path's part goes up, or is hidden: it starts with a point."""
    return unicodedata.normalize("NFC", text).strip().startswith(".")


def _known(variables: frozenset[str] | None) -> tuple[str, ...] | None:
    return None if variables is None else (*WORDS, *sorted(variables))


def _piece(key: str, piece: str | Placeholder, constants: Mapping[str, str], known: Sequence[str] | None) -> _Piece:
    if isinstance(piece, str):
        return piece
    word, spec = piece.word, piece.spec
    if known is not None and word not in known:
        raise unknown_word(key, word, known)
    if spec and word not in _INTEGERS:
        raise UnfitError(key, f"{{{word}:{spec}}} has a width, which only numbers can have", f"write {{{word}}}")
    if word in constants:
        # The place of a value is a part, never a path: a slash in it parts nothing.
        return _UNSAFE.sub("-", constants[word])
    if word in _READERS:
        return _READERS[word](spec)
    return lambda named: named.variables.get(word, "")


def _seed(named: Named, spec: str) -> str:
    return "random" if named.request.seed is None else format(named.request.seed, spec)


def _ratio(named: Named) -> str:
    return str(named.request.ratio or ("edit" if named.request.inputs else "")).replace(":", "x")


_READERS: dict[str, Callable[[str], Callable[[Named], str]]] = {
    "index": lambda spec: lambda named: format(named.index, spec),
    "repeat": lambda spec: lambda named: format(named.repeat, spec),
    "seed": lambda spec: lambda named: _seed(named, spec),
    "slug": lambda _: lambda named: slug(named.request.prompt),
    "ratio": lambda _: _ratio,
    "model": lambda _: lambda named: named.request.model,
    "format": lambda _: lambda named: named.request.output_format,
    "use": lambda _: lambda named: named.use,
    "key": lambda _: lambda named: named.key[:12],
}
