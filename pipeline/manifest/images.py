"""The only module that knows how ``images:`` names pictures: paths beside the manifest, URLs, globs."""

import glob
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.inputs import InputError, require
from pipeline.job import Stitch, is_url, named
from pipeline.manifest.complaints import DoubtError, Gathering, UnfitError, enumerated, shown
from pipeline.manifest.reading import Values
from pipeline.manifest.template import Placeholder, Template, compile_template, words_in
from pipeline.manifest.variables import MAX_COMBINATIONS, Variables

_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp"})
_MAX_LENGTH = 4_000
#: Cannot be written as a variable, so that it hides none.
_HIDDEN = "image:"


_USUAL = Stitch()


@dataclass(frozen=True, slots=True)
class Prepared:
    """How one row's images are made ready; ``stitch`` is None where each is sent by itself."""

    stitch: Stitch | None
    background: str


@dataclass(frozen=True, slots=True)
class Inputs:
    """The images of one job, for whatever row.

    Attributes:
        read: Fills each image's text from a row's values; None where that cannot be judged yet.
        folder: What paths are relative to; absolute.
    """

    read: Sequence[Callable[[Values], str] | None] = ()
    folder: Path = Path("/")
    stitch: Stitch = _USUAL
    background: str = "#ffffff"

    def __bool__(self) -> bool:
        return bool(self.read)

    def where(self, values: Values) -> tuple[str, ...]:
        """Where one row's images are, in order: absolute paths, or URLs as they are written.

        Raises:
            UnfitError: One is empty, or no URL; or it cannot be judged yet.
        """
        found = []
        for read in self.read:
            if read is None:
                raise DoubtError("images")
            text = read(values).strip()
            if not text or "\0" in text or len(text) > _MAX_LENGTH:
                raise UnfitError("images", "is empty" if not text else f"{shown(text)} is not the name of a file")
            found.append(_checked(text) if is_url(text) else os.path.normpath(self.folder / text))
        return tuple(found)


NO_INPUTS = Inputs()


def inputs_of(
    templates: Sequence[Template | None], names: Sequence[str] | None, *, folder: Path, stitch: Stitch, background: str
) -> Inputs:
    """The images of a job.

    Args:
        templates: Of each image; None where one is in doubt.
        names: What a row's values are called; None when there are no values to judge by yet.
        folder: What paths are relative to.
        stitch: How several become one.
        background: As ``#rrggbb``.
    """
    read = [
        None if template is None or (names is None and template.words) else template.bind(names or ())
        for template in templates
    ]
    return Inputs(tuple(read), folder.absolute(), stitch, background)


def check_images(images: Sequence[str]) -> None:
    """Make sure that files are there, of a kind and size that is taken; URLs are looked at when rows are read.

    Raises:
        UnfitError: Some are not; each of them is named.
    """
    faults = Gathering()
    for image in images:
        if not is_url(image):
            try:
                require(image)
            except InputError as exc:
                faults.found.append(UnfitError("images", f"{named(image)} {exc.message}", "PNG, JPEG or WebP"))
    faults.settle()


def compile_images(
    texts: Sequence[str], variables: Variables, known: Sequence[str] | None, folder: Path
) -> tuple[list[Template | None], Variables]:
    """Read the images of a job: templates for its rows; globs join its variables, paired first with first.

    Raises:
        UnfitError: Placeholders nobody has, a glob that matches nothing, or globs of unequal counts.
    """
    faults = Gathering()
    templates: list[Template | None] = []
    globs: dict[str, tuple[str, ...]] = {}
    for number, text in enumerate(texts, start=1):
        matches = faults.attempt(_matches, text, folder)
        if matches is None:
            templates.append(None)
            continue
        if matches:
            globs[f"{_HIDDEN}{number}"] = matches
            templates.append(Template((Placeholder(f"{_HIDDEN}{number}"),)))
            continue
        template = faults.attempt(compile_template, "images", text, known=known)
        if template is not None and known is not None:
            faults.attempt(template.check, "images", known)
        templates.append(template)
    faults.attempt(_check_counts, globs, texts, len(variables.combinations))
    faults.settle()
    return templates, _joined(variables, globs)


def _joined(variables: Variables, globs: dict[str, tuple[str, ...]]) -> Variables:
    if not globs:
        return variables
    pairs = list(zip(*globs.values(), strict=True))
    combinations = tuple((*combination, *pair) for combination in variables.combinations for pair in pairs)
    return Variables((*variables.names, *globs), combinations)


def _matches(text: str, folder: Path) -> tuple[str, ...]:
    """The files that a glob names, sorted by name; none when it is no glob."""
    if is_url(text) or not glob.has_magic(text) or (folder / text).exists():
        return ()
    if words_in(text):
        raise UnfitError("images", f"{shown(text)} has placeholders and wildcards", "give the rows their file names")
    if "**" in Path(text).parts:  # glob would take it for one folder, and find some of what was meant
        hint = "write * for each folder, or put the files in a rows file"
        raise UnfitError("images", f"{shown(text)} looks into folders within folders, which is not done", hint)
    found = []
    for name in glob.iglob(text, root_dir=folder):  # noqa: PTH207 - pathlib's takes no absolute ones
        if Path(name).suffix.lower() in _SUFFIXES:
            found.append(name)
        if len(found) > MAX_COMBINATIONS:
            raise UnfitError("images", f"{shown(text)} matches more than {MAX_COMBINATIONS:,} files")
    if not found:
        raise UnfitError("images", f"no PNG, JPEG or WebP file matches {shown(text)}", "it is relative to the manifest")
    return tuple(sorted(found))


def _check_counts(globs: dict[str, tuple[str, ...]], texts: Sequence[str], combinations: int) -> None:
    counts = [len(matches) for matches in globs.values()]
    if len(set(counts)) > 1:
        told = enumerated(
            f"{shown(texts[int(name.removeprefix(_HIDDEN)) - 1])} matches {len(matches)}"
            for name, matches in globs.items()
        )
        raise UnfitError("images", f"pairs first with first, but {told}", "let both match as many files")
    if counts and counts[0] * combinations > MAX_COMBINATIONS:
        raise UnfitError("images", f"makes more than {MAX_COMBINATIONS:,} combinations", "put so many in a rows file")


def _checked(url: str) -> str:
    from pipeline.transport.origins import parse_target  # with what fetches, which most manifests have no need of

    try:
        parse_target(url)
    except ValueError as exc:
        raise UnfitError("images", f"{named(url)}: {exc}") from None
    return url
