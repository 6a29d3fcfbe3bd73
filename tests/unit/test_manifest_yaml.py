"""YAML that is hostile, or of a kind that a manifest does not use."""

import contextlib
import time
from pathlib import Path

import pytest
import yaml

from pipeline.errors import ManifestError, NotFoundError
from pipeline.manifest import load_manifest
from pipeline.manifest.tree import MAX_NODES, Mapping, Scalar, Sequence, parse, plain_data
from tests.unit.manifest_writing import HEAD, load, made, only_problem, problems

JOBS = "jobs:\n  - [a cat]\n"


@pytest.mark.parametrize("loader", [yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader)])
def test_each_value_knows_its_place(loader: object) -> None:
    root = parse("a: 1\nb:\n  - x\n  - {c: 'd'}\n", "m", loader=loader)
    assert isinstance(root, Mapping)
    items = root.values["b"]
    assert isinstance(items, Sequence)
    inner = items.items[1]
    assert isinstance(inner, Mapping)
    value = inner.values["c"]
    assert isinstance(value, Scalar)
    assert (root.keys["b"].line, root.keys["b"].column) == (2, 1)
    assert (value.line, value.column, value.text) == (4, 9, "d")
    assert plain_data(root) == {"a": "1", "b": ["x", {"c": "d"}]}


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? ", "[{a: "])
def test_deep_nesting_is_refused_within_a_second(tmp_path: Path, opening: str) -> None:
    before = time.monotonic()
    problem = only_problem(tmp_path, opening * 100_000)
    assert time.monotonic() - before < 1
    assert "nested deeper than 32" in problem.message or "key must be a word" in problem.message


def test_thirty_two_levels_are_deep_enough_and_allowed() -> None:
    assert plain_data(parse("[" * 32 + "]" * 32, "m"))
    with pytest.raises(ManifestError, match="nested deeper"):
        parse("[" * 33 + "]" * 33, "m")


def test_more_than_half_a_million_values_are_refused() -> None:
    with pytest.raises(ManifestError, match="500,000 values"):
        parse("[" + "a," * (MAX_NODES + 1) + "]", "m")


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("a: &x 1\n", 1, 4, "anchors"),
        ("a: &x [1]\n", 1, 4, "anchors"),
        ("a: *x\n", 1, 4, "aliases"),
        ("a: !!str 1\n", 1, 4, "tags"),
        ("a: !!python/object:os.system x\n", 1, 4, "tags"),
        ("a: ! x\n", 1, 4, "tags"),
        ("b: 1\n<<: {a: 1}\n", 2, 1, "merge keys"),
        ("a: 1\n---\nb: 2\n", 2, 1, "second"),
        ("a: 1\nb: 2\na: 3\n", 3, 1, "lines 1 and 3"),
        ("? [a]\n: 1\n", 1, 3, "a key must be a word"),
        ("~: 1\n", 1, 1, "a key is missing"),
        ("", 1, 1, "empty"),
        ("# only a comment\n", 1, 1, "empty"),
        ("a: \x07\n", 1, 4, "U+0007"),
        ("a: b\nc: \x00", 2, 4, "U+0000"),
        ("a: b\ufeff\n", 1, 5, "U+FEFF"),
        ("a: b: c\n", 1, 5, "not YAML"),
        ("a: 'b\n", 2, 1, "not YAML"),
        ("a: [1\n", 2, 1, "not YAML"),
        ('a: "\\q"\n', 1, 5, "not YAML"),
        ("\ta: 1\n", 1, 1, "not YAML"),
    ],
)
def test_structure_is_refused_with_its_place(tmp_path: Path, text: str, line: int, column: int, words: str) -> None:
    problem = only_problem(tmp_path, text)
    assert (problem.line, problem.column) == (line, column), str(problem)
    assert words in problem.message


def test_an_unclosed_quote_says_so(tmp_path: Path) -> None:
    assert only_problem(tmp_path, "a: 'b\n").hint == "a quote is not closed"


def test_a_quoted_merge_sign_is_an_ordinary_key(tmp_path: Path) -> None:
    assert "no key named '<<'" in only_problem(tmp_path, HEAD + JOBS + "'<<': 1\n").message


def test_latin_1_says_where(tmp_path: Path) -> None:
    problem = only_problem(tmp_path, "version: 1\nname: caf\xe9\n".encode("latin-1"))
    assert (problem.line, problem.column) == (2, 10)
    assert "0xE9" in problem.message


