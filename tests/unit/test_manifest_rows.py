"""Rows files: streamed, header first, one bad row harming no other."""

import json
import sys
from pathlib import Path
from typing import cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import ConfigurationError, ManifestError, NotFoundError
from pipeline.job import Job, UnfitRow
from pipeline.manifest import Manifest
from tests.unit.manifest_writing import HEAD, load, load_jobs, made, only_problem

ENTRY = '  - rows: {rows}\n    prompt: "{{title}}"\n    ratio: "{{ratio}}"\n    seed: "{{seed}}"\n'


def rows(folder: Path, content: str | bytes, name: str = "p.csv", entry: str = ENTRY) -> Manifest:
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return load_jobs(folder, entry.format(rows=name))


def unfit(manifest: Manifest) -> list[UnfitRow]:
    return [job for job in manifest.jobs() if isinstance(job, UnfitRow)]


def test_each_row_is_a_job_and_an_empty_cell_is_not_given(tmp_path: Path) -> None:
    jobs = made(rows(tmp_path, "title,ratio,seed\na,16:9,7\nb,,\n"))
    assert [(job.request.prompt, str(job.request.ratio), job.request.seed) for job in jobs] == [
        ("a", "16:9", 7),
        ("b", "1:1", None),
    ]
    assert [job.source for job in jobs] == ["p.csv:2", "p.csv:3"]


def test_csv_from_a_spreadsheet_is_read(tmp_path: Path) -> None:
    text = '\ufeff title ,ratio,seed,notes\r\n"a, ""b""\r\nc",16:9,,x\r\n\r\nd,,,\r\n'
    jobs = made(rows(tmp_path, text))
    assert [(job.request.prompt, job.source) for job in jobs] == [('a, "b"\r\nc', "p.csv:2"), ("d", "p.csv:5")]


def test_rows_that_do_not_fit_are_failed_jobs_and_the_others_go_on(tmp_path: Path) -> None:
    text = "title,ratio,seed\na,99:1,\n,1:1,\nb,,x\nc,,\nd\ne,1:1,1,2\nf,,99999999999999999999\nok,,\n"
    jobs = list(rows(tmp_path, text).jobs())
    assert [job.index for job in jobs] == list(range(1, 9))
    assert [isinstance(job, Job) for job in jobs] == [False, False, False, True, False, False, False, True]
    messages = [job.message for job in jobs if isinstance(job, UnfitRow)]
    assert messages[0] == "ratio: 99:1 is outside the range 3:7 to 7:3 that the models draw"
    assert messages[1] == "prompt: is empty (say what to draw)"
    assert "'x' is not a whole number" in messages[2]
    assert "has 1 cell, the header has 3" in messages[3]
    assert "has 4 cells" in messages[4]
    assert "outside" in messages[5]


def test_everything_wrong_with_a_row_is_said(tmp_path: Path) -> None:
    (bad,) = unfit(rows(tmp_path, "title,ratio,seed\n,9:1,x\n"))
    assert bad.message.count(";") == 2 + bad.message.count("ratio; write")
    assert (bad.source, bad.index) == ("p.csv:2", 1)


def test_unfit_rows_have_keys_of_their_own(tmp_path: Path) -> None:
    bad = unfit(rows(tmp_path, "title,ratio,seed\n,9:1,\n,8:1,\n"))
    assert len({row.key for row in bad}) == 2
    assert all(len(row.key) == 64 for row in bad)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"caf\xe9,,", "is not UTF-8"),
        (b'"a"b,,', "cannot be read"),
        (b"x" * (1 << 21) + b",,", "longer than"),
        (b"y" * 200_000 + b",,", "a cell is longer"),
        (b"a\x01b,,", "U+0001"),
    ],
)
def test_a_broken_csv_line_harms_no_other(tmp_path: Path, line: bytes, words: str) -> None:
    jobs = list(rows(tmp_path, b"title,ratio,seed\n" + line + b"\nok,,\n").jobs())
    assert isinstance(jobs[0], UnfitRow)
    assert words in jobs[0].message
    assert jobs[0].source == "p.csv:2"
    assert isinstance(jobs[1], Job)


def test_a_line_too_long_at_the_end_of_the_file_ends_it(tmp_path: Path) -> None:
    assert len(unfit(rows(tmp_path, b"title,ratio,seed\n" + b"x" * (1 << 21)))) == 1


