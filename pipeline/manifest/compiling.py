"""The only module that knows how checked keys become entries: reads templates, variables, headers; notes problems."""

from collections.abc import Iterable
from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.job import Stitch
from pipeline.manifest.checking import SHORT, Checked
from pipeline.manifest.complaints import Complaints, KeyPath, UnfitError, nearest
from pipeline.manifest.entries import Entry, FixedEntry, RowsEntry, VariedEntry
from pipeline.manifest.images import NO_INPUTS, Inputs, compile_images, inputs_of
from pipeline.manifest.reading import KEYS, Read, in_doubt, read_constant, reader
from pipeline.manifest.recipe import IN_DOUBT, Offer, Recipe
from pipeline.manifest.rows import RowsFile, open_rows
from pipeline.manifest.rowsource import RowsError
from pipeline.manifest.scalars import Plain
from pipeline.manifest.schema import MAX_REPEAT, DefaultsKeys, JobKeys, ManifestHead, RowsKeys, StitchKeys
from pipeline.manifest.template import NAME, Template, words_in
from pipeline.manifest.tree import Mapping, Node, Scalar, Sequence, place_of
from pipeline.manifest.variables import MAX_COMBINATIONS, Variables, combine, count_of

_NO_TEMPLATES = frozenset({"vars", "zip", "rows", "repeat"})
#: More pictures in one manifest are a slip of variables and repeats; each row of a rows file makes its own.
MAX_PICTURES = 1_000_000


