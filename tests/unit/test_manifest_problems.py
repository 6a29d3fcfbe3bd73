"""Every problem of a manifest that does not come from another one is shown in one go."""

from pathlib import Path

import pytest

from pipeline.errors import NotFoundError
from pipeline.manifest import load_manifest
from tests.unit.manifest_writing import HEAD, load, only_problem, problems

JOBS = "jobs: [[a cat]]\n"


def paths(folder: Path, text: str) -> list[str]:
    return [problem.path for problem in problems(folder, text)]


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        (
            "{prompt: x, seed: 1.5, safety_tolerance: 9, format: gif, prompt_upsampling: 1}",
            ["seed", "safety_tolerance", "format", "prompt_upsampling"],
        ),
        ("{prompt: '{b', seed: 1.5, ratio: 9:1}", ["prompt", "seed", "ratio"]),
        ("{prompt: '', use: nothing, safety_tolerance: 7}", ["prompt", "use", "safety_tolerance"]),
        ("{seed: -1.5, repeat: 0, format: gif}", ["prompt", "seed", "repeat", "format"]),
        ("{prompt: x, extra: 1, safety_tolerance: 9}", ["extra", "safety_tolerance"]),
        ("{prompt: x, modle: 1, repeat: 0, ratio: 9:1}", ["modle", "repeat", "ratio"]),
        ("{prompt: '{x} {y}', vars: {a: [], b: [1]}}", ["prompt", "prompt", "vars.a", "vars.a", "vars.b"]),
        ("{prompt: '{a}', vars: {a: [], 1: [x], 2: [y]}, seed: x}", ["vars.a", "vars.1", "vars.2", "seed"]),
        ("{prompt: '{a}{a b}{c:5}}', seed: 1.5}", ["prompt", "prompt", "prompt", "seed"]),
        ('{prompt: "a\\x01 {nope}", seed: 1.5}', ["prompt", "prompt", "seed"]),
        ("{rows: none.csv, prompt: '{t}', seed: x, safety_tolerance: 9}", ["rows", "seed", "safety_tolerance"]),
        ("{rows: [], prompt: '{t}', format: gif}", ["rows", "format"]),
        ("{rows: p.csv, prompt: '{t} {u}', seed: 1.5, format: gif}", ["prompt", "seed", "format"]),
        ("{rows: p.csv, prompt: '{t}', safety_tolerance: 9}", ["safety_tolerance"]),
        ("{rows: p.csv, prompt: '{t}', repeat: 3, seed: 9223372036854775807}", ["seed"]),
        ("{prompt: x, vars: {a: [1]}, zip: {a: [1], b: [2, 3]}}", ["vars.a", "zip", "zip.a", "zip.b"]),
    ],
)  # fmt: skip
def test_every_problem_of_a_job_is_shown(tmp_path: Path, job: str, expected: list[str]) -> None:
    (tmp_path / "p.csv").write_text("t\na\n")
    found = paths(tmp_path, f"{HEAD}jobs:\n  - {job}\n")
    assert sorted(found) == sorted(f"jobs[0].{path}" for path in expected)


