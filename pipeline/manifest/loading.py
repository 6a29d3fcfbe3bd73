"""The only module that loads a manifest: from a path to a sound Manifest, or to every problem it has."""

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from pipeline.bucket import BucketAddress
from pipeline.catalog import Profile, models
from pipeline.errors import ManifestError, NotFoundError, Problem
from pipeline.manifest.checking import Checked, Checker
from pipeline.manifest.compiling import Compiler
from pipeline.manifest.complaints import Complaints, KeyPath, UnfitError, shown
from pipeline.manifest.edition import render_edition
from pipeline.manifest.entries import Entry
from pipeline.manifest.manifest import Manifest
from pipeline.manifest.naming import WORDS, Naming, check_name, naming_of, safe_part
from pipeline.manifest.profiles import known_profiles
from pipeline.manifest.recipe import Offer
from pipeline.manifest.schema import ManifestHead, OutputKeys
from pipeline.manifest.settings import Notify, limits_of, notify_of, own_profiles, profiles_of, steps_of, store_of
from pipeline.manifest.template import words_in
from pipeline.manifest.tree import Mapping as MappingNode
from pipeline.manifest.tree import Node, Sequence, parse, place_of, plain_data

#: A manifest is written by people; bulk belongs in the rows files beside it.
MAX_BYTES = 8 << 20
_BYTE_ORDER_MARK = "\ufeff"
_REMEDY = "name a manifest, such as jobs/demo.yaml"


def load_manifest(path: str | Path, *, now: datetime | None = None, profiles: Path | None = None) -> Manifest:
    """Read a manifest and check all of it, rows files' headers included; nothing else is touched.

    Args:
        path: The YAML file, at most 8 MiB of UTF-8.
        now: The local time that ``{date}`` and its kin are taken from; this moment when left out.
        profiles: The user's own provider profiles; where ``known_profiles`` looks when None.

    Raises:
        NotFoundError: There is no such file, or it cannot be read.
        ManifestError: It has problems; ``problems`` holds all of them, or the first one if it is no YAML.
        ConfigurationError: What reads its rows files is not installed.
    """
    if "\0" in str(path):
        raise NotFoundError(Path(shown(str(path))), "is not the name of a file", remedy=_REMEDY)
    path = Path(path)
    file = str(path)
    known = known_profiles(profiles)
    text = _read(path, file)
    read_at = now or datetime.now().astimezone()
    with _uncollected():
        loader = _Loading(path, parse(text, file), Complaints(file), read_at, known)
        return replace(loader.manifest(), sha256=sha256(text.encode()).hexdigest(), read_at=read_at)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the collector from looking at a hundred thousand jobs again and again while more of them are made."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def _read(path: Path, file: str) -> str:
    try:
        with path.open("rb") as opened:
            raw = opened.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise NotFoundError(path, remedy=_REMEDY) from None
    except IsADirectoryError:
        raise NotFoundError(path, "is a folder", remedy="name a manifest in it, such as jobs/demo.yaml") from None
    except OSError as exc:
        raise NotFoundError(path, exc.strerror or "cannot be read", remedy="name a manifest that can be read") from exc
    if len(raw) > MAX_BYTES:
        message, hint = "larger than 8 MiB", "put many rows in a CSV or JSONL file: 'rows: prompts.csv'"
        raise ManifestError([Problem(file=file, line=1, column=1, path="", message=message, hint=hint)])
    try:
        return raw.decode().removeprefix(_BYTE_ORDER_MARK)
    except UnicodeDecodeError as exc:
        line_start = raw.rfind(b"\n", 0, exc.start) + 1
        column = len(raw[line_start : exc.start].decode()) + 1
        line = raw.count(b"\n", 0, exc.start) + 1
        message = f"not UTF-8: the byte 0x{raw[exc.start]:02X} starts no character"
        problem = Problem(file=file, line=line, column=column, path="", message=message, hint="save the file as UTF-8")
        raise ManifestError([problem]) from None


