"""The only module that writes what was imported: a manifest and its rows, never over what is there without a word."""

import json
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.errors import ManifestError, NotFoundError, OutputError, Problem
from pipeline.manifest import Manifest, load_manifest

#: Lists are read whole; a million short rows fit.
MAX_BYTES = 256 << 20
_SCHEMA_LINE = "# Written by fluxbatch import; look at it with: fluxbatch plan FILE\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a person wants of an import.

    Attributes:
        source: The list.
        to: The manifest to write; beside the list, with its name, when None.
        force: Whether what is there may be replaced.
        provider: The profile to write.
        model: The model of rows that name none; "" for the catalog's first.
        prompt: The prompt of rows that have none; "" for none.
    """

    source: Path
    to: Path | None = None
    force: bool = False
    provider: str = "apiyi"
    model: str = ""
    prompt: str = ""

    @property
    def manifest(self) -> Path:
        """Where the manifest goes."""
        return self.source.with_suffix(".yaml") if self.to is None else self.to

    def beside(self, suffix: str) -> Path:
        """Where another file of the import goes: beside the manifest, named after it."""
        return self.manifest.with_name(self.manifest.stem + suffix)


@dataclass(slots=True)
class Writer:
    """Writes the files of one import, all of them or none.

    Attributes:
        wanted: What a person wants.
        files: Contents by place.
    """

    wanted: Wanted
    files: dict[Path, bytes] = field(default_factory=dict)

    def add(self, path: Path, content: str | bytes) -> str:
        """Have a file written; its name as the manifest writes it."""
        self.files[path] = content.encode() if isinstance(content, str) else content
        return relative(path, self.wanted.manifest)

    def finish(self, jobs: Sequence[Mapping[str, Any]]) -> Manifest:
        """Write everything, the manifest last, and read it again: what is written can be planned.

        Raises:
            OutputError: Something is there, or cannot be written.
            ManifestError: What was written does not fit, as a model that the catalog does not have.
        """
        head: dict[str, Any] = {"version": 1, "name": self.wanted.manifest.stem, "provider": self.wanted.provider}
        if self.wanted.model:
            head["defaults"] = {"model": self.wanted.model}
        text = _SCHEMA_LINE + "".join(f"{key}: {_value(value)}\n" for key, value in head.items()) + "jobs:\n"
        for job in jobs:
            lines = [f"{key}: {_value(value)}" for key, value in job.items()]
            text += "  - " + "\n    ".join(lines) + "\n"
        self.files[self.wanted.manifest] = text.encode()
        self._require_free()
        for path, content in self.files.items():
            _write(path, content)
        return load_manifest(self.wanted.manifest)

    def _require_free(self) -> None:
        for path in self.files:
            if path.exists() and path.samefile(self.wanted.source):
                raise OutputError(f"{path}: is what is imported", remedy="name another manifest with --to")
            if path.exists() and not self.wanted.force:
                raise OutputError(f"{path}: is there already", remedy="name another with --to, or replace it: --force")


def read_list(path: Path) -> str:
    """A list's text.

    Raises:
        NotFoundError: There is none, or not of UTF-8, or it is larger than 256 MiB.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise NotFoundError(path, "is larger than 256 MiB", remedy="divide it")
        return raw.decode("utf-8-sig")
    except OSError as exc:
        raise NotFoundError(path, exc.strerror or "cannot be read", remedy="name a list that can be read") from exc
    except UnicodeDecodeError as exc:
        raise NotFoundError(path, "is not UTF-8", remedy="save it as UTF-8") from exc


def problem(path: Path, line: int, message: str, hint: str) -> ManifestError:
    """A list with a mistake at that line."""
    return ManifestError([Problem(file=str(path), line=line, column=1, path="", message=message, hint=hint)])


def relative(path: Path, manifest: Path) -> str:
    """A file as a manifest beside or above it names it."""
    return Path(os.path.relpath(path.absolute(), manifest.absolute().parent)).as_posix()


def braced(text: str) -> str:
    """A text in which braces stand for themselves."""
    return text.replace("{", "{{").replace("}", "}}")


def _value(value: Any) -> str:
    """A value in YAML's flow style: JSON, but for the characters that YAML takes for line ends or not at all."""
    told = json.dumps(value, ensure_ascii=False)
    return "".join(character if character.isprintable() else f"\\U{ord(character):08x}" for character in told)


def _write(path: Path, content: bytes) -> None:
    part = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("xb") as file:
            file.write(content)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OutputError(f"{path}: cannot be written ({error.strerror})", remedy="name another with --to") from error
