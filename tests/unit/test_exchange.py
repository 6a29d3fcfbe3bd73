"""Other programs' lists: what they become can be planned, what is wrong is told at its line, nothing is overwritten."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pipeline.cli.exchanging import write_batch
from pipeline.errors import ManifestError, NotFoundError, OutputError, UsageError
from pipeline.exchange import Wanted, export_batch, import_batch, import_pairs, import_table
from pipeline.job import Job
from pipeline.manifest import Manifest, load_manifest

SCRIPT = """#!/bin/bash
BATCH_PROMPT="Look at the \\"left\\" image and {right} one."
IMAGE_PAIRS=(
    "p0.png|m0.png"
    # "old.png|older.png"
    'p1.png|https://example.com/m1.jpg?size=2',
)
echo "a|b|c"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("p0", "m0", "p1"):
        Image.new("RGB", (8, 8), (len(name), ord(name[0]), ord(name[1]))).save(tmp_path / f"{name}.png")
    return tmp_path


def jobs_of(manifest: Manifest) -> list[Job]:
    jobs = list(manifest.jobs())
    assert all(isinstance(job, Job) for job in jobs), jobs
    return [job for job in jobs if isinstance(job, Job)]


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("text", [SCRIPT, "p0.png|m0.png\n\n# x\np1.png|https://example.com/m1.jpg?size=2\n"])
def test_pairs_become_a_manifest_and_rows(folder: Path, text: str) -> None:
    manifest = import_pairs(Wanted(source=write(folder, "list.sh", text), to=folder / "sub" / "m.yaml"))
    first, second = jobs_of(manifest)
    assert first.found_at == (str(folder / "p0.png"), str(folder / "m0.png"))
    assert second.found_at[1] == "https://example.com/m1.jpg?size=2"
    assert first.request.model == "flux-kontext-max"
    if text is SCRIPT:
        assert first.request.prompt == 'Look at the "left" image and {right} one.'


SHELL = """declare -a IMAGE_PAIRS=( # the first two
  "p0.png|m0.png" 'p1.png|m0.png'   # and, on another line,
  "m 0.png|p (1).png"
)
readonly BATCH_PROMPT='As it is: \\"$x\\"'
"""


def test_a_script_is_read_as_a_shell_reads_it(folder: Path) -> None:
    """Comments became names, and a prompt in other quotes was replaced by the usual one without a word."""
    rows = import_pairs(Wanted(source=write(folder, "list.sh", SHELL)))
    assert (folder / "list.pairs.csv").read_text().splitlines()[1:] == [
        "p0.png,m0.png", "p1.png,m0.png", "m 0.png,p (1).png",
    ]  # fmt: skip
    first = next(iter(rows.jobs()))
    assert isinstance(first, Job)
    assert first.request.prompt == 'As it is: \\"$x\\"'


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ('x=1\nIMAGE_PAIRS=(\n"a|b"\n"c"\n)\n', 4, "is not a pair"),
        ('IMAGE_PAIRS=(\n"a|b\n)\n', 1, "does not end"),
        ('IMAGE_PAIRS=("a|b"\n', 1, "does not end"),
        ('BATCH_PROMPT=$(cat p.txt)\nIMAGE_PAIRS=("a|b")\n', 1, "--prompt"),
    ],
)
def test_what_a_shell_would_not_read_is_told_at_its_line(folder: Path, text: str, line: int, told: str) -> None:
    with pytest.raises(ManifestError) as caught:
        import_pairs(Wanted(source=write(folder, "list.sh", text)))
    [found] = caught.value.problems
    assert found.line == line
    assert told in str(found)


@pytest.mark.parametrize(
    ("text", "line"), [("a.png|b.png\nc.png\n", 2), ("a|b|c\n", 1), ("|b\n", 1), ("\n", 1), ("IMAGE_PAIRS=(\n)\n", 1)]
)
def test_what_is_no_pair_is_told_at_its_line(folder: Path, text: str, line: int) -> None:
    with pytest.raises(ManifestError) as caught:
        import_pairs(Wanted(source=write(folder, "list.txt", text)))
    assert caught.value.problems[0].line == line
    assert not list(folder.glob("*.yaml"))


def test_nothing_is_overwritten_without_a_word_and_the_list_never(folder: Path) -> None:
    source = write(folder, "list.txt", "p0.png|m0.png\n")
    kept = write(folder, "list.yaml", "mine")
    with pytest.raises(OutputError, match="--force"):
        import_pairs(Wanted(source=source))
    assert kept.read_text() == "mine"
    assert not list(folder.glob("*.csv"))
    import_pairs(Wanted(source=source, force=True))
    assert jobs_of(load_manifest(kept))
    with pytest.raises(OutputError, match="what is imported"):
        import_pairs(Wanted(source=source, to=source, force=True))
    assert source.read_text() == "p0.png|m0.png\n"