class _Loading:
    """One manifest on its way from nodes to a Manifest; each step notes its problems and goes on."""

    def __init__(
        self, path: Path, root: Node, complaints: Complaints, now: datetime, known: Mapping[str, Profile]
    ) -> None:
        self._known = known
        self._path = path
        self._root = root
        self._complaints = complaints
        self._now = now
        self._checker = Checker(root, complaints)

    def manifest(self) -> Manifest:
        """Make the manifest, or raise all of its problems."""
        checked = self._checker.head(_without_jobs(self._root))
        if checked is None:
            raise self._complaints.error()
        head = checked.keys
        name = self._checked_name("name", head.name) if head.name is not None else _name_of(self._path)
        edition = self._edition(head.edition, name)
        self._judge_resends(head)
        profiles = self._profiles(head)
        compiler = self._compiler(checked, profiles)
        entries = self._entries(compiler)
        notify = self._notify(head)
        store = self._store(head.output)
        naming = self._naming(head.output, name, edition, compiler.variables)
        if self._complaints.problems:
            compiler.judge_defaults()
        if not profiles or naming is None or self._complaints.problems:
            raise self._complaints.error()
        return Manifest(
            name=name,
            edition=edition,
            path=self._path,
            profiles=profiles,
            limits=limits_of(head.limits),
            naming=naming,
            notify=notify,
            embed_metadata=head.output.embed_metadata,
            store=store,
            entries=tuple(entries),
        )

    def _judge_resends(self, head: ManifestHead) -> None:
        """Sending a lost answer's request again may pay twice: it takes both the word and its cap."""
        if head.on_unknown == "retry" and head.limits.resend_usd is None:
            path: KeyPath = ("on_unknown",)
            message, hint = "needs a cap in dollars", "add limits: {resend_usd: 0.50}"
        elif head.on_unknown != "retry" and head.limits.resend_usd is not None:
            path = ("limits", "resend_usd")
            message, hint = "caps nothing", "add on_unknown: retry, or remove it"
        else:
            return
        self._complaints.add(place_of(self._root, path), path, message, hint)

    def _compiler(self, head: Checked[ManifestHead], profiles: tuple[Profile, ...]) -> Compiler:
        output = head.keys.output
        offered = profiles[0].name if profiles else ""
        words = words_in(output.folder) | words_in(output.file)
        if head.doubted_within("output"):
            words |= words_in(str(head.written))
        compiler = Compiler(
            root=self._root,
            complaints=self._complaints,
            label=self._path.name,
            folder=self._path.parent,
            offer=Offer(
                provider=offered,
                models=models(),
                prices=_prices(head, profiles),
                one_image=any(profile.edits == "multipart" for profile in profiles),
            ),
            path_words=words - frozenset(WORDS),
        )
        compiler.read_defaults(head)
        return compiler

    def _entries(self, compiler: Compiler) -> list[Entry]:
        jobs = self._root.values.get("jobs") if isinstance(self._root, MappingNode) else None
        if not isinstance(jobs, Sequence) or not jobs.items:
            place = self._root if jobs is None else jobs
            message = "is missing" if jobs is None else "must be a list with at least one job"
            self._complaints.add(place, ("jobs",), message, "such as: - [A quiet harbour at dawn, 3:2]")
            compiler.no_entry()
            return []
        if compiler.too_many(jobs.items):
            compiler.no_entry()
            return []
        entries = []
        for number, node in enumerate(jobs.items):
            if self._complaints.enough:
                break
            checked = self._checker.job(number, node)
            if checked is None:
                compiler.no_entry()
            elif (entry := compiler.entry(number, checked)) is not None:
                entries.append(entry)
        return entries

    def _profiles(self, head: ManifestHead) -> tuple[Profile, ...]:
        """The providers in their order; empty where one is wrong."""
        try:
            known = own_profiles(head.profiles, self._known)
        except UnfitError as exc:
            for fault in exc.each():
                self._note(("profiles", *steps_of(fault.key)), fault)
            return ()
        try:
            return profiles_of(head.provider, known)
        except UnfitError as exc:
            for fault in exc.each():
                self._note(("provider", *steps_of(fault.key)), fault)
            return ()

    def _notify(self, head: ManifestHead) -> Notify | None:
        try:
            return None if head.notify is None else notify_of(head.notify)
        except UnfitError as exc:
            for fault in exc.each():
                self._note(("notify", *filter(None, [fault.key])), fault)
            return None

    def _store(self, output: OutputKeys) -> BucketAddress | None:
        try:
            return store_of(output)
        except UnfitError as exc:
            self._note(("output", exc.key), exc)
            return None

    def _edition(self, text: str, name: str) -> str:
        try:
            return check_name("edition", render_edition(text, name=name, now=self._now))
        except UnfitError as exc:
            self._note_each(("edition",), exc)
            return ""

    def _checked_name(self, key: str, text: str) -> str:
        try:
            if not text.strip():
                raise UnfitError(key, "is empty")
            return check_name(key, text)
        except UnfitError as exc:
            self._note_each((key,), exc)
            return _name_of(self._path)

    def _naming(self, output: OutputKeys, name: str, edition: str, variables: frozenset[str] | None) -> Naming | None:
        constants = {"name": name, "edition": edition, "date": f"{self._now:%Y-%m-%d}"}
        try:
            return naming_of(output.folder, output.file, constants=constants, variables=variables)
        except UnfitError as exc:
            for fault in exc.each():
                self._note(("output", fault.key), fault)
            return None

    def _note_each(self, path: tuple[str, ...], exc: UnfitError) -> None:
        for fault in exc.each():
            self._note(path, fault)

    def _note(self, path: KeyPath, exc: UnfitError) -> None:
        self._complaints.add(place_of(self._root, path), path, exc.message, exc.hint)


def _without_jobs(root: Node) -> Any:
    """The manifest's own settings as plain data; jobs are checked one by one."""
    if not isinstance(root, MappingNode):
        return plain_data(root)
    return {key: plain_data(node) for key, node in root.values.items() if key != "jobs"}


def _prices(head: Checked[ManifestHead], profiles: tuple[Profile, ...]) -> Mapping[str, int]:
    """The prices to judge jobs by: one that is in doubt is one problem, not one for each job."""
    wrong = {model: 0 for model in models() if head.doubted("provider", "prices", model)}
    if not profiles or head.doubted("provider", "profile") or head.doubted_within("profiles"):
        return dict.fromkeys(models(), 0)
    return {**wrong, **{model: price for profile in profiles for model, price in profile.prices.items()}}


def _name_of(path: Path) -> str:
    """The name of a manifest that does not say its own."""
    return safe_part(path.stem) or "manifest"
