"""The only module that knows the checker's own errors: turns them into plain sentences with a place and a remedy."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from pipeline.manifest.complaints import Complaints, KeyPath, listed, nearest, shown
from pipeline.manifest.schema import (
    DefaultsKeys,
    JobKeys,
    LimitsKeys,
    ManifestFile,
    ManifestHead,
    OutputKeys,
    ProviderKeys,
    RowsKeys,
    TupleKeys,
    job_form,
)
from pipeline.manifest.tree import Node, place_of, plain_data

_FORMS: dict[str, TypeAdapter[TupleKeys | JobKeys]] = {
    "<tuple>": TypeAdapter(TupleKeys),
    "<job>": TypeAdapter(JobKeys),
    "<rows>": TypeAdapter(RowsKeys),
}
_KEYS: dict[str, list[str]] = {
    "": list(ManifestFile.model_fields),
    "provider": list(ProviderKeys.model_fields),
    "limits": list(LimitsKeys.model_fields),
    "defaults": list(DefaultsKeys.model_fields),
    "output": list(OutputKeys.model_fields),
    "jobs": list(RowsKeys.model_fields),
}
_SECRETS = frozenset({"api_key", "apikey", "api-key", "key", "token", "secret", "password", "authorization", "bearer"})

_SENTENCES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "missing": lambda _: "is missing",
    "model_type": lambda _: "must be a mapping of keys",
    "dict_type": lambda _: "must be a mapping of names",
    "tuple_type": lambda _: "must be a list",
    "too_short": lambda _: "must not be empty",
    "too_long": lambda facts: f"has {facts['actual_length']} items; at most {facts['max_length']} fit",
    "greater_than": lambda facts: f"must be more than {facts['gt']}",
    "greater_than_equal": lambda facts: f"must be at least {facts['ge']}",
    "less_than_equal": lambda facts: f"must be at most {facts['le']}",
    "literal_error": lambda facts: f"must be {facts['expected']}",
    "value_error": lambda facts: str(facts["error"]),
    "written": lambda facts: str(facts["message"]),
}


@dataclass(frozen=True, slots=True)
class Checker:
    """Checks what was written against the models, and notes each problem at its place.

    Attributes:
        root: The whole manifest.
        complaints: Where problems go.
    """

    root: Node
    complaints: Complaints

    def head(self, data: Any) -> ManifestHead | None:
        """Check everything but the jobs, which ``data`` is without; a section with problems counts as not there.

        Returns None when the manifest is not a mapping at all.
        """
        if not isinstance(data, dict):
            self.complaints.add(self.root, (), "a manifest is a mapping of keys", "start with 'version: 1' and 'jobs:'")
            return None
        try:
            return ManifestHead.model_validate(data)
        except ValidationError as exc:
            bad = self._note(exc, ())
        sound = {key: value for key, value in data.items() if key not in bad}
        return ManifestHead.model_validate({"version": 1} | sound if "version" not in sound else sound)

    def job(self, number: int, node: Node) -> TupleKeys | JobKeys | None:
        """Check one job, ``number`` from 0; None when it has problems."""
        data = plain_data(node)
        form = job_form(data)
        if not form:
            hint = "write [prompt, ratio, model], or a mapping with 'prompt:'"
            self.complaints.add(node, ("jobs", number), "a job is a list or a mapping", hint)
            return None
        try:
            return _FORMS[form].validate_python(data)
        except ValidationError as exc:
            self._note(exc, ("jobs", number))
            return None

    def _note(self, exc: ValidationError, base: KeyPath) -> set[str | int]:
        """Note each error; returns the first steps of their paths."""
        bad: set[str | int] = set()
        for error in exc.errors(include_url=False, include_input=False):
            steps = error["loc"]
            if steps[:1] == ("provider",) and len(steps) > 1:
                # The second step names the alternative that was tried, which nobody wrote.
                steps = ("provider", *steps[2:])
            bad.update(steps[:1])
            self._add(base + steps, error["type"], error.get("ctx", {}))
        return bad

    def _add(self, path: KeyPath, kind: str, facts: Mapping[str, Any]) -> None:
        section = str(path[0]) if len(path) > 1 else ""
        last = str(path[-1])
        if kind == "extra_forbidden":
            message, hint = _unknown_key(last, _KEYS[section])
            self.complaints.add(place_of(self.root, path, key=True), path, message, hint)
            return
        place = place_of(self.root, path[:-1], key=True) if kind == "missing" else place_of(self.root, path)
        hint = str(facts.get("hint", ""))
        if kind == "literal_error" and last == "wire":
            hint = "flat is what the built-in provider wants"
        self.complaints.add(place, path, _SENTENCES[kind](facts), hint)


def _unknown_key(word: str, known: list[str]) -> tuple[str, str]:
    if word.lower() in _SECRETS:
        return (
            "a key or password never stands in a manifest",
            "put it in the environment, under the name that provider.api_key_env gives (FLUXBATCH_API_KEY)",
        )
    near = nearest(word, known)
    return f"there is no key named {shown(word)} here", near or listed(known)
