"""Rows with nothing in them, as spreadsheets leave them: never bought, never counted, in any kind of file."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import ManifestError
from pipeline.job import Job, UnfitRow
from pipeline.manifest import Manifest
from tests.unit.manifest_writing import load_jobs, made

PROMPT = "{title}, {style}"


def rows(folder: Path, content: str, name: str = "p.csv", prompt: str = PROMPT, repeat: int = 1) -> Manifest:
    (folder / name).write_bytes(content.encode())
    return asking(folder, name, prompt, repeat)


def parquet(folder: Path, columns: dict[str, list[object]], prompt: str = PROMPT, group: int = 1024) -> Manifest:
    pq.write_table(pa.table(columns), folder / "p.parquet", row_group_size=group)
    return asking(folder, "p.parquet", prompt, 1)


def asking(folder: Path, name: str, prompt: str, repeat: int) -> Manifest:
    return load_jobs(folder, f"  - {{rows: {name}, prompt: '{prompt}', repeat: {repeat}}}\n")


def sources(manifest: Manifest) -> list[str]:
    """Where the jobs come from; counting finds as many."""
    found = [job.source for job in manifest.jobs()]
    assert manifest.count() == len(found)
    return found


def test_a_csv_row_of_blank_cells_is_not_bought(tmp_path: Path) -> None:
    """Once three jobs, one of them with the prompt ','."""
    manifest = rows(tmp_path, "title,style\na,b\n,\n   ,\n")
    assert [job.request.prompt for job in made(manifest)] == ["a, b"]


@pytest.mark.parametrize("repeat", [1, 3])
def test_a_csv_row_of_blank_cells_is_not_counted(tmp_path: Path, repeat: int) -> None:
    assert rows(tmp_path, "title,style\na,b\n,\n   ,\n", repeat=repeat).count() == repeat


@pytest.mark.parametrize("blank", [",", " ,\t", '"",""', '" \n\n",', "  ", ",,,,", "\u00a0,\u3000"])
def test_rows_after_a_blank_csv_row_keep_their_lines(tmp_path: Path, blank: str) -> None:
    line = 4 + blank.count("\n")
    assert sources(rows(tmp_path, f"title,style\na,b\n{blank}\nc,d\n")) == ["p.csv:2", f"p.csv:{line}"]


def test_a_csv_row_with_one_text_is_no_blank_row(tmp_path: Path) -> None:
    assert sources(rows(tmp_path, "title,style,id\n,,7\n")) == ["p.csv:2"]


def test_blank_csv_rows_make_no_jobs_when_the_prompt_uses_no_column(tmp_path: Path) -> None:
    assert sources(rows(tmp_path, "title,style\n,\na,b\n,\n", prompt="a cat")) == ["p.csv:3"]


@pytest.mark.parametrize(
    "blank", ['{"title": null, "style": null}', '{"title": "", "style": " \\t"}', '{"id": null}', "{}"]
)
def test_a_json_object_of_blank_values_is_passed_over(tmp_path: Path, blank: str) -> None:
    text = f'{{"title": "a", "style": "b"}}\n{blank}\n{{"title": "c", "style": "d"}}\n'
    assert sources(rows(tmp_path, text, "p.jsonl")) == ["p.jsonl:1", "p.jsonl:3"]


@pytest.mark.parametrize("value", ["0", "false", "[]", '"x"'])
def test_a_json_object_with_one_value_is_no_blank_row(tmp_path: Path, value: str) -> None:
    text = f'{{"title": "a", "style": "b"}}\n{{"title": "", "style": null, "id": {value}}}\n'
    assert sources(rows(tmp_path, text, "p.jsonl")) == ["p.jsonl:1", "p.jsonl:2"]


@pytest.mark.parametrize("group", [1, 2, 1024])
def test_a_parquet_row_of_blank_cells_is_passed_over(tmp_path: Path, group: int) -> None:
    columns: dict[str, list[object]] = {
        "title": [None, "a", "", None, "c"],
        "style": [None, "b", " ", None, "d"],
        "id": [None, 1, None, None, None],
        "note": ["", "x", "  ", None, None],
    }
    assert sources(parquet(tmp_path, columns, group=group)) == ["p.parquet:2", "p.parquet:5"]


@pytest.mark.parametrize("value", [0, False, "x", b"", [[]]])
def test_a_parquet_row_with_one_value_in_an_unused_column_is_no_blank_row(tmp_path: Path, value: object) -> None:
    columns: dict[str, list[object]] = {"title": ["a", "", ""], "style": ["b", None, ""], "id": [None, value, None]}
    assert sources(parquet(tmp_path, columns)) == ["p.parquet:1", "p.parquet:2"]


def test_an_unused_moment_in_time_that_cannot_be_taken_out_is_a_value(tmp_path: Path) -> None:
    when = pa.array([1, 1, None], pa.timestamp("ns"))
    pq.write_table(pa.table({"title": ["a", None, None], "style": ["b", "", ""], "at": when}), tmp_path / "p.parquet")
    assert sources(asking(tmp_path, "p.parquet", PROMPT, 1)) == ["p.parquet:1", "p.parquet:2"]


def test_a_blank_category_in_an_unused_column_is_blank(tmp_path: Path) -> None:
    kind = pa.array(["", "", "x"]).dictionary_encode()
    pq.write_table(pa.table({"title": ["a", None, None], "style": ["b", "", ""], "kind": kind}), tmp_path / "p.parquet")
    assert sources(asking(tmp_path, "p.parquet", PROMPT, 1)) == ["p.parquet:1", "p.parquet:3"]


def test_a_blank_parquet_row_far_down_is_told_from_one_that_is_not(tmp_path: Path) -> None:
    """Beyond the first batches, the columns that nothing uses are still looked at in the right row."""
    titles: list[object] = ["a"] * 5000
    ids: list[object] = [None] * 5000
    titles[2999] = titles[3000] = titles[4998] = None
    ids[3000] = 7
    manifest = parquet(tmp_path, {"title": titles, "id": ids}, prompt="{title}", group=700)
    unfit = [job.source for job in manifest.jobs() if isinstance(job, UnfitRow)]
    assert (manifest.count(), unfit) == (4998, ["p.parquet:3001"])


def test_blank_parquet_rows_make_no_jobs_when_the_prompt_uses_no_column(tmp_path: Path) -> None:
    columns: dict[str, list[object]] = {"title": [None, None, "a"], "style": [None, "b", None]}
    assert sources(parquet(tmp_path, columns, prompt="a cat")) == ["p.parquet:2", "p.parquet:3"]


def test_a_parquet_file_of_one_column_has_blank_rows_too(tmp_path: Path) -> None:
    assert sources(parquet(tmp_path, {"title": ["", "a", None]}, prompt="{title}")) == ["p.parquet:2"]


@pytest.mark.parametrize("name", ["p.csv", "p.jsonl"])
def test_a_file_of_blank_rows_has_no_rows(tmp_path: Path, name: str) -> None:
    text = "title,style\n,\n" if name == "p.csv" else '{"title": "", "style": null}\n'
    with pytest.raises(ManifestError, match="has no rows"):
        rows(tmp_path, text, name)


def test_a_parquet_file_of_blank_rows_has_no_rows(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="has no rows"):
        parquet(tmp_path, {"title": [None, ""], "style": ["", None]})


def test_indexes_count_on_over_blank_rows(tmp_path: Path) -> None:
    jobs = list(rows(tmp_path, "title,style\na,b\n,\nc,d\n").jobs())
    assert [(job.index, isinstance(job, Job)) for job in jobs] == [(1, True), (2, True)]