@pytest.mark.parametrize(
    ("job", "path"),
    [
        ("{prompt: '{a}', vars: 3}", "vars"),
        ("{prompt: x, vars: {a: [1]}, seed: ['{a}']}", "seed"),
        ("{prompt: '{a', vars: {a: [1]}}", "prompt"),
        ("{prompt: x, model: [], safety_tolerance: 99}", "model"),
        ("{prompt: x, model: flux, safety_tolerance: 99}", "model"),
        ("{prompt: x, modle: flux, safety_tolerance: 99}", "modle"),
        ("{prompt: '{t}', row: p.csv}", "row"),
        ("{prompt: '{t}', file: p.csv}", "file"),
        ("{rows: p.xlsx, prompt: '{t}', seed: '{u}'}", "rows"),
        ("{prompt: x, seed: 9223372036854775807, repeat: many}", "repeat"),
        ("[x, 9:1]", "1"),
    ],
)
def test_what_depends_on_a_wrong_value_is_not_judged(tmp_path: Path, job: str, path: str) -> None:
    place = f"jobs[0][{path}]" if path.isdigit() else f"jobs[0].{path}"
    other = "{prompt: '{t}', vars: {t: [x]}}"
    text = f"{HEAD}output: {{file: '{{t}}{{index}}'}}\njobs:\n  - {job}\n  - {other}\n"
    assert only_problem(tmp_path, text).path == place


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ("[{a: 1}, 9:1, flux]", ["[0]", "[1]", "[2]"]),
        ("[[], 9:1]", ["[0]", "[1]"]),
        ("['{b', 9:1, flux-kontext-pro, x]", ["", "[0]", "[1]"]),
    ],
)
def test_every_problem_of_a_tuple_is_shown(tmp_path: Path, item: str, expected: list[str]) -> None:
    found = paths(tmp_path, f"{HEAD}jobs:\n  - {item}\n")
    assert sorted(found) == [f"jobs[0]{path}" for path in expected]


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("output: {folder: [1], file: '../{slug}'}", ["output.folder", "output.file", "output.file"]),
        ("output: {folder: '../{nope}', file: ok}", ["output.folder", "output.folder"]),
        ("output: {file: 'a:b{oops'}", ["output.file", "output.file"]),
        ("output: {folder: '/a/../b', file: 'a:b?'}", ["output.folder", "output.folder", "output.file", "output.file"]),
        ("output: {folder: a/b/c/d/e/f/g/h/../i}", ["output.folder", "output.folder"]),
        ("output: {flie: x, file: '../x'}", ["output.flie", "output.file", "output.file"]),
        ("limits: {concurrency: x, downloads: 0, budget_usd: -1}", ["limits.concurrency", "limits.downloads", "limits.budget_usd"]),  # noqa: E501
        ("defaults: {seed: 1.5, ratio: 9:1, safety_tolerance: 9}", ["defaults.seed", "defaults.ratio", "defaults.safety_tolerance"]),  # noqa: E501
        ("provider: {profile: nobody, wire: round, prices: {a: 1, b: 2}}", ["provider.profile", "provider.wire", "provider.prices", "provider.prices"]),  # noqa: E501
        ("provider: {window_s: 0, prices: {a: 1, flux-kontext-pro: x}}", ["provider.window_s", "provider.prices", "provider.prices.flux-kontext-pro"]),  # noqa: E501
        ("edition: '{a} {b} {c'", ["edition"]),
        ("edition: '{a} {b}'", ["edition", "edition"]),
        ('name: "/\\n"\nedition: ".\\x07"', ["name", "name", "edition", "edition"]),
        ("nmae: x\nedition: '{z}'\nlimits: 3", ["nmae", "edition", "limits"]),
    ],
)  # fmt: skip
def test_every_problem_of_the_head_is_shown_beside_the_jobs_own(tmp_path: Path, head: str, expected: list[str]) -> None:
    found = paths(tmp_path, f"version: 1\n{head}\njobs: [[a, 99:1]]\n")
    assert sorted(found) == sorted([*expected, "jobs[0][1]"])


@pytest.mark.parametrize(
    ("head", "path"),
    [
        ("provider: {prices: {flux-kontext-max: x}}", "provider.prices.flux-kontext-max"),
        ("provider: {price: {flux-2-max: 1}}", "provider.price"),
        ("provdier: {prices: {flux-2-max: 1}}", "provdier"),
        ("defaults: {modle: flux-2-max, safety_tolerance: 99}", "defaults.modle"),
        ("defaults: {model: flux-2-mxa, safety_tolerance: 99}", "defaults.model"),
        ("defaults: 3", "defaults"),
        ("output: {file: '{v'}", "output.file"),
        ("output: {file: ['{v}']}", "output.file"),
        ("outptu: {file: '{v}'}", "outptu"),
    ],
)
def test_jobs_are_not_judged_by_a_wrong_head(tmp_path: Path, head: str, path: str) -> None:
    jobs = "jobs:\n  - {prompt: a, vars: {v: [x]}}\n" if "{v" in head else JOBS
    assert only_problem(tmp_path, f"version: 1\n{head}\n{jobs}").path == path


