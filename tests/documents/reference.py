"""The pages of ``docs/reference``, written from the code: ``python -m tests.documents.reference``.

What a page says of a name stands beside that name in the code, as help, a description or an ``Attributes`` entry.
"""

import inspect
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel

from pipeline.cli.commands import app
from pipeline.errors import SERIOUSNESS, ExitCode
from pipeline.ledger import COLUMNS
from pipeline.ledger.schema import MIGRATIONS
from pipeline.ledger.views import Row
from pipeline.manifest import json_schema
from pipeline.report import metrics
from pipeline.report.events import EventName, level_of

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "reference"
COMMAND = "make docs-reference"
_MARK = f"<!-- Written from the code: {COMMAND} writes it anew. -->"


def pages() -> dict[str, str]:
    """Every page's text, by its file's name."""
    made = {
        "commands.md": _commands(),
        "manifest.md": _manifest(),
        "exit-codes.md": _exit_codes(),
        "ledger.md": _ledger(),
        "metrics.md": _metrics(),
        "events.md": _events(),
    }
    return {name: f"{_MARK}\n\n{text.strip()}\n" for name, text in made.items()}


def attributes_of(documented: Any) -> dict[str, str]:
    """What the ``Attributes`` section of a docstring says of each name."""
    _, _, section = (inspect.getdoc(documented) or "").partition("Attributes:\n")
    told: dict[str, str] = {}
    name = ""
    for line in section.splitlines():
        entry = re.match(r"    (\w+): (.*)", line)
        if entry:
            name = entry[1]
            told[name] = entry[2]
        elif name and line.startswith("        "):
            told[name] += " " + line.strip()
    return told


# --- commands ----------------------------------------------------------------------------------------------------


def _commands() -> str:
    root = typer.main.get_command(app)
    parts = [
        "# Commands and options",
        "Every command also takes `--help`. What each ends with is in [exit codes](exit-codes.md).",
        "## `fluxbatch`",
        *_command_parts(root),
    ]
    for name, command in _walk(root, "fluxbatch"):
        parts += [f"## `{name}`", *_command_parts(command)]
    return "\n\n".join(parts)


def _walk(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    for child_name, child in getattr(command, "commands", {}).items():
        yield f"{name} {child_name}", child
        yield from _walk(child, f"{name} {child_name}")


def _command_parts(command: Any) -> Iterator[str]:
    yield _prose(" ".join((command.help or "").split()))
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name == "option" and not each.hidden]
    if arguments:
        rows = [(f"`{_metavar(each)}`", _optional(each), _prose(each.help or "")) for each in arguments]
        yield _table(("argument", "", "means"), rows)
    if options:
        yield _table(("option", "default", "means"), [_option(each) for each in options])


def _metavar(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper())


def _optional(argument: Any) -> str:
    if argument.required:
        return "must be given"
    return "may be left out" if argument.default is None else f"`{argument.default}` if left out"


def _option(option: Any) -> tuple[str, str, str]:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    takes = "" if option.is_flag else f" `{_takes(option)}`"
    default = option.default
    shown = "" if callable(default) or default in (None, "", False) else f"`{_value(default)}`"
    bounds = [
        f"{word} {bound:,}" for word, bound in (("at least", option.min), ("at most", option.max)) if bound is not None
    ]
    repeats = ["may be repeated"] if option.multiple else []
    extra = "; ".join([*bounds, *repeats])
    return names + takes, shown, _prose(option.help or "") + (f" ({extra})" if extra else "")


def _takes(option: Any) -> str:
    kind = option.type_descriptor.annotation
    if inspect.isclass(kind) and issubclass(kind, Enum):
        return " or ".join(str(each.value) for each in kind)
    words = {str: "TEXT", int: "N", float: "NUMBER", Path: "FILE"}
    return str(option.metavar or words.get(kind, "TEXT"))


