"""The only module that knows the checker's own errors: turns them into plain sentences with a place and a remedy."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from pipeline.manifest.complaints import Complaints, KeyPath, listed, near_word, nearest, shown
from pipeline.manifest.scalars import Plain
from pipeline.manifest.schema import (
    PROVIDER_FORMS,
    DefaultsKeys,
    JobKeys,
    LimitsKeys,
    ManifestFile,
    ManifestHead,
    NotifyKeys,
    OutputKeys,
    ProfilesFile,
    ProviderKeys,
    RowsKeys,
    StitchKeys,
    TupleKeys,
    job_form,
)
from pipeline.manifest.tree import Node, place_of, plain_data

#: The keys of a job in the short form, in its order.
SHORT = TupleKeys._fields
_KEYS: dict[str, list[str]] = {
    "": list(ManifestFile.model_fields),
    "provider": list(ProviderKeys.model_fields),
    "profiles": list(ProviderKeys.model_fields),
    "limits": list(LimitsKeys.model_fields),
    "defaults": list(DefaultsKeys.model_fields),
    "notify": list(NotifyKeys.model_fields),
    "output": list(OutputKeys.model_fields),
    "jobs": list(RowsKeys.model_fields),
    "stitch": list(StitchKeys.model_fields),
}
_SECRETS = frozenset({"api_key", "apikey", "api-key", "key", "token", "secret", "password", "authorization", "bearer"})
#: What stands in for a required key that is missing or wrong, so that the others can be looked at.
_STAND_INS: Mapping[str, Any] = {"version": Plain("1"), "prompt": "?", "rows": "?", "profiles": {}}
_VARIABLES = frozenset({"vars", "zip"})

_SENTENCES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "missing": lambda _: "is missing",
    "model_type": lambda _: "must be a mapping of keys",
    "dict_type": lambda _: "must be a mapping of names",
    "tuple_type": lambda _: "must be a list",
    "too_short": lambda _: "must not be empty",
    "too_long": lambda facts: f"must have at most {facts['max_length']} items",
    "greater_than": lambda facts: f"must be more than {facts['gt']}",
    "greater_than_equal": lambda facts: f"must be at least {facts['ge']}",
    "less_than_equal": lambda facts: f"must be at most {facts['le']}",
    "literal_error": lambda facts: f"must be {facts['expected']}",
    "value_error": lambda facts: str(facts["error"]),
    "written": lambda facts: str(facts["message"]),
}

T = TypeVar("T", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked(Generic[T]):
    """Keys as checked: those that were wrong are noted, left out, and remembered.

    Attributes:
        keys: What was sound, with a stand-in for what is required and was not.
        written: All of it, as written.
        doubts: The paths of what was wrong, or was meant by a key that nobody knows.
    """

    keys: T
    written: Mapping[str, Any]
    doubts: frozenset[KeyPath] = field(default_factory=frozenset)

    def doubted(self, *path: str) -> bool:
        """Whether what stands there, or something it stands in, was wrong."""
        return bool(self.doubts) and any(path[: len(doubt)] == doubt for doubt in self.doubts)

    def doubted_within(self, *path: str) -> bool:
        """Whether something that stands in it was wrong, or all of it."""
        return self.doubted(*path) or any(doubt[: len(path)] == path for doubt in self.doubts)


@dataclass(frozen=True, slots=True)
class Checker:
    """Checks what was written against the models, and notes each problem at its place.

    Attributes:
        root: The whole manifest.
        complaints: Where problems go.
    """

    root: Node
    complaints: Complaints

    def head(self, data: Any) -> Checked[ManifestHead] | None:
        """Check everything but the jobs, which ``data`` is without; None when the manifest is no mapping at all."""
        if not isinstance(data, dict):
            self.complaints.add(self.root, (), "a manifest is a mapping of keys", "start with 'version: 1' and 'jobs:'")
            return None
        return self._check(ManifestHead, data, ())

    def profiles(self, data: Any) -> Checked[ProfilesFile] | None:
        """Check a user's file of profiles; None when it is no mapping at all."""
        if not isinstance(data, dict):
            self.complaints.add(self.root, (), "must be a mapping of keys", "start with 'profiles:'")
            return None
        return self._check(ProfilesFile, data, ())

    def job(self, number: int, node: Node) -> Checked[JobKeys] | None:
        """Check one job, ``number`` from 0; None when it is neither a list nor a mapping."""
        data = plain_data(node)
        base: KeyPath = ("jobs", number)
        match job_form(data):
            case "<tuple>":
                if len(data) > len(SHORT):
                    message = f"has {len(data)} items; at most {len(SHORT)} fit"
                    self.complaints.add(place_of(self.root, base), base, message)
                return self._check(JobKeys, dict(zip(SHORT, data, strict=False)), base, short=True)
            case "<job>":
                return self._check(JobKeys, data, base)
            case "<rows>":
                return self._check(RowsKeys, data, base)
            case _:
                hint = "write [prompt, ratio, model], or a mapping with 'prompt:'"
                self.complaints.add(node, base, "a job is a list or a mapping", hint)
                return None

    def _check(self, form: type[T], data: dict[str, Any], base: KeyPath, *, short: bool = False) -> Checked[T]:
        """Check ``data``; what is wrong is noted and left out until the rest is sound."""
        doubts: set[KeyPath] = set()
        sound = data
        while True:
            try:
                keys = form.model_validate(sound)
            except ValidationError as exc:
                wrong = list(_errors(exc))
            else:
                return Checked(keys=keys, written=data, doubts=frozenset(doubts))
            for path, kind, facts in wrong:
                shown_path = (SHORT.index(str(path[0])), *path[1:]) if short else path
                self._add(base + shown_path, kind, facts)
                unknown = kind == "extra_forbidden"
                doubts.add(_meant(path, sound, base) if unknown else _key_path(path))
                # One that nobody knows here is not required here, whatever it stands for elsewhere.
                sound = _without(sound, _key_path(path), stand_ins={} if unknown else _STAND_INS)

    def _add(self, path: KeyPath, kind: str, facts: Mapping[str, Any]) -> None:
        last = str(path[-1])
        if kind == "extra_forbidden":
            message, hint = _unknown_key(last, _KEYS[_section(path)])
            self.complaints.add(place_of(self.root, path, key=True), path, message, hint)
            return
        place = place_of(self.root, path[:-1], key=True) if kind == "missing" else place_of(self.root, path)
        hint = str(facts.get("hint", ""))
        if kind == "literal_error" and last == "wire":
            hint = "flat is what the built-in provider wants"
        self.complaints.add(place, path, _SENTENCES[kind](facts), hint)


