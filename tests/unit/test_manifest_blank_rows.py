"""Rows with nothing in them: what a spreadsheet leaves in a CSV is passed over, the others are told; none is bought."""

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


@pytest.mark.parametrize("name", ["p.jsonl", "p.parquet", "p.csv"])
def test_a_row_whose_prompt_says_nothing_is_told_and_not_bought(tmp_path: Path, name: str) -> None:
    """Once a picture was bought of ','."""
    if name == "p.parquet":
        manifest = parquet(tmp_path, {"title": ["a", None], "style": ["b", " "]})
    elif name == "p.csv":
        manifest = rows(tmp_path, "title,style,id\na,b,1\n,,2\n")
    else:
        manifest = rows(tmp_path, '{"title": "a", "style": "b"}\n{"title": "", "style": null}\n', name)
    good, bad = manifest.jobs()
    assert isinstance(good, Job)
    assert isinstance(bad, UnfitRow)
    assert "says nothing" in bad.message
    assert manifest.count() == 2


def test_a_csv_file_of_blank_rows_has_no_rows(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="has no rows"):
        rows(tmp_path, "title,style\n,\n")


def test_indexes_count_on_over_blank_rows(tmp_path: Path) -> None:
    jobs = list(rows(tmp_path, "title,style\na,b\n,\nc,d\n").jobs())
    assert [(job.index, isinstance(job, Job)) for job in jobs] == [(1, True), (2, True)]