def test_a_table_stays_where_it_is_and_its_columns_are_known_by_name(folder: Path) -> None:
    source = write(folder, "t.csv", "Prompt,Aspect_Ratio,seed,image\nA cat,3:2,4,p0.png\nA dog,,,m0.png\n")
    first, second = jobs_of(import_table(Wanted(source=source)))
    assert (first.request.prompt, str(first.request.ratio), first.request.seed) == ("A cat", "3:2", 4)
    assert second.request.ratio is None
    assert second.found_at == (str(folder / "m0.png"),)


def test_a_table_without_prompts_needs_one(folder: Path) -> None:
    source = write(folder, "t.jsonl", '{"animal": "cat"}\n')
    with pytest.raises(ManifestError, match="--prompt"):
        import_table(Wanted(source=source))
    [job] = jobs_of(import_table(Wanted(source=source, prompt="A {animal}")))
    assert job.request.prompt == "A cat"
    with pytest.raises(NotFoundError):
        import_table(Wanted(source=folder / "none.csv"))


def test_rows_of_different_keys_lose_none_of_them(folder: Path) -> None:
    """The first row's keys were taken for all: a ratio further down was left out, and a square picture bought."""
    lines = ['{"prompt": "a"}', "", '{"prompt": "b", "ratio": "16:9", "seed": 12345678901234567890123}', "{broken"]
    lines += ['{"prompt": "c", "seed": 7, "model": null}', '{"prompt": "d", "ratio": 1, "ratio": 2}']
    source = write(folder, "t.jsonl", "\ufeff" + "\n".join(lines))
    a, b, broken, c, twice = import_table(Wanted(source=source)).jobs()
    assert isinstance(a, Job)
    assert isinstance(c, Job)
    assert (str(a.request.ratio), a.request.seed, c.request.seed) == ("1:1", None, 7)
    assert not isinstance(b, Job)
    assert "12345678901234567890123" in b.message, "every digit is kept"
    assert (b.source, broken.source, twice.source) == ("t.rows.jsonl:3", "t.rows.jsonl:4", "t.rows.jsonl:6")
    level = write(folder, "level.jsonl", '{"prompt": "a", "ratio": "16:9"}\n{"ratio": "1:1", "prompt": "b"}\n')
    assert [str(job.request.ratio) for job in jobs_of(import_table(Wanted(source=level)))] == ["16:9", "1:1"]
    assert not (folder / "level.rows.jsonl").exists(), "it stays where and as it is"


def test_a_key_that_only_the_last_row_has_is_one_of_all(folder: Path) -> None:
    source = write(folder, "t.jsonl", '{"prompt": "a"}\n{"prompt": "b", "ratio": "16:9"}\n')
    assert [str(job.request.ratio) for job in jobs_of(import_table(Wanted(source=source)))] == ["1:1", "16:9"]


def test_keys_without_end_are_no_table(folder: Path) -> None:
    source = write(folder, "t.jsonl", '{"prompt": "a"}\n' + "".join(f'{{"k{n}": 1}}\n' for n in range(1_001)))
    with pytest.raises(ManifestError, match="1,000 keys"):
        import_table(Wanted(source=source))


def test_a_batch_comes_back_as_it_went(folder: Path) -> None:
    text = (
        "version: 1\nname: m\nprovider: simulator\njobs:\n  - [A cat, 3:2]\n"
        "  - {prompt: Both, images: [p0.png, m0.png], seed: 3}\n  - {prompt: 'One {{x}}', images: [p1.png]}\n"
    )
    lines = list(export_batch(load_manifest(write(folder, "m.yaml", text))))
    assert [json.loads(line)["custom_id"] for line in lines] == ["m-00001", "m-00002", "m-00003"]
    source = write(folder, "batch.jsonl", "".join(lines))
    jobs = jobs_of(import_batch(Wanted(source=source, provider="simulator")))
    assert sorted(job.request.prompt for job in jobs) == ["A cat", "Both", "One {x}"]
    by_prompt = {job.request.prompt: job for job in jobs}
    assert by_prompt["Both"].request.seed == 3
    assert Path(by_prompt["One {x}"].found_at[0]).read_bytes() == (folder / "p1.png").read_bytes()