def _value(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(getattr(value, "value", value))


# --- manifest ----------------------------------------------------------------------------------------------------

#: What people call each part, in the order of the page; one that is not here is called as in the schema.
_TITLES = {
    "LimitsKeys": "limits",
    "DefaultsKeys": "defaults",
    "OutputKeys": "output",
    "ProviderKeys": "provider",
    "LogKeys": "provider: log",
    "NotifyKeys": "notify",
    "TupleKeys": "jobs: in short",
    "JobKeys": "jobs: a mapping",
    "RowsKeys": "jobs: rows",
}
#: A longer list of names is not written out.
_MOST_NAMES = 8
_BOUNDS = {
    "ge": "at least",
    "gt": "above",
    "le": "at most",
    "lt": "below",
    "min_length": "at least",
    "max_length": "at most",
}


def _manifest() -> str:
    schema = json_schema()
    parts = {name: part for name, part in schema["$defs"].items() if part.get("properties")}
    known = [name for name in _TITLES if name in parts]
    told = [
        "# Manifest keys",
        _lines(
            "A manifest is YAML 1.2; an unknown key is a mistake. `fluxbatch schema` prints all of this as a JSON",
            "schema for editors. What else bounds a manifest is in [the design](../design.md#what-a-manifest-may-be).",
        ),
        "## The manifest itself",
        _keys(schema, "ManifestFile"),
    ]
    for name in known + sorted(set(parts) - set(known)):
        told += [f"## `{_title(name)}`", _prose(parts[name].get("description", "")), _keys(parts[name], name)]
    short = "A list of prompt, ratio and model; the last two may be left out: `[A quiet harbour at dawn, 3:2]`."
    return "\n\n".join([*told, f"## `{_TITLES['TupleKeys']}`", short])


def _title(name: str) -> str:
    return _TITLES.get(name, name)


def _keys(part: Mapping[str, Any], model: str) -> str:
    fields = _models()[model].model_fields if model in _models() else {}
    needed = part.get("required", [])
    rows = []
    for key, value in part["properties"].items():
        field = fields.get(key)
        told = value.get("description") or (field and field.description) or ""
        bounds = (_bounds(field.metadata) if field else "") or _bounds_of_numbers(value)
        rows.append((f"`{key}`", _kind(value) + bounds, _default(key, value, needed), _prose(told)))
    return _table(("key", "takes", "default", "means"), rows)


def _models() -> dict[str, Any]:
    """The classes that the schema is made of: it leaves out what bounds a key that may be left out."""

    def below(kind: type[BaseModel]) -> Iterator[type[BaseModel]]:
        for child in kind.__subclasses__():
            yield child
            yield from below(child)

    return {kind.__name__: kind for kind in below(BaseModel) if kind.__module__.startswith("pipeline.")}


def _default(key: str, value: Mapping[str, Any], needed: list[str]) -> str:
    if key in needed:
        return "must be there"
    default = value.get("default")
    return "" if default in (None, "", []) or isinstance(default, dict) else f"`{_plain(default)}`"


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _kind(value: Mapping[str, Any]) -> str:
    match value:
        case {"$ref": str(reference)}:
            title = _title(reference.rpartition("/")[2])
            return f"[`{title}`](#{title.lower().replace(':', '').replace(' ', '-')})"
        case {"const": constant}:
            return f"`{constant}`"
        case {"enum": [*names]}:
            return (
                ", ".join(f"`{each}`" for each in names) if len(names) <= _MOST_NAMES else f"one of {len(names)} names"
            )
        case {"anyOf": [*several]} | {"oneOf": [*several]}:
            return " or ".join(dict.fromkeys(map(_kind, several)))
        case {"type": "array", "items": dict(items)}:
            return f"a list of {_kind(items)}"
        case {"type": "string", "format": form}:
            return str(form).upper()
        case {"type": [*_]}:
            return "text"
        case _:
            words = {"string": "text", "integer": "whole number", "boolean": "`true` or `false`", "object": "mapping"}
            kind = str(value.get("type", "anything"))
            return words.get(kind, kind)


def _bounds(metadata: Iterable[Any]) -> str:
    told = [
        f", {words} {getattr(each, name):,}"
        for each in metadata
        for name, words in _BOUNDS.items()
        if getattr(each, name, None) is not None
    ]
    return "".join(told)


def _bounds_of_numbers(value: Mapping[str, Any]) -> str:
    """Of a number that may be written as text, too."""
    for each in (value, *value.get("anyOf", ())):
        if "maximum" in each:
            return f", at least {each.get('minimum', each.get('exclusiveMinimum')):,}, at most {each['maximum']:,}"
    return ""


def _lines(*lines: str) -> str:
    return " ".join(lines)


# --- the rest ----------------------------------------------------------------------------------------------------


def _exit_codes() -> str:
    told = attributes_of(ExitCode)
    rows = [(str(int(code)), f"`{code.name}`", _prose(told.get(code.name, ""))) for code in ExitCode]
    order = ", ".join(str(int(code)) for code in SERIOUSNESS)
    return "\n\n".join(
        [
            "# Exit codes",
            "Programs may depend on each number: they change only with a major version.",
            _table(("code", "name", "means"), rows),
            f"When several apply to a run, it ends with the first of these: {order}.",
        ]
    )


def _ledger() -> str:
    told, kinds = attributes_of(Row), inspect.get_annotations(Row)
    rows = [(f"`{name}`", _python_kind(kinds[name]), _prose(told.get(name, ""))) for name in COLUMNS]
    tables = "\n".join(
        f"-- version {version}\n{migration.strip()}\n" for version, migration in enumerate(MIGRATIONS, 1)
    )
    return "\n\n".join(
        [
            "# The ledger",
            "## Columns of an export",
            _lines(
                "`fluxbatch ledger export` and `Ledger.rows()` have these, in this order. They are the contract: a",
                "column changes its name or meaning only with a major version.",
            ),
            _table(("column", "type", "means"), rows),
            "## Tables",
            _lines(
                "The ledger is a SQLite database. Its tables may be read, and only read: a program that writes into",
                "them breaks what the ledger promises. They are no contract: each version of the program may change",
                "them. Amounts are in micro-dollars (a dollar is 1,000,000), times in seconds since 1970.",
            ),
            f"```sql\n{tables.rstrip()}\n```",
        ]
    )


def _python_kind(kind: Any) -> str:
    words = {"str": "text", "int": "whole number", "float": "number"}
    first, *rest = (kind if isinstance(kind, str) else getattr(kind, "__name__", str(kind))).split(" | ")
    return words.get(first, first) + (", or nothing" if rest else "")


def _metrics() -> str:
    rows = [
        (f"`{name}`", ", ".join(f"`{each}`" for each in labels), _prose(told))
        for name, labels, told in metrics.families()
    ]
    return "\n\n".join(
        [
            "# Metrics",
            "What `fluxbatch run --metrics-file FILE` writes, for Prometheus' node_exporter. All of them are gauges.",
            _table(("metric", "labels", "means"), rows),
        ]
    )


def _events() -> str:
    told = attributes_of(EventName)
    rows = [(f"`{event}`", level_of(event, {}), _prose(told.get(event.name, ""))) for event in EventName]
    return "\n\n".join(
        [
            "# Log events",
            _lines(
                "With `--log-format json` and in a `--log-file`, each line is a JSON object with `time`, `level` and",
                "`event`, and the event's own facts. `run_ended` is an `error` where its `exit_code` is not 0.",
            ),
            _table(("event", "level", "means"), rows),
        ]
    )


def _prose(text: str) -> str:
    """Text of the code as Markdown: double backticks are single there, and without any, nothing is markup."""
    if "`" in text:
        return text.replace("``", "`")
    return re.sub(r"([|*<>\[\]_{}$])", r"\\\1", text)


def _table(head: tuple[str, ...], rows: list[Any]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def main() -> None:
    """Write the pages."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    sys.stdout.write(f"{len(pages())} pages written into {FOLDER.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
