"""The only module that speaks YAML: a document's text becomes nodes that know where they were written."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import yaml

from pipeline.errors import ManifestError, Problem
from pipeline.manifest.complaints import Place, shown
from pipeline.manifest.scalars import Plain

#: Deeper nesting, and more values, keys and text than any manifest needs; checked as the events stream, before anything
#: is built. 500,000 values are 125,000 jobs of three words.
MAX_DEPTH = 32
MAX_NODES = 500_000
MAX_KEYS = 1_000
MAX_TEXT = 100_000

#: YAML's printable characters, less a byte order mark in the middle of the text.
_UNPRINTABLE = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_REMEDIES = (
    ("mapping values are not allowed", "put text that holds ': ' in quotes"),
    ("cannot start any token", "indent with spaces, and put text that starts with a special character in quotes"),
    ("unexpected end of stream", "a quote is not closed"),
    ("escape c", "a backslash in double quotes starts an escape; use single quotes"),
    ("did not find expected", "look at the indentation, and for a bracket, brace or quote that is not closed"),
)


@dataclass(slots=True)
class Scalar:
    """A single value; ``text`` is a Plain when it was written without quotes."""

    line: int
    column: int
    text: str


@dataclass(slots=True)
class Sequence:
    """A list."""

    line: int
    column: int
    items: "list[Node]"


@dataclass(slots=True)
class Mapping:
    """Keys and their values; ``keys`` holds where each key was written, ``values`` what it holds."""

    line: int
    column: int
    keys: dict[str, Place]
    values: "dict[str, Node]"


Node: TypeAlias = Scalar | Sequence | Mapping


def parse(text: str, file: str, *, loader: Any = _Loader) -> Node:
    """Read one YAML document.

    Args:
        text: The document, at most 8 MiB.
        file: What to call it in problems.
        loader: A PyYAML loader class, of which only the event parser is used.

    Raises:
        ManifestError: It is not YAML, or is YAML of a kind that a manifest does not use: anchors, aliases, tags, merge
            keys, several documents, duplicate keys, deep nesting, nothing at all. The first such problem only.
    """
    builder = _Builder(file)
    bad = _UNPRINTABLE.search(text)
    if bad is not None:
        before = text[: bad.start()]
        place = Place(before.count("\n") + 1, bad.start() - before.rfind("\n"))
        raise builder.error(place, f"the character U+{ord(bad[0]):04X} cannot stand in YAML", "remove it")
    try:
        if 2 * len(text) > MAX_NODES:  # [?,?] holds two empty pairs, so three values for two characters
            builder.count(yaml.parse(text, Loader=loader))
        return builder.document(yaml.parse(text, Loader=loader))
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None) or getattr(exc, "context_mark", None)
        problem = str(getattr(exc, "problem", None) or exc)
        hint = next((remedy for sign, remedy in _REMEDIES if sign in problem), "")
        place = Place(1, 1) if mark is None else Place(mark.line + 1, mark.column + 1)
        raise builder.error(place, f"not YAML: {problem}", hint) from None


def plain_data(node: Node) -> Any:
    """Turn nodes into lists, dicts and texts (Plain where unquoted), for the models to check."""
    match node:
        case Scalar():
            return node.text
        case Sequence():
            return [plain_data(item) for item in node.items]
        case Mapping():
            return {key: plain_data(value) for key, value in node.values.items()}


def place_of(node: Node, path: tuple[str | int, ...], *, key: bool = False) -> Node | Place:
    """Find where a value was written, or as much of its path as was written.

    Args:
        node: Where the path starts.
        path: Keys and indexes; steps that are not there are passed over.
        key: Whether the key itself is meant rather than its value.
    """
    found: Node | Place = node
    for step in path:
        if isinstance(node, Mapping) and isinstance(step, str) and step in node.values:
            found, node = (node.keys[step] if key else node.values[step]), node.values[step]
        elif isinstance(node, Sequence) and isinstance(step, int) and step < len(node.items):
            found = node = node.items[step]
    return found


class _Builder:
    """Builds nodes from the parser's events, and refuses what a manifest does not use before building more."""

    _STARTS: ClassVar = (yaml.SequenceStartEvent, yaml.MappingStartEvent)
    _ENDS: ClassVar = (yaml.SequenceEndEvent, yaml.MappingEndEvent)

    def __init__(self, file: str) -> None:
        self._file = file
        self._root: Node | None = None
        self._open: list[Sequence | Mapping] = []
        self._keys: list[tuple[str, Place] | None] = []

    def error(self, place: Place, message: str, hint: str = "") -> ManifestError:
        return ManifestError(
            [Problem(file=self._file, line=place.line, column=place.column, path="", message=message, hint=hint)]
        )

    def count(self, events: Iterator[Any]) -> None:
        """Refuse too many values while that is cheap: counting them takes a third of the time of building them."""
        values = depth = 0
        for event in events:
            kind = type(event)
            if kind in self._STARTS:
                depth += 1
                values += 1
            elif kind is yaml.ScalarEvent:
                values += 1
            elif kind in self._ENDS:
                depth -= 1
            if values > MAX_NODES:
                raise self._too_many(event)
            if depth > MAX_DEPTH:
                return  # which is told when it is built

    def _too_many(self, event: Any) -> ManifestError:
        place = Place(event.start_mark.line + 1, event.start_mark.column + 1)
        hint = "put many rows in a CSV or JSONL file: 'rows: prompts.csv'"
        return self.error(place, f"the manifest holds more than {MAX_NODES:,} values", hint)

    def document(self, events: Iterator[Any]) -> Node:
        for event in events:
            kind = type(event)
            if kind is yaml.ScalarEvent or kind in self._STARTS:
                self._value(event, kind)
            elif kind in self._ENDS:
                self._open.pop()
                self._keys.pop()
            else:
                self._other(event, kind)
        if self._root is None or (isinstance(self._root, Scalar) and self._root.text == ""):
            raise self.error(Place(1, 1), "the manifest is empty", "start with 'version: 1' and 'jobs:'")
        return self._root

    def _other(self, event: Any, kind: type) -> None:
        place = Place(event.start_mark.line + 1, event.start_mark.column + 1)
        if kind is yaml.AliasEvent:
            raise self.error(place, "aliases (*name) are not used in manifests", "write the value out, or quote it")
        if kind is yaml.DocumentStartEvent and self._root is not None:
            raise self.error(place, "a manifest is one document; here a second one starts", "make it a file of its own")

    def _value(self, event: Any, kind: type) -> None:
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        if event.anchor is not None or event.tag is not None:
            what = "anchors (&name)" if event.anchor is not None else "tags (!name)"
            raise self.error(
                Place(line, column), f"{what} are not used in manifests", "write plain values, or quote it"
            )
        if kind is yaml.ScalarEvent:
            if len(event.value) > MAX_TEXT:
                message = f"a text longer than {MAX_TEXT:,} characters"
                raise self.error(Place(line, column), message, "shorten it, or close its quote")
            text = Plain(event.value) if event.implicit[0] else event.value
            self._place(Scalar(line, column, text))
            return
        node = Sequence(line, column, []) if kind is yaml.SequenceStartEvent else Mapping(line, column, {}, {})
        self._place(node)
        if len(self._open) == MAX_DEPTH:
            raise self.error(Place(line, column), f"nested deeper than {MAX_DEPTH} levels", "close a bracket or brace")
        self._open.append(node)
        self._keys.append(None)

    def _place(self, node: Node) -> None:
        """Put a node into the innermost open list or mapping; in a mapping, keys and values alternate."""
        if not self._open:
            self._root = node
            return
        parent = self._open[-1]
        if isinstance(parent, Sequence):
            parent.items.append(node)
        elif (pending := self._keys[-1]) is None:
            self._keys[-1] = self._key(parent, node)
        else:
            key, place = pending
            parent.keys[key], parent.values[key] = place, node
            self._keys[-1] = None

    def _key(self, parent: Mapping, node: Node) -> tuple[str, Place]:
        place = Place(node.line, node.column)
        if not isinstance(node, Scalar):
            raise self.error(place, "a key must be a word", "put text that starts with '{', '[' or '?' in quotes")
        if isinstance(node.text, Plain) and node.text == "<<":
            raise self.error(place, "merge keys (<<) are not used in manifests", "use 'defaults:' for what jobs share")
        if isinstance(node.text, Plain) and node.text.is_null:
            raise self.error(place, "a key is missing before the colon", "put text that holds ': ' in quotes")
        if node.text in parent.keys:
            first = parent.keys[node.text].line
            message = f"the key {shown(str(node.text))} is given twice, on lines {first} and {place.line}"
            raise self.error(place, message, "keep one of them")
        if len(parent.keys) == MAX_KEYS:
            raise self.error(place, f"a mapping of more than {MAX_KEYS:,} keys", "write many jobs as a list")
        return str(node.text), place