def test_constants_variables_and_repeats_go_with_rows(tmp_path: Path) -> None:
    entry = (
        '  - rows: {rows}\n    prompt: "{{title}} {{v}}"\n    use: app_icon\n    repeat: 2\n    vars: {{v: [x, y]}}\n'
    )
    jobs = made(rows(tmp_path, "title\na\n", entry=entry))
    assert [(job.request.prompt, job.repeat) for job in jobs] == [("a x", 1), ("a x", 2), ("a y", 1), ("a y", 2)]


def test_an_unfit_row_with_variables_has_a_key_for_each_combination(tmp_path: Path) -> None:
    entry = '  - rows: {rows}\n    prompt: "{{v}}"\n    ratio: "{{r}}"\n    vars: {{v: [x, y]}}\n'
    assert len({row.key for row in unfit(rows(tmp_path, "r\n9:1\n", entry=entry))}) == 2


def test_columns_stand_in_names_even_when_nothing_else_uses_them(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("title,style\na,../oil\n")
    text = HEAD + "output: {folder: '{style}', file: '{slug}'}\njobs:\n  - {rows: p.csv, prompt: '{title}'}\n"
    assert made(load(tmp_path, text))[0].path == "-oil/a"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is empty"),
        ("\n", "no header"),
        (" ,\n", "no header"),
        ("title,ratio,seed\n", "has no rows"),
        ("title,ratio,seed\n\n\n", "has no rows"),
        ("title,ratio,seed\n,,\n  \n", "has no rows"),
        ("title;ratio;seed\na;;\n", "parted by semicolons"),
        ("title,title,ratio,seed\na,b,,\n", "two columns named 'title'"),
        (b"t\xe9tle\na\n", "header cannot be read"),
        (b'"a"b\nc\n', "header cannot be read"),
    ],
)  # fmt: skip
def test_a_bad_header_is_a_problem_of_the_manifest(tmp_path: Path, content: str | bytes, words: str) -> None:
    with pytest.raises(ManifestError) as caught:
        rows(tmp_path, content)
    assert words in caught.value.problems[0].message
    assert caught.value.problems[0].line >= 5


def test_a_missing_column_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("titel,style\na,b\n")
    problem = only_problem(tmp_path, HEAD + "jobs:\n  - rows: p.csv\n    prompt: '{title}'\n")
    assert (problem.line, problem.column, problem.path) == (6, 13, "jobs[0].prompt")
    assert problem.hint == "did you mean 'titel'?"


def test_a_missing_column_unlike_any_lists_them(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("a,b\n1,2\n")
    hint = only_problem(tmp_path, HEAD + "jobs:\n  - rows: p.csv\n    prompt: '{title}'\n").hint
    assert "known here: a, b" in hint


def test_a_variable_that_hides_a_column_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("a\n1\n")
    problem = only_problem(tmp_path, HEAD + "jobs:\n  - {rows: p.csv, prompt: '{a}', vars: {a: [x]}}\n")
    assert "is a column of p.csv, too" in problem.message


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("none.csv", "No such file"),
        ("p.xlsx", "rows are read from"),
        ("p.cvs", "did you mean '.csv'"),
        ('"a\\0.csv"', "is not the name of a file"),
        ("x" * 300 + ".csv", "cannot be read"),
    ],
)
def test_a_rows_file_that_cannot_be_is_a_problem_at_its_key(tmp_path: Path, name: str, words: str) -> None:
    problem = only_problem(tmp_path, HEAD + f"jobs:\n  - rows: {name}\n    prompt: a\n")
    assert (problem.path, problem.line) == ("jobs[0].rows", 5)
    assert words in problem.message


def test_a_rows_file_that_is_gone_later_is_not_found(tmp_path: Path) -> None:
    manifest = rows(tmp_path, "title,ratio,seed\na,,\n")
    (tmp_path / "p.csv").unlink()
    with pytest.raises(NotFoundError):
        list(manifest.jobs())


def test_a_header_that_changes_later_stops_the_run(tmp_path: Path) -> None:
    manifest = rows(tmp_path, "title,ratio,seed\na,,\n")
    (tmp_path / "p.csv").write_text("ratio,title,seed\n1:1,a,\n")
    with pytest.raises(ManifestError, match="header changed"):
        list(manifest.jobs())