def test_utf_16_is_refused(tmp_path: Path) -> None:
    assert "not UTF-8" in only_problem(tmp_path, (HEAD + JOBS).encode("utf-16")).message


def test_a_byte_order_mark_and_windows_line_ends_are_fine(tmp_path: Path) -> None:
    text = "\ufeff" + (HEAD + JOBS).replace("\n", "\r\n")
    assert [job.source for job in made(load(tmp_path, text))] == ["m.yaml:5"]


def test_more_than_8_mib_is_refused(tmp_path: Path) -> None:
    assert "larger than 8 MiB" in only_problem(tmp_path, b"#" * (8 << 20) + b"\n").message


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no such file"):
        load_manifest(tmp_path / "none.yaml")


def test_a_folder_is_not_a_manifest(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        load_manifest(str(tmp_path))


@pytest.mark.parametrize("text", ["- a\n", "just text\n", "42\n"])
def test_a_manifest_is_a_mapping(tmp_path: Path, text: str) -> None:
    assert only_problem(tmp_path, text).message == "a manifest is a mapping of keys"


KEYS = ["version", "name", "edition", "provider", "limits", "defaults", "output", "jobs"]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("value", ["~", "[]", "[~]", "{x: 1}", "{1: {2: [3]}}", ".nan", "'" + "x" * 5000 + "'"])
def test_nonsense_anywhere_never_makes_a_crash(tmp_path: Path, key: str, value: str) -> None:
    written = {"version": "1", "provider": "simulator", "jobs": "[[a cat]]", key: value}
    with contextlib.suppress(ManifestError):
        load(tmp_path, "".join(f"{name}: {text}\n" for name, text in written.items()))


@pytest.mark.parametrize("key", KEYS)
def test_a_long_value_never_makes_a_long_problem(tmp_path: Path, key: str) -> None:
    written = {"version": "0", "jobs": "[[a cat]]", key: "'" + "x/" * 5000 + "'"}
    found = problems(tmp_path, "".join(f"{name}: {text}\n" for name, text in written.items()))
    assert all(len(str(problem)) < 500 for problem in found)


JOB_KEYS = [
    "prompt",
    "model",
    "ratio",
    "use",
    "seed",
    "format",
    "safety_tolerance",
    "prompt_upsampling",
    "repeat",
    "vars",
]


@pytest.mark.parametrize("key", [*JOB_KEYS, "zip", "rows"])
@pytest.mark.parametrize("value", ["~", "", "[]", "[~]", "{x: ~}", "{x: []}", "{x: [~]}", "9" * 5000, "-.inf", "1e400"])
def test_nonsense_in_a_job_is_a_short_problem(tmp_path: Path, key: str, value: str) -> None:
    written = {"prompt": "a cat", key: value}
    text = HEAD + "jobs:\n  - " + "\n    ".join(f"{name}: {text}" for name, text in written.items()) + "\n"
    if key == "prompt" and value in {"9" * 5000, "-.inf", "1e400"}:
        assert made(load(tmp_path, text))[0].request.prompt == value
        return
    found = problems(tmp_path, text)
    assert all(problem.line >= 5 and len(str(problem)) < 500 for problem in found)


@pytest.mark.parametrize(
    "item", ["~", "42", "a cat", "''", "[]", "[~]", "[a, 1:1, flux-kontext-pro, x]", "[[a]]", "[{a: b}]", "{}"]
)
def test_a_job_of_no_known_form_is_a_problem(tmp_path: Path, item: str) -> None:
    assert only_problem(tmp_path, f"{HEAD}jobs:\n  - {item}\n").path.startswith("jobs[0]")


@pytest.mark.parametrize(
    "text",
    [
        f"{'k' * 5000}: 1\n",
        '"a\\nb": 1\n',
        f"provider: {{prices: {{{'k' * 5000}: x}}}}\n",
        f"jobs: [['{{{'k' * 5000}}}']]\n",
        f"edition: '{{{'k' * 5000}}}'\n",
        f"{'k' * 500}: 1\n{'k' * 500}: 2\n",
        f"output: {{file: '{{{'k' * 5000}}}'}}\n",
    ],
)
def test_a_long_word_never_makes_a_long_problem(tmp_path: Path, text: str) -> None:
    for problem in problems(tmp_path, text):
        assert len(str(problem)) < 800
        assert "\n" not in str(problem)
