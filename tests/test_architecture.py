"""What no single module can promise: names that are true, a complete tree of errors, words that are documented."""

import ast
import importlib
import json
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import pipeline
from pipeline import load_manifest
from pipeline.cli.commands import app
from pipeline.errors import ExitCode, FluxbatchError
from pipeline.job import Job
from pipeline.ledger import COLUMNS
from pipeline.manifest import json_schema
from pipeline.provider.errors import ProviderError

ROOT = Path(__file__).parents[1]
JOBS = ROOT / "jobs"
MODULES = sorted(["pipeline", *(found.name for found in pkgutil.walk_packages(pipeline.__path__, "pipeline."))])
PACKAGES = [name for name in MODULES if hasattr(importlib.import_module(name), "__path__")]
#: A module longer than this does more than one thing; the house style asks for 250.
LONGEST_MODULE_LINES = 320


def source_of(module: str) -> Path:
    file = importlib.import_module(module).__file__
    assert file is not None
    return Path(file)


def documentation() -> str:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return "\n".join(page.read_text(encoding="utf-8") for page in pages)


def is_documented(word: str) -> bool:
    """Whether the documentation has it as a word of its own."""
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", documentation()) is not None


# --- names -------------------------------------------------------------------------------------------------------


def by_kind(name: str) -> tuple[int, str]:
    """How the linter sorts ``__all__``: constants, classes, the rest."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name


@pytest.mark.parametrize("package", PACKAGES)
def test_all_is_sorted_and_true(package: str) -> None:
    module = importlib.import_module(package)
    assert list(module.__all__) == sorted(module.__all__, key=by_kind)
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


@pytest.mark.parametrize("package", [name for name in PACKAGES if name != "pipeline"])
def test_what_a_package_only_passes_on_is_in_all(package: str) -> None:
    body = ast.parse(source_of(package).read_text(encoding="utf-8")).body
    imports = [node for node in body if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(package)]
    if len(imports) < len(body) - 2:
        return  # more than a docstring, imports and __all__: it has work of its own
    passed_on = {alias.asname or alias.name for node in imports for alias in node.names}
    assert passed_on == set(importlib.import_module(package).__all__)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_says_in_a_line_what_only_it_knows_and_is_not_long(module: str) -> None:
    source = source_of(module).read_text(encoding="utf-8")
    docstring = ast.get_docstring(ast.parse(source)) or ""
    assert docstring.splitlines()[0].endswith((".", ":"))
    assert source.count("\n") <= LONGEST_MODULE_LINES


# --- errors ------------------------------------------------------------------------------------------------------


def subclasses(root: type[BaseException]) -> Iterator[type[BaseException]]:
    for child in root.__subclasses__():
        yield child
        yield from subclasses(child)


def drawn_tree(module: str) -> dict[str, tuple[str | None, str]]:
    """Each class of the tree in a module's docstring: its parent, and what stands beside it."""
    tree: dict[str, tuple[str | None, str]] = {}
    path: list[str] = []
    margin = 0
    for line in (importlib.import_module(module).__doc__ or "").splitlines():
        match = re.match(r"[│├└─ ]*(\w+Error)\b(.*)", line)
        if match:
            margin = match.start(1) if not path else margin
            depth = (match.start(1) - margin) // 4
            path[depth:] = [match[1]]
            tree[match[1]] = (path[depth - 1] if depth else None, match[2].strip())
    return tree


@pytest.mark.parametrize(
    ("root", "module"), [(FluxbatchError, "pipeline.errors"), (ProviderError, "pipeline.provider.errors")]
)
def test_every_error_class_is_in_the_tree_under_its_parent(root: type[BaseException], module: str) -> None:
    for name in MODULES:
        importlib.import_module(name)
    built = {kind.__name__: kind.__bases__[0].__name__ for kind in subclasses(root)}
    drawn = {name: parent for name, (parent, _) in drawn_tree(module).items() if parent is not None}
    assert drawn == built


def test_the_tree_says_each_classs_exit_code() -> None:
    codes = {
        kind.__name__: int(kind.exit_code) for kind in subclasses(FluxbatchError) if issubclass(kind, FluxbatchError)
    }
    drawn = {name: int(beside.split()[0]) for name, (parent, beside) in drawn_tree("pipeline.errors").items() if parent}
    assert drawn == codes


def test_error_classes_end_in_error() -> None:
    ours = [kind for kind in subclasses(Exception) if kind.__module__.startswith("pipeline")]
    assert [kind.__name__ for kind in ours if not kind.__name__.endswith("Error")] == []


# --- documentation -----------------------------------------------------------------------------------------------


def commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Every command, by the words that call it."""
    for child_name, child in getattr(command, "commands", {}).items():
        yield f"{name} {child_name}", child
        yield from commands(child, f"{name} {child_name}")


ALL_COMMANDS = dict(commands(typer.main.get_command(app), "fluxbatch"))


def test_every_command_is_documented() -> None:
    assert [name for name in ALL_COMMANDS if not is_documented(name)] == []


def test_every_option_is_documented() -> None:
    options = {
        f"{name} {option}"
        for name, command in ALL_COMMANDS.items()
        for parameter in command.params
        for option in parameter.opts
        if option.startswith("--")
    }
    assert sorted(each for each in options if not is_documented(each.split()[-1])) == []


def keys_of(schema: Any) -> Iterator[str]:
    """Every key that a schema names, however deep."""
    if isinstance(schema, dict):
        yield from schema.get("properties", {})
        for value in schema.values():
            yield from keys_of(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from keys_of(value)


def test_every_manifest_key_is_documented() -> None:
    keys = set(keys_of(json_schema()))
    assert {"version", "jobs", "prompt", "budget_usd", "safety_tolerance", "allow_hosts"} <= keys
    assert sorted(key for key in keys if not is_documented(key)) == []


def test_every_exit_code_is_documented() -> None:
    text = documentation()
    assert [int(code) for code in ExitCode if not re.search(rf"^\| {int(code)} \|", text, re.MULTILINE)] == []


@pytest.mark.parametrize(
    "word", ["FLUXBATCH_API_KEY", "FLUXBATCH_BASE_URL", "FLUXBATCH_LOG_TOKEN", "FLUXBATCH_LOG_USER"]
)
def test_every_environment_variable_is_documented(word: str) -> None:
    assert is_documented(word)


def test_every_export_column_is_documented() -> None:
    assert [column for column in COLUMNS if not is_documented(column)] == []


# --- examples ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("manifest", sorted(JOBS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_example_loads_and_each_row_makes_a_job(manifest: Path) -> None:
    jobs = list(load_manifest(manifest).jobs())
    assert jobs
    assert all(isinstance(job, Job) for job in jobs)


def test_the_schema_beside_the_examples_is_the_one_the_program_has() -> None:
    kept = (JOBS / "manifest.schema.json").read_text(encoding="utf-8")
    assert kept == json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def test_every_other_file_in_jobs_is_one_an_example_uses() -> None:
    used = {path.name for manifest in JOBS.glob("*.yaml") for path in load_manifest(manifest).rows_files}
    others = {path.name for path in JOBS.iterdir()} - {path.name for path in JOBS.glob("*.yaml")}
    assert others == used | {"manifest.schema.json", "pictures"}