def test_jsonl_keeps_what_was_written(tmp_path: Path) -> None:
    text = (
        '\ufeff{"title": 1.10, "ratio": null, "seed": 42, "more": [1]}\n\n{"seed": "", "ratio": "3:2", "title": true}\n'
    )
    jobs = made(rows(tmp_path, text, "p.jsonl"))
    assert [(job.request.prompt, job.request.seed, job.source) for job in jobs] == [
        ("1.10", 42, "p.jsonl:1"),
        ("true", None, "p.jsonl:3"),
    ]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'{"title": "a", "ratio": ""}', "has no 'seed'"),
        (b"{", "is not JSON"),
        (b"[1]", "must be a JSON object"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"title": "a", "title": "b", "ratio": "", "seed": ""}', "gives a key twice"),
        (b'{"title": NaN, "ratio": "", "seed": ""}', "NaN"),
        (b'{"title": ["a"], "ratio": "", "seed": ""}', "must be a text or a number"),
        (b'{"title": false, "ratio": "no", "seed": ""}', "'no' is not a ratio"),
        (b'{"title": "\\ud800", "ratio": "", "seed": ""}', "U+D800"),
        (b'{"title": "\xff"}', "is not UTF-8"),
    ],
)
def test_a_broken_json_line_harms_no_other(tmp_path: Path, line: bytes, words: str) -> None:
    good = json.dumps({"title": "a", "ratio": "", "seed": ""}).encode() + b"\n"
    jobs = list(rows(tmp_path, good + line + b"\n" + good, "p.jsonl").jobs())
    assert [isinstance(job, Job) for job in jobs] == [True, False, True]
    assert isinstance(jobs[1], UnfitRow)
    assert words in jobs[1].message
    assert jobs[1].source == "p.jsonl:2"


@pytest.mark.parametrize(
    ("content", "words"), [("", "is empty"), ("{}\n", "has no columns"), ("nope\n", "first row cannot be read")]
)
def test_a_jsonl_file_without_a_first_row_is_a_problem(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(ManifestError, match=words):
        rows(tmp_path, content, "p.jsonl")


def parquet(folder: Path, columns: dict[str, list[object]]) -> Path:
    pq.write_table(pa.table(columns), folder / "p.parquet")
    return folder / "p.parquet"


def test_parquet_rows(tmp_path: Path) -> None:
    path = parquet(tmp_path, {"title": ["a", "b"], "ratio": ["16:9", None], "seed": [7, None], "tags": [[1], [2]]})
    jobs = made(rows(tmp_path, path.read_bytes(), "p.parquet"))
    assert [(str(job.request.ratio), job.request.seed, job.source) for job in jobs] == [
        ("16:9", 7, "p.parquet:1"),
        ("1:1", None, "p.parquet:2"),
    ]


def test_a_parquet_row_that_is_no_text_does_not_fit(tmp_path: Path) -> None:
    path = parquet(tmp_path, {"title": ["a", "b"], "ratio": [True, False], "seed": [1, 2]})
    assert "'false' is not a ratio" in unfit(rows(tmp_path, path.read_bytes(), "p.parquet"))[1].message


@pytest.mark.parametrize("title", [[["a"], None], [{"a": 1}, None], [b"a", b"\xff"]])
def test_a_parquet_column_of_lists_records_or_bytes_makes_no_job(tmp_path: Path, title: list[object]) -> None:
    path = parquet(tmp_path, {"title": title, "ratio": ["1:1", "1:1"], "seed": [1, 2]})
    bad = unfit(rows(tmp_path, path.read_bytes(), "p.parquet"))
    assert [row.message for row in bad] == ["'title' must be a text or a number"] * 2


def test_what_is_no_parquet_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="is not a Parquet file"):
        rows(tmp_path, "no", "p.parquet")


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cast(dict[str, None], sys.modules), "pyarrow.parquet", None)
    with pytest.raises(ConfigurationError, match=r"fluxbatch\[parquet\]"):
        rows(tmp_path, "no", "p.parquet")


def test_rows_are_read_as_they_are_asked_for(tmp_path: Path) -> None:
    manifest = rows(tmp_path, "title,ratio,seed\n" + "a,,\n" * 50_000)
    jobs = manifest.jobs()
    assert [next(jobs).index for _ in range(3)] == [1, 2, 3]


def test_equal_shapes_stay_as_each_row_wrote_them(tmp_path: Path) -> None:
    jobs = made(rows(tmp_path, "title,ratio,seed\na,21:9,\nb,7:3,\nc,21:9,\n"))
    assert [str(job.request.ratio) for job in jobs] == ["21:9", "7:3", "21:9"]