@dataclass(slots=True)
class Compiler:
    """Compiles the jobs of one manifest. Each part of a job is judged although others are wrong, as far as it can be.

    Attributes:
        root: The whole manifest, for the places of problems.
        complaints: Where problems go; with any in it, no entries are made.
        label: What the manifest's file is called in sources.
        folder: What rows files are relative to.
        offer: What can be bought.
        path_words: The variables that the output templates use.
        defaults: What jobs have unless they say otherwise, by key.
        default_images: Of these, the images and how they are stitched.
        variables: Every variable and column met so far; None when some may be there that nobody could read.
    """

    root: Node
    complaints: Complaints
    label: str
    folder: Path
    offer: Offer
    path_words: frozenset[str]
    defaults: dict[str, Any] = field(default_factory=dict)
    default_images: AnyMapping[str, Any] = field(default_factory=dict)
    variables: frozenset[str] | None = frozenset()

    def read_defaults(self, head: Checked[ManifestHead]) -> None:
        """Read the defaults; one with a problem is noted, and in doubt from then on."""
        written = _written(head.keys.defaults)
        if "ratio" in written and "use" in written:
            self._note(("defaults", "use"), UnfitError("use", "stands beside ratio", "give one of them"))
        for key, value in written.items():
            try:
                self.defaults[key] = read_constant(key, value)
            except UnfitError as exc:
                self._note(("defaults", key), exc)
                self.defaults[key] = IN_DOUBT
        self.default_images = _inputs_written(head.keys.defaults)
        for key, value in self.default_images.items():
            self.defaults[key] = value
        for key in DefaultsKeys.model_fields:
            if head.doubted("defaults", key):
                self.defaults[key] = IN_DOUBT

    def judge_defaults(self) -> None:
        """Judge the defaults by themselves, for when no job was sound enough to judge them by."""
        inputs = Inputs((None,)) if "images" in self.defaults else NO_INPUTS
        recipe = Recipe({"prompt": in_doubt("prompt")}, self.defaults, self.offer, inputs=inputs)
        for fault in recipe.faults(()):
            if fault.key in self.defaults:
                self._note(("defaults", fault.key), fault)

    def too_many(self, jobs: Iterable[Node]) -> bool:
        """Whether the jobs make more pictures than a manifest should, which is noted; told before any is judged."""
        pictures = 0
        for number, job in enumerate(jobs):
            pictures += _pictures(job)
            if pictures > MAX_PICTURES:
                message = f"makes more than {MAX_PICTURES:,} pictures, with the jobs before it"
                self._note(("jobs", number), UnfitError("", message, "put so many in a rows file: 'rows: prompts.csv'"))
                return True
        return False

    def entry(self, number: int, checked: Checked[JobKeys]) -> Entry | None:
        """Compile one entry, ``number`` from 0; None when the manifest has problems."""
        base: KeyPath = ("jobs", number)
        keys = checked.keys
        variables = self._combined(base, checked)
        file = self._open(base, checked)
        known = self._known(checked, file)
        self._variables_fit(base, checked, file)
        images, variables = self._images(base, checked, variables, known)
        # Rows are judged as they stream; what holds none of their columns is judged now.
        judged = variables is not None and known is not None and not isinstance(keys, RowsKeys)
        tried = variables if judged and variables is not None else Variables()
        recipe = self._recipe(base, checked, tried.names if judged else None, known, images)
        self._try(base, checked, recipe, tried)
        if self.complaints.problems or variables is None:
            return None
        if file is not None:
            return self._streamed(base, checked, variables, file, images)
        source = f"{self.label}:{place_of(self.root, base).line}"
        entry = _varied(recipe, keys.repeat, variables, source)
        return entry if variables.names else FixedEntry(wanted=next(entry.outcomes()), repeat=keys.repeat)

    def no_entry(self) -> None:
        """Take note of a job that nobody can read: nobody knows its variables."""
        self.variables = None

    def _combined(self, base: KeyPath, checked: Checked[JobKeys]) -> Variables | None:
        """The job's variables, or None when some of them are wrong."""
        try:
            variables = combine(checked.keys.vars, checked.keys.zip)
        except UnfitError as exc:
            for fault in exc.each():
                self._note((*base, *fault.key.split(".", 1)), fault)
            return None
        return None if checked.doubted_within("vars") or checked.doubted_within("zip") else variables

    def _open(self, base: KeyPath, checked: Checked[JobKeys]) -> RowsFile | None:
        keys = checked.keys
        if not isinstance(keys, RowsKeys) or checked.doubted("rows"):
            return None
        try:
            return open_rows(self.folder / keys.rows, keys.rows)
        except RowsError as exc:
            self._note((*base, "rows"), UnfitError("rows", str(exc)))
            return None

    def _known(self, checked: Checked[JobKeys], file: RowsFile | None) -> tuple[str, ...] | None:
        """The words that the job's templates may hold; None when there may be some that nobody could read."""
        keys = checked.keys
        known = (*(file.columns if file else ()), *keys.vars, *keys.zip)
        unread = isinstance(keys, RowsKeys) and file is None
        misnamed = not all(map(NAME.fullmatch, (*keys.vars, *keys.zip)))
        if unread or misnamed or checked.doubted("vars") or checked.doubted("zip"):
            self.variables = None
            return None
        if self.variables is not None:
            self.variables |= frozenset(known)
        return known

    def _variables_fit(self, base: KeyPath, checked: Checked[JobKeys], file: RowsFile | None) -> None:
        """Note variables that nothing uses, and those that hide a column."""
        keys = checked.keys
        if not keys.vars and not keys.zip:
            return
        # What was wrong is looked at as it was written: a name in it may be a use; so may one in the defaults' images.
        parts = (str(value) for key, value in checked.written.items() if key not in _NO_TEMPLATES)
        used = self.path_words.union(*(words_in(part) for part in parts))
        used = used.union(*map(words_in, self.default_images.get("images", ())))
        for name in dict.fromkeys((*keys.vars, *keys.zip)):
            path = (*base, "vars" if name in keys.vars else "zip", name)
            if not NAME.fullmatch(name):
                continue
            if name not in used:
                others = used - keys.vars.keys() - keys.zip.keys()
                hint = nearest(name, others) or f"write {{{name}}} in the prompt, or remove it"
                self._note(path, UnfitError(name, "nothing uses this variable", hint), key=True)
            elif file is not None and name in file.columns:
                self._note(path, UnfitError(name, f"is a column of {file.label}, too", "rename it"), key=True)

    def _recipe(
        self,
        base: KeyPath,
        checked: Checked[JobKeys],
        names: tuple[str, ...] | None,
        known: tuple[str, ...] | None,
        images: list[Template | None],
    ) -> Recipe:
        """Make the job's recipe; a key with a problem is noted, and in doubt."""
        given: dict[str, Read] = {key: in_doubt(key) for key in KEYS if checked.doubted(key)}
        written = {key: value for key, value in _written(checked.keys).items() if key not in given}
        if "ratio" in written and "use" in written:
            self._note((*base, "use"), UnfitError("use", "stands beside ratio", "give one of them"))
        for key, value in written.items():
            try:
                given[key] = reader(key, value, names, known)
            except UnfitError as exc:
                self._note_keys(base, checked, exc.each())
                given[key] = in_doubt(key)
        inputs = self._inputs(checked, images, names)
        return Recipe(given, self.defaults, self.offer, checked.keys.repeat, inputs)

    def _images(
        self, base: KeyPath, checked: Checked[JobKeys], variables: Variables | None, known: tuple[str, ...] | None
    ) -> tuple[list[Template | None], Variables | None]:
        """The templates of the job's images, and its variables with what their globs match; None: in doubt."""
        texts = checked.keys.images or self.default_images.get("images", ())
        if checked.doubted_within("images") or self.defaults.get("images") is IN_DOUBT:
            return [None], variables
        if checked.keys.stitch is not None and not texts:
            self._note((*base, "stitch"), UnfitError("stitch", "there are no images to stitch", "add images:"))
        try:
            templates, joined = compile_images(texts, variables or Variables(), known, self.folder)
        except UnfitError as exc:
            self._note_keys(base, checked, exc.each())
            return [None], variables
        return templates, None if variables is None else joined

    def _inputs(
        self, checked: Checked[JobKeys], images: list[Template | None], names: tuple[str, ...] | None
    ) -> Inputs:
        keys = checked.keys.stitch or self.default_images.get("stitch") or StitchKeys()
        stitch = Stitch(direction=keys.direction, height=keys.height, gap=keys.gap)
        return inputs_of(images, names, folder=self.folder, stitch=stitch, background=keys.background)

    def _try(self, base: KeyPath, checked: Checked[JobKeys], recipe: Recipe, variables: Variables) -> None:
        """Note what does not fit in any combination."""
        self._note_keys(base, checked, _varied(recipe, 1, variables, "").faults())

    def _streamed(
        self,
        base: KeyPath,
        checked: Checked[JobKeys],
        variables: Variables,
        file: RowsFile,
        images: list[Template | None],
    ) -> RowsEntry:
        """Compile a sound entry with rows; the rows themselves are looked at as they stream."""
        texts = (value for value in _written(checked.keys).values() if isinstance(value, str))
        used = self.path_words.union(*(words_in(text) for text in texts), *(each.words for each in images if each))
        columns = tuple(name for name in file.columns if name in used)
        names = columns + variables.names
        return RowsEntry(
            recipe=self._recipe(base, checked, names, file.columns + variables.names, images),
            repeat=checked.keys.repeat,
            file=file,
            columns=columns,
            names=variables.names,
            combinations=variables.combinations,
        )

    def _note(self, path: KeyPath, exc: UnfitError, *, key: bool = False) -> None:
        self.complaints.add(place_of(self.root, path, key=key), path, exc.message, exc.hint)

    def _note_keys(self, base: KeyPath, checked: Checked[JobKeys], faults: Iterable[UnfitError]) -> None:
        """Note problems where the values were written: in the job, or in the defaults."""
        short = isinstance(place_of(self.root, base), Sequence)
        for fault in faults:
            if fault.key not in checked.written and fault.key in self.defaults:
                path: KeyPath = ("defaults", fault.key)
            else:
                path = (*base, SHORT.index(fault.key) if short and fault.key in SHORT else fault.key)
            self._note(path, fault)