def test_defaults_are_judged_when_no_job_can_be(tmp_path: Path) -> None:
    found = paths(tmp_path, f"{HEAD}defaults: {{safety_tolerance: 9, format: gif}}\njobs: [3]\n")
    assert found == ["defaults.safety_tolerance", "defaults.format", "jobs[0]"]


def test_output_words_are_not_judged_when_the_jobs_words_are_unknown(tmp_path: Path) -> None:
    assert only_problem(tmp_path, f"{HEAD}output: {{file: '{{animal}}'}}\njobs: 3\n").path == "jobs"


def test_each_bad_character_of_a_prompt_is_named_once(tmp_path: Path) -> None:
    problem = only_problem(tmp_path, HEAD + 'jobs:\n  - ["a\\x01b\\x07c\\x01d"]\n')
    assert problem.message == "holds the characters U+0001, U+0007"
    assert problem.hint == "remove them"


def test_many_bad_characters_are_counted(tmp_path: Path) -> None:
    bad = "".join(f"\\x{number:02x}" for number in range(1, 9))
    problem = only_problem(tmp_path, f'{HEAD}jobs:\n  - ["a{bad}b"]\n')
    assert problem.message == "holds the characters U+0001, U+0002, U+0003, U+0004, U+0005 and 3 more"


@pytest.mark.parametrize("key", ["name", "edition"])
@pytest.mark.parametrize("escape", ["\\n", "\\r", "\\t", "\\0", "\\x1b", "\\x7f", "\\x9b", "\\u2028", "\\u202e"])
@pytest.mark.parametrize("text", ["a{}b", "{}", "a{}"])
def test_a_character_that_forges_lines_is_refused_in_a_name(tmp_path: Path, key: str, escape: str, text: str) -> None:
    written = text.replace("{}", escape)
    found = problems(tmp_path, f'version: 1\n{key}: "{written}"\n{JOBS}')
    assert {(problem.path, problem.line, problem.column) for problem in found} == {(key, 2, len(key) + 3)}
    assert found[0].message.startswith("holds the character U+") or found[0].message == "is empty"


def test_a_name_may_have_spaces_and_any_letters(tmp_path: Path) -> None:
    assert load(tmp_path, f"version: 1\nname: 'Été 2026: 雪 👩‍🎨'\n{JOBS}").name == "Été 2026: 雪 👩‍🎨"


def test_a_folder_says_what_to_name(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="is a folder; name a manifest in it"):
        load_manifest(tmp_path)


def test_a_file_used_as_a_folder_says_what_to_name(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(HEAD + JOBS)
    with pytest.raises(NotFoundError, match="name a manifest"):
        load_manifest(tmp_path / "m.yaml" / "x.yaml")


@pytest.mark.parametrize("path", ["", "a\0b"])
def test_a_path_that_names_nothing_says_what_to_name(path: str) -> None:
    with pytest.raises(NotFoundError, match="name a manifest") as caught:
        load_manifest(path)
    assert "\0" not in str(caught.value)


@pytest.mark.parametrize("text", ["prompt: a\n", "rows: a\n", "output: {rows: a}\n", "limits: {version: 1}\n"])
def test_a_key_in_the_wrong_place_is_told_once_and_for_all(tmp_path: Path, text: str) -> None:
    """Checking went on for ever where a key that is required elsewhere stood."""
    assert only_problem(tmp_path, HEAD + JOBS + text).message.startswith("there is no key named")
