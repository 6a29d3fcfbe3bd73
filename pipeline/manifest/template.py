"""The only module that knows placeholders: ``{word}`` in a text, and ``{{`` for a brace itself."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.manifest.complaints import Gathering, UnfitError, listed, nearest, shown

#: A name that can stand in braces: letters of any script, digits, ``_`` and ``-``, not starting with a digit.
NAME = re.compile(r"[^\W\d][\w-]*")
_PIECE = re.compile(r"\{\{|\}\}|\{(?P<inside>[^{}]*)\}|[{}]")
_NO_WORDS = frozenset[str]()
_SPEC = re.compile(r"0?[1-9][0-9]?")


def words_in(text: str) -> frozenset[str]:
    """The words that stand in a text's placeholders; of one that is no template, every word that might."""
    if "{" not in text:
        return _NO_WORDS
    try:
        return compile_template("", text, specs=True).words
    except UnfitError:
        return frozenset(NAME.findall(text))


@dataclass(frozen=True, slots=True)
class Placeholder:
    """One ``{word}``, or ``{word:05}`` with a width."""

    word: str
    spec: str = ""


@dataclass(frozen=True, slots=True)
class Template:
    """A text with placeholders, ready to be filled.

    Attributes:
        pieces: Texts and placeholders in order; two texts never stand side by side.
    """

    pieces: tuple[str | Placeholder, ...]

    @property
    def plain(self) -> bool:
        """Whether it is one text and nothing else, as most are."""
        return len(self.pieces) == 1 and isinstance(self.pieces[0], str)

    @property
    def words(self) -> frozenset[str]:
        """The words that stand in its placeholders."""
        if self.plain:
            return _NO_WORDS
        return frozenset(piece.word for piece in self.pieces if isinstance(piece, Placeholder))

    @property
    def literal(self) -> str | None:
        """The whole text when it has no placeholder, else None."""
        if self.plain:
            return str(self.pieces[0])
        return None if self.words else "".join(map(str, self.pieces))

    def check(self, key: str, known: Sequence[str]) -> None:
        """Make sure that each placeholder has a variable, or a column, of that name.

        Raises:
            UnfitError: At least one is not; each of them is named.
        """
        if self.plain:
            return
        faults = Gathering()
        for word in sorted(self.words - frozenset(known)):
            faults.found.append(unknown_word(key, word, known))
        faults.settle()

    def bind(self, names: Sequence[str]) -> Callable[[Sequence[str]], str]:
        """Make a function that fills it from values standing in the order of ``names``; every word must be there."""
        places: list[str | int] = [
            piece if isinstance(piece, str) else names.index(piece.word) for piece in self.pieces
        ]
        if len(places) == 1 and isinstance(only := places[0], int):
            return lambda values: values[only]
        return lambda values: "".join([place if isinstance(place, str) else values[place] for place in places])

    def fill(self, values: Mapping[str, str]) -> str:
        """Fill it by name; every word must be there."""
        return "".join(piece if isinstance(piece, str) else values[piece.word] for piece in self.pieces)


def unknown_word(key: str, word: str, known: Sequence[str]) -> UnfitError:
    """Say that nothing has that name, and which of the ``known`` words comes nearest."""
    remedy = f"write {{{{{shown(word)[1:-1]}}}}} for the text itself"
    hint = nearest(word, known) or (f"{remedy}; {listed(known)}" if known else remedy)
    return UnfitError(key, f"there is no variable named {shown(word)} here", hint)


def compile_template(key: str, text: str, *, specs: bool = False, known: Sequence[str] | None = None) -> Template:
    """Read a text with placeholders.

    Args:
        key: The manifest's key that holds it, for the error.
        text: The text as written.
        specs: Whether ``{word:05}`` is allowed.
        known: The words that it may hold, so that of a word with a wrong format it is told first when there is no such
            word; ``check`` looks at the others. None when nobody knows.

    Raises:
        UnfitError: A brace stands alone, or what is in braces is not a plain name, with a format that fits; each of
            them is named.
    """
    if "{" not in text and "}" not in text:
        return Template((text,))
    pieces: list[str | Placeholder] = []
    faults = Gathering()
    end = 0
    for match in _PIECE.finditer(text):
        _append(pieces, text[end : match.start()])
        end = match.end()
        if match["inside"] is not None:
            piece = faults.attempt(_placeholder, key, match["inside"], specs=specs, known=known)
            pieces.extend([piece] if piece else [])
        elif len(match[0]) == 2:
            _append(pieces, match[0][0])
        else:
            hint = f"write '{match[0] * 2}' for the brace itself"
            faults.found.append(UnfitError(key, f"a single '{match[0]}' stands alone", hint))
    faults.settle()
    _append(pieces, text[end:])
    return Template(tuple(pieces))


def _append(pieces: list[str | Placeholder], text: str) -> None:
    if pieces and isinstance(last := pieces[-1], str):
        pieces[-1] = last + text
    elif text:
        pieces.append(text)


def _placeholder(key: str, inside: str, *, specs: bool, known: Sequence[str] | None) -> Placeholder:
    word, colon, spec = inside.partition(":")
    if not NAME.fullmatch(word):
        message = f"{shown('{' + inside + '}')} is not a placeholder: a plain name goes in braces"
        raise UnfitError(key, message, f"write {shown('{{' + inside + '}}')} for the text itself")
    if colon and not (specs and _SPEC.fullmatch(spec)):
        if known is not None and word not in known:
            raise unknown_word(key, word, known)
        hint = "write a width such as {index:05}" if specs else f"write {{{word}}}"
        raise UnfitError(key, f"{shown('{' + inside + '}')} has a format that cannot be used here", hint)
    return Placeholder(word, spec)
