"""The only module that knows how checked keys become entries: reads templates, variables, headers; notes problems."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.manifest.complaints import Complaints, KeyPath, UnfitError, nearest
from pipeline.manifest.entries import Entry, FixedEntry, RowsEntry, VariedEntry
from pipeline.manifest.recipe import KEYS, Offer, Read, Recipe, read_constant, reader
from pipeline.manifest.rows import RowsFile, open_rows
from pipeline.manifest.rowsource import RowsError
from pipeline.manifest.schema import DefaultsKeys, JobKeys, RowsKeys, TupleKeys
from pipeline.manifest.template import compile_template
from pipeline.manifest.tree import Node, Sequence, place_of
from pipeline.manifest.variables import Variables, combine

_TUPLE = ("prompt", "ratio", "model")


@dataclass(slots=True)
class Compiler:
    """Compiles the jobs of one manifest.

    Attributes:
        root: The whole manifest, for the places of problems.
        complaints: Where problems go.
        label: What the manifest's file is called in sources.
        folder: What rows files are relative to.
        offer: What can be bought.
        path_words: The variables that the output templates use.
        defaults: What jobs have unless they say otherwise, by key.
        variables: Every variable and column met so far.
    """

    root: Node
    complaints: Complaints
    label: str
    folder: Path
    offer: Offer
    path_words: frozenset[str]
    defaults: dict[str, Any] = field(default_factory=dict)
    variables: set[str] = field(default_factory=set)

    def read_defaults(self, keys: DefaultsKeys) -> None:
        """Read the defaults; one with a problem is noted, and taken as not given."""
        written = _written(keys)
        if "ratio" in written and "use" in written:
            self._note(("defaults", "use"), UnfitError("use", "stands beside ratio", "give one of them"))
        for key, value in written.items():
            try:
                self.defaults[key] = read_constant(key, value)
            except UnfitError as exc:
                self._note(("defaults", key), exc)

    def entry(self, number: int, keys: TupleKeys | JobKeys) -> Entry | None:
        """Compile one entry, ``number`` from 0; None when it has problems."""
        base: KeyPath = ("jobs", number)
        written = _written(keys)
        if isinstance(keys, TupleKeys):
            return self._settled(base, written, Variables(), 1)
        try:
            variables = combine(keys.vars, keys.zip)
        except UnfitError as exc:
            self._note((*base, *exc.key.split(".", 1)), exc)
            return None
        file = self._open(base, keys.rows) if isinstance(keys, RowsKeys) else None
        if isinstance(keys, RowsKeys) and file is None:
            return None
        self.variables.update(variables.names, file.columns if file else ())
        sound = self._variables_fit(base, keys, variables, file)
        if file is None:
            entry: Entry | None = self._settled(base, written, variables, keys.repeat)
        else:
            entry = self._streamed(base, written, variables, file, keys.repeat)
        return entry if sound else None

    def _settled(
        self, base: KeyPath, written: Mapping[str, Any], variables: Variables, repeat: int
    ) -> FixedEntry | VariedEntry | None:
        """Compile an entry without rows, and try all of its combinations."""
        recipe = self._recipe(base, written, variables.names, variables.names, repeat)
        if recipe is None:
            return None
        source = f"{self.label}:{place_of(self.root, base).line}"
        entry = VariedEntry(
            recipe=recipe,
            repeat=repeat,
            names=variables.names,
            combinations=variables.combinations,
            source=source,
        )
        sound = True
        for fault in entry.faults():
            self._note_key(base, written, fault)
            sound = False
        if not sound or variables.names:
            return entry if sound else None
        return FixedEntry(wanted=next(entry.outcomes()), repeat=repeat)

    def _streamed(
        self, base: KeyPath, written: Mapping[str, Any], variables: Variables, file: RowsFile, repeat: int
    ) -> RowsEntry | None:
        """Compile an entry with rows; the rows themselves are looked at as they stream."""
        used = _words(written) | self.path_words
        columns = tuple(name for name in file.columns if name in used)
        recipe = self._recipe(base, written, columns + variables.names, file.columns + variables.names, repeat)
        if recipe is None:
            return None
        return RowsEntry(
            recipe=recipe,
            repeat=repeat,
            file=file,
            columns=columns,
            names=variables.names,
            combinations=variables.combinations,
        )

    def _recipe(
        self, base: KeyPath, written: Mapping[str, Any], names: tuple[str, ...], known: tuple[str, ...], repeat: int
    ) -> Recipe | None:
        given: dict[str, Read] = {}
        sound = True
        if "ratio" in written and "use" in written:
            self._note((*base, "use"), UnfitError("use", "stands beside ratio", "give one of them"))
            sound = False
        for key, value in written.items():
            try:
                given[key] = reader(key, value, names, known)
            except UnfitError as exc:
                self._note_key(base, written, exc)
                sound = False
        return Recipe(given, self.defaults, self.offer, repeat) if sound else None

    def _open(self, base: KeyPath, rows: str) -> RowsFile | None:
        try:
            return open_rows(self.folder / rows, rows)
        except RowsError as exc:
            self._note((*base, "rows"), UnfitError("rows", str(exc)))
            return None

    def _variables_fit(self, base: KeyPath, keys: JobKeys, variables: Variables, file: RowsFile | None) -> bool:
        """Note variables that nothing uses, and those that hide a column."""
        used = _words(_written(keys)) | self.path_words
        sound = True
        for name in variables.names:
            path = (*base, "vars" if name in keys.vars else "zip", name)
            if name not in used:
                hint = nearest(name, used - set(variables.names)) or f"write {{{name}}} in the prompt, or remove it"
                self._note(path, UnfitError(name, "nothing uses this variable", hint), key=True)
                sound = False
            elif file is not None and name in file.columns:
                self._note(path, UnfitError(name, f"is a column of {file.label}, too", "rename it"), key=True)
                sound = False
        return sound

    def _note(self, path: KeyPath, exc: UnfitError, *, key: bool = False) -> None:
        self.complaints.add(place_of(self.root, path, key=key), path, exc.message, exc.hint)

    def _note_key(self, base: KeyPath, written: Mapping[str, Any], exc: UnfitError) -> None:
        """Note a problem where the value was written: in the job, or in the defaults."""
        if exc.key not in written and exc.key in self.defaults:
            path: KeyPath = ("defaults", exc.key)
        elif exc.key in _TUPLE and isinstance(place_of(self.root, base), Sequence):
            path = (*base, _TUPLE.index(exc.key))
        else:
            path = (*base, exc.key)
        self._note(path, exc)


def _written(keys: DefaultsKeys | TupleKeys) -> dict[str, Any]:
    """Those keys of a request that are given, with their values."""
    pairs = ((key, getattr(keys, key, None)) for key in KEYS)
    return {key: value for key, value in pairs if value is not None}


def _words(written: Mapping[str, Any]) -> frozenset[str]:
    """The words in all templates; one that is no template is noted elsewhere."""
    words: frozenset[str] = frozenset()
    for key, value in written.items():
        if isinstance(value, str):
            words |= words_in(key, value)
    return words


def words_in(key: str, text: str) -> frozenset[str]:
    """The words that a template holds; none when it is no template."""
    try:
        return compile_template(key, text, specs=True).words
    except UnfitError:
        return frozenset()