def _errors(exc: ValidationError) -> Iterable[tuple[KeyPath, str, Mapping[str, Any]]]:
    """Each error's path, kind and facts."""
    for error in exc.errors(include_url=False, include_input=False):
        steps: KeyPath = error["loc"]
        if steps[:1] == ("provider",):
            # Every other step names the alternative that was tried, which nobody wrote.
            steps = tuple(step for at, step in enumerate(steps) if at % 2 == 0 or step not in PROVIDER_FORMS)
        yield steps, error["type"], error.get("ctx", {})


def _key_path(path: KeyPath) -> KeyPath:
    """As much of a path as consists of keys: an item that is wrong makes its list so."""
    first = next((number for number, step in enumerate(path) if isinstance(step, int)), len(path))
    return path[:first]


def _without(data: Mapping[str, Any], path: KeyPath, stand_ins: Mapping[str, Any]) -> dict[str, Any]:
    """The data without what stands at the path, or with its stand-in."""
    step, rest = str(path[0]), path[1:]
    if not rest:
        left = {key: value for key, value in data.items() if key != step}
        return left | {step: stand_ins[step]} if step in stand_ins else left
    # A variable stays known by its name, whatever its values.
    inner = {**data[step], rest[0]: ["?"]} if step in _VARIABLES else _without(data[step], rest, stand_ins)
    return {**data, step: inner}


def _meant(path: KeyPath, data: Mapping[str, Any], base: KeyPath) -> KeyPath:
    """What an unknown key puts in doubt: the key it was meant as; in a job, variables may have been meant."""
    inner = data if len(path) == 1 else data[str(path[0])]
    section = _section(base + path)
    missing = [key for key in _KEYS[section] if key not in inner]
    near = near_word(str(path[-1]), missing)
    if section == "jobs" and near in {"", "rows"}:
        near = "vars"
    return (*path[:-1], near or path[-1])


def _section(path: KeyPath) -> str:
    if "stitch" in path[:-1]:
        return "stitch"
    return str(path[0]) if len(path) > 1 else ""


def _unknown_key(word: str, known: list[str]) -> tuple[str, str]:
    if word.lower() in _SECRETS:
        return (
            "a key or password never stands in a manifest",
            "put it in the environment, under the name that provider.api_key_env gives (FLUXBATCH_API_KEY)",
        )
    near = nearest(word, known)
    return f"there is no key named {shown(word)} here", near or listed(known)