def test_a_batch_of_other_clients_is_read(folder: Path) -> None:
    image = base64.b64encode((folder / "p0.png").read_bytes()).decode()
    bodies = [
        {"model": "flux-kontext-pro", "prompt": "a", "size": "1024x512", "n": 2},
        {"model": "flux-kontext-pro", "prompt": "b", "extra_body": {"aspect_ratio": "16:9", "seed": 5}},
        {"model": "flux-kontext-pro", "prompt": "c", "input_image": f"data:image/png;base64,{image}"},
    ]
    lines = [
        {"custom_id": str(n), "method": "POST", "url": "/v1/images/generations", "body": b}
        for n, b in enumerate(bodies)
    ]
    source = write(folder, "b.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    jobs = jobs_of(import_batch(Wanted(source=source)))
    assert [(job.request.prompt, str(job.request.ratio)) for job in jobs] == [
        ("a", "2:1"), ("a", "2:1"), ("b", "16:9"), ("c", "None"),
    ]  # fmt: skip
    assert len({job.key for job in jobs}) == 4


def test_equal_requests_are_so_many_pictures_but_for_those_of_one_seed(folder: Path) -> None:
    """Each line of a batch is a picture of its own: three of the same came back as one."""
    text = (
        "version: 1\nname: m\nprovider: simulator\njobs:\n  - {prompt: three, repeat: 3}\n"
        "  - {prompt: seeded, repeat: 2, seed: 5}\n  - {prompt: 'edit', images: [p0.png], repeat: 2}\n"
    )
    before = jobs_of(load_manifest(write(folder, "m.yaml", text)))
    lines = list(export_batch(load_manifest(folder / "m.yaml")))
    source = write(folder, "b.jsonl", "".join(lines + lines[4:5]))
    after = jobs_of(import_batch(Wanted(source=source, provider="simulator")))
    assert {job.key for job in after} == {job.key for job in before}
    assert len(after) == len(before) + 1, "a seed that stands there twice is one picture"


def test_more_of_the_same_than_a_job_may_repeat_is_told(folder: Path) -> None:
    line = '{"body": {"prompt": "a", "n": 10}}\n'
    with pytest.raises(ManifestError, match="1,000 of the same"):
        import_batch(Wanted(source=write(folder, "b.jsonl", line * 101)))


@pytest.mark.parametrize(
    ("asked", "ratio"),
    [
        ({"width": 1024, "height": 512}, "2:1"),
        ({"size": "auto"}, "1:1"),
        ({"size": None, "extra_body": {"size": "768x1024", "seed": None}}, "3:4"),
        ({"size": "512x512", "aspect_ratio": "16:9", "quality": "hd"}, "16:9"),
    ],
)
def test_each_way_to_ask_for_a_shape_is_read(folder: Path, asked: dict[str, Any], ratio: str) -> None:
    source = write(folder, "b.jsonl", json.dumps({"body": {"prompt": "a", **asked}}))
    [job] = jobs_of(import_batch(Wanted(source=source)))
    assert str(job.request.ratio) == ratio


@pytest.mark.parametrize(
    "line",
    [
        "not json",
        "[]",
        '{"url": "/v1/chat/completions", "body": {}}',
        '{"body": {"prompt": "a", "n": 99}}',
        '{"body": {"prompt": "a", "input_image": "data:image/png;base64,?"}}',
        '{"body": {"prompt": "a", "input_image": 4}}',
        "[" * 100_000,
        '{"body": {"prompt": "a", "image": "https://example.com/x.png"}}',
        '{"body": {"prompt": "a", "extra_body": {"mask": "https://example.com/x.png"}}}',
        '{"body": {"prompt": "a", "size": "large"}}',
        '{"body": {"prompt": "a", "width": 1024}}',
    ],
)
def test_a_line_that_is_no_request_is_told_and_nothing_is_written(folder: Path, line: str) -> None:
    with pytest.raises(ManifestError) as caught:
        import_batch(Wanted(source=write(folder, "b.jsonl", "\n" + line + "\n")))
    assert caught.value.problems[0].line == 2
    assert not list(folder.glob("b.yaml")) + list(folder.glob("b-*"))


def test_a_url_is_not_fetched_to_export_it(folder: Path) -> None:
    text = "version: 1\nprovider: simulator\njobs:\n  - {prompt: a, images: [https://example.com/x.png]}\n"
    with pytest.raises(UsageError, match="save it"):
        list(export_batch(load_manifest(write(folder, "m.yaml", text))))


def test_an_export_never_takes_the_place_of_what_it_is_made_of(folder: Path) -> None:
    """--force wrote the batch over its manifest."""
    write(folder, "r.csv", "p\na\n")
    manifest = write(folder, "m.yaml", "version: 1\nprovider: simulator\njobs: [{rows: r.csv, prompt: '{p}'}]\n")
    (folder / "link.jsonl").symlink_to(manifest)
    for name in ("m.yaml", "r.csv", "link.jsonl"):
        with pytest.raises(OutputError, match="what is exported"):
            write_batch(manifest, folder / name, force=True, limit=None)
    write_batch(manifest, folder / "batch.jsonl", force=False, limit=None)
    with pytest.raises(OutputError, match="--force"):
        write_batch(manifest, folder / "batch.jsonl", force=False, limit=None)
    write_batch(manifest, folder / "batch.jsonl", force=True, limit=None)
    assert json.loads((folder / "batch.jsonl").read_text())["body"]["prompt"] == "a"
    assert jobs_of(load_manifest(manifest))
