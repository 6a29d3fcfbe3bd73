"""CSV and JSONL as spreadsheets and old programs write them, and what is said when it cannot be read."""

from pathlib import Path

import pytest

from pipeline.errors import ManifestError
from pipeline.job import Job, UnfitRow
from pipeline.manifest import Manifest
from tests.unit.manifest_writing import load_jobs, made, only_problem


def rows(folder: Path, content: str, name: str = "p.csv") -> Manifest:
    (folder / name).write_bytes(content.encode())
    return load_jobs(folder, f"  - rows: {name}\n    prompt: '{{title}}'\n")


def messages(manifest: Manifest) -> list[tuple[str, str]]:
    """Where each job comes from, and why it makes no picture."""
    return [(job.source, job.message if isinstance(job, UnfitRow) else "") for job in manifest.jobs()]


@pytest.mark.parametrize("name", ["p.csv", "p.jsonl"])
def test_lines_that_end_in_carriage_returns_alone_are_read(tmp_path: Path, name: str) -> None:
    text = "\ufefftitle,n\rä,1\r\r'b',2" if name == "p.csv" else '\ufeff{"title": "ä"}\r\r{"title": "\'b\'"}'
    jobs = made(rows(tmp_path, text, name))
    first = 2 if name == "p.csv" else 1
    assert [(job.request.prompt, job.source) for job in jobs] == [
        ("ä", f"{name}:{first}"),
        ("'b'", f"{name}:{first + 2}"),
    ]


def test_a_cell_that_spans_carriage_returns_is_kept(tmp_path: Path) -> None:
    jobs = made(rows(tmp_path, 'title,n\r"a\rb",1\rc,2\r'))
    assert [(job.request.prompt, job.source) for job in jobs] == [("a\rb", "p.csv:2"), ("c", "p.csv:4")]


def test_a_line_feed_in_a_cell_of_such_a_file_is_kept(tmp_path: Path) -> None:
    jobs = made(rows(tmp_path, '"title","a\nb"\r"c\nd",1\re,2\r'))
    assert [job.request.prompt for job in jobs] == ["c\nd", "e"]


def test_a_carriage_return_in_a_quoted_header_is_no_line_end(tmp_path: Path) -> None:
    assert [job.request.prompt for job in made(rows(tmp_path, 'title,"a\rb"\nc,1\n'))] == ["c"]


def test_a_stray_carriage_return_never_makes_two_pictures_of_one(tmp_path: Path) -> None:
    found = messages(rows(tmp_path, "title\na\rb\nc\n"))
    assert [source for source, _ in found] == ["p.csv:2", "p.csv:3"]
    assert "a line break unlike the file's others" in found[0][1]
    assert "universal" not in found[0][1]


def test_a_long_line_between_carriage_returns_is_one_bad_row(tmp_path: Path) -> None:
    found = messages(rows(tmp_path, "title\r" + "x" * (1 << 21) + "\rok\r"))
    assert ["longer than" in message for _, message in found] == [True, False]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('title,n\na,1\n"b,2\nc,3\n', 3),
        ('title,n\na,1\n"b\nc","d\ne\n', 4),
        ('title,n\na,1\n"b\n\nc",2\nd,"e\n', 6),
    ],
)
def test_an_unclosed_quote_is_placed_where_it_opens(tmp_path: Path, text: str, line: int) -> None:
    message = messages(rows(tmp_path, text))[-1][1]
    assert message == f"cannot be read: the quote that opens in line {line} is never closed"


def test_an_unclosed_quote_before_much_text_says_where_it_opens(tmp_path: Path) -> None:
    found = messages(rows(tmp_path, 'title\na\n"b\n' + "some words of a prompt\n" * 10_000))
    assert found[1][0] == "p.csv:3"
    assert found[1][1] == (
        "cannot be read: a cell is longer than 131,072 characters; is the quote that opens in line 3 closed?"
    )


def test_a_cell_too_long_without_a_quote_says_so(tmp_path: Path) -> None:
    assert messages(rows(tmp_path, "title\n" + "b" * 140_000 + "\n"))[0][1] == (
        "cannot be read: a cell is longer than 131,072 characters"
    )


def test_text_after_a_closing_quote_says_how_to_write_quotes(tmp_path: Path) -> None:
    assert messages(rows(tmp_path, 'title\n"a" b\n'))[0][1] == (
        "cannot be read: text stands after a closing quote; write a quote inside quotes twice"
    )


def test_an_unclosed_quote_in_the_header_is_placed(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="its header cannot be read: the quote that opens in line 1 is never"):
        rows(tmp_path, '"title\na\n')


@pytest.mark.parametrize(("mark", "word"), [(";", "semicolons"), ("\t", "tabs"), ("|", "bars")])
def test_a_file_parted_by_something_else_is_told(tmp_path: Path, mark: str, word: str) -> None:
    with pytest.raises(ManifestError, match=f"is parted by {word}; save it with commas"):
        rows(tmp_path, f"title{mark}n\na{mark}1\n")


def test_every_repeated_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="has two columns named 'n', and two named 'title'"):
        rows(tmp_path, "title,n,title,n\na,b,c,d\n")


@pytest.mark.parametrize("number", ["1e999", "-0.0", "1.10", "1E+2"])
def test_a_json_number_is_kept_as_it_was_written(tmp_path: Path, number: str) -> None:
    assert made(rows(tmp_path, f'{{"title": {number}}}\n', "p.jsonl"))[0].request.prompt == number


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_json_number_is_refused(tmp_path: Path, word: str) -> None:
    jobs = list(rows(tmp_path, f'{{"title": "a"}}\n{{"title": {word}}}\n', "p.jsonl").jobs())
    assert isinstance(jobs[0], Job)
    assert isinstance(jobs[1], UnfitRow)
    assert jobs[1].message == f"holds {word}, which is not JSON"


def test_a_ratio_too_fine_says_so(tmp_path: Path) -> None:
    problem = only_problem(tmp_path, "version: 1\njobs: [[a, 2.3333333333:1]]\n")
    assert "has more than 4 decimals" in problem.message