def _pictures(job: Node) -> int:
    """How many pictures a job asks for, or each row of one; as far as its own variables and repeats are sound."""
    if not isinstance(job, Mapping):
        return 1
    lists = {
        key: {name: node.items for name, node in values.values.items() if isinstance(node, Sequence)}
        for key in ("vars", "zip")
        if isinstance(values := job.values.get(key), Mapping)
    }
    combinations = min(count_of(lists.get("vars", {}), lists.get("zip", {})), MAX_COMBINATIONS)
    repeat = job.values.get("repeat")
    times = repeat.text.value if isinstance(repeat, Scalar) and isinstance(repeat.text, Plain) else 1
    return combinations * (times if isinstance(times, int) and 1 <= times <= MAX_REPEAT else 1)


def _inputs_written(keys: DefaultsKeys) -> AnyMapping[str, Any]:
    """What the defaults say of images."""
    pairs = (("images", keys.images), ("stitch", keys.stitch))
    return {key: value for key, value in pairs if value is not None}


def _varied(recipe: Recipe, repeat: int, variables: Variables, source: str) -> VariedEntry:
    return VariedEntry(
        recipe=recipe, repeat=repeat, names=variables.names, combinations=variables.combinations, source=source
    )


def _written(keys: DefaultsKeys) -> AnyMapping[str, Any]:
    """Those keys of a request that are given, with their values."""
    pairs = ((key, getattr(keys, key, None)) for key in KEYS)
    return {key: value for key, value in pairs if value is not None}
