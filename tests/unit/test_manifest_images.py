"""Images in a manifest: where they are looked for, what globs come to, and that keys know bytes and not names."""

import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from pipeline.job import Job, UnfitRow
from pipeline.manifest import load_manifest
from pipeline.ratio import Ratio
from tests.unit.manifest_writing import HEAD, load, load_jobs, made, only_problem, problems

COLOURS = ("red", "green", "blue")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three patterns and three models of other shapes."""
    for number, colour in enumerate(COLOURS):
        Image.new("RGB", (30, 20), colour).save(tmp_path / f"p{number}.png")
        Image.new("RGB", (20, 40 + number), colour).save(tmp_path / f"m{number}.png")
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


def jobs_of(folder: Path, jobs: str, head: str = HEAD) -> list[Job]:
    return made(load_jobs(folder, jobs, head))


def test_two_images_are_stitched_and_the_shape_follows_them(folder: Path) -> None:
    [job] = jobs_of(folder, "  - {prompt: a, images: [p0.png, m0.png]}\n")
    assert len(job.request.inputs) == 2
    assert job.request.stitch is not None
    assert job.request.ratio is None
    assert job.shape == Ratio(40, 20)  # 30x20 beside 20x40, which is 10x20 then
    assert job.found_at == (str(folder / "p0.png"), str(folder / "m0.png"))
    assert job.path.endswith("-edit")


def test_one_image_is_sent_as_it_is_and_a_ratio_stands(folder: Path) -> None:
    first, second = jobs_of(
        folder, "  - {prompt: a, images: [p0.png]}\n  - {prompt: a, images: [p0.png], ratio: 1:1}\n"
    )
    assert first.request.stitch is None
    assert (first.shape, second.shape) == (Ratio(3, 2), Ratio(1, 1))


def test_a_shape_beyond_what_is_drawn_is_not_held_against_the_picture(folder: Path) -> None:
    Image.new("RGB", (90, 10)).save(folder / "wide.png")
    [job] = jobs_of(folder, "  - {prompt: a, images: [wide.png]}\n")
    assert job.shape is None


def test_a_glob_is_a_job_a_file_by_name_and_two_are_paired(folder: Path) -> None:
    jobs = jobs_of(
        folder, '  - {prompt: a, images: ["p*.png", "m*.png"]}\n  - {prompt: a, images: ["p?.png", m1.png]}\n'
    )
    names = [tuple(Path(at).name for at in job.found_at) for job in jobs]
    assert names[:3] == [("p0.png", "m0.png"), ("p1.png", "m1.png"), ("p2.png", "m2.png")]
    assert names[3:] == [("p0.png", "m1.png"), ("p1.png", "m1.png"), ("p2.png", "m1.png")]


def test_globs_of_unequal_counts_are_a_problem_at_their_place(folder: Path) -> None:
    (folder / "m2.png").unlink()
    found = only_problem(folder, HEAD + 'jobs:\n  - prompt: a\n    images: ["p*.png", "m*.png"]\n')
    assert (found.line, found.path) == (6, "jobs[0].images")
    assert "3" in found.message
    assert "2" in found.message
    assert found.hint


@pytest.mark.parametrize(
    ("images", "told"),
    [
        ("[none.png]", "no such file"),
        ("[notes.txt]", "not a PNG"),
        ('["x*.png"]', "matches"),
        ('["**/*.png"]', "folders within folders"),  # it found those of one folder, and left the others out
        ('["{word}.png"]', "no variable"),
        ('["{word}*.png"]', "wildcards"),
        ("[https://u:p@example.com/x.png]", "credentials"),
        ("['http://']", "not an absolute"),
        ("[p0.png, p0.png, p0.png, p0.png, p0.png, p0.png, p0.png, p0.png, p0.png]", "at most 8"),
        ("p0.png", "must be a list"),
        ("[.]", "directory"),
    ],
)
def test_what_cannot_be_an_image_is_told_before_anything_is_bought(folder: Path, images: str, told: str) -> None:
    found = only_problem(folder, f"{HEAD}jobs:\n  - prompt: a\n    images: {images}\n")
    assert told in found.message.lower() or told in found.message
    assert found.line == 6


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ("stitch: {direction: sideways}, images: [p0.png]", "must be 'horizontal' or 'vertical'"),
        ("stitch: {height: tall}, images: [p0.png]", "min, max, or pixels"),
        ("stitch: {background: nowhere}, images: [p0.png]", "colour"),
        ("stitch: {gap: -1}, images: [p0.png]", "at least 0"),
        ("stitch: {gaap: 1}, images: [p0.png]", "no key named 'gaap'"),
        ("stitch: {gap: 1}", "no images to stitch"),
        ("safety_tolerance: 3, images: [p0.png]", "more than 2"),
    ],
)
def test_stitching_and_limits_for_edits_are_checked(folder: Path, keys: str, told: str) -> None:
    assert told in only_problem(folder, f"{HEAD}jobs:\n  - {{prompt: a, {keys}}}\n").message


def test_a_tolerance_above_the_limit_for_edits_stays_for_generations(folder: Path) -> None:
    assert jobs_of(folder, "  - {prompt: a, safety_tolerance: 6}\n")[0].request.safety_tolerance == 6


def test_defaults_hold_images_and_stitching(folder: Path) -> None:
    head = HEAD + "defaults: {images: [p0.png, m0.png], stitch: {gap: 4, background: black}}\n"
    first, second = jobs_of(folder, "  - a\n  - {prompt: b, images: [p1.png]}\n".replace("- a", "- [a]"), head)
    assert len(first.request.inputs) == 2
    assert first.request.stitch is not None
    assert (first.request.stitch.gap, first.request.background) == (4, "#000000")
    assert len(second.request.inputs) == 1
    wrong = HEAD + "defaults: {images: [none.png]}\njobs:\n  - [a]\n"
    assert [each.line for each in problems(folder, wrong)] == [4]


def test_a_row_whose_image_will_not_do_fails_by_itself(folder: Path) -> None:
    (folder / "r.csv").write_text("a,b\np0.png,m0.png\nnone.png,m0.png\np1.png,\nbroken.png,m1.png\np2.png,m2.png\n")
    (folder / "broken.png").write_bytes((folder / "p0.png").read_bytes()[:-20])
    rows = list(load_jobs(folder, '  - {prompt: x, rows: r.csv, images: ["{a}", "{b}"]}\n').jobs())
    assert [isinstance(row, UnfitRow) for row in rows] == [False, True, True, True, False]
    told = [(row.source, row.message) for row in rows if isinstance(row, UnfitRow)]
    assert [source for source, _ in told] == ["r.csv:3", "r.csv:4", "r.csv:5"]
    assert "none.png there is no such file" in told[0][1]
    assert "empty" in told[1][1]
    assert "broken.png: is cut off" in told[2][1]
    assert len({row.key for row in rows}) == 5


def test_a_key_knows_bytes_and_not_names_or_folders(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    line = "  - {prompt: a, images: [p0.png, m0.png]}\n"
    [here] = jobs_of(folder, line)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    shutil.copy(folder / "p0.png", elsewhere / "renamed.png")
    shutil.copy(folder / "m0.png", elsewhere / "m0.png")
    os.utime(elsewhere / "m0.png", (1, 1))
    [there] = jobs_of(elsewhere, line.replace("p0", "renamed"))
    assert here.key == there.key
    Image.new("RGB", (30, 20), "pink").save(elsewhere / "renamed.png")
    [changed] = made(load_manifest(elsewhere / "m.yaml"))
    [turned] = jobs_of(folder, "  - {prompt: a, images: [m0.png, p0.png]}\n")
    [apart] = jobs_of(folder, "  - {prompt: a, images: [p0.png, m0.png], stitch: {gap: 1}}\n")
    assert len({here.key, changed.key, turned.key, apart.key}) == 4


def test_a_key_is_the_same_on_every_machine(tmp_path: Path) -> None:
    """The inputs' bytes are fixed here, so the key is, too: a picture is not bought anew for another library."""
    minimal = bytes.fromhex(
        "89504e470d0a1a0a0000000d494844520000000100000001080200000090"
        "7753de0000000c49444154789c63f8cfc000000301010018dd8db00000000049454e44ae426082"
    )
    (tmp_path / "one.png").write_bytes(minimal)
    one, pair = jobs_of(tmp_path, "  - {prompt: a, images: [one.png]}\n  - {prompt: a, images: [one.png, one.png]}\n")
    assert one.request.inputs == ("567e3611094b537115a14c3a314014e8dfcb2b6e993ede8b2da85be93f200849",)
    assert (one.key[:16], pair.key[:16]) == ("2ef322c52d1c0f1e", "9efd889758e6266f")


def test_a_changed_file_is_a_changed_job_within_one_process_too(folder: Path) -> None:
    manifest = load_jobs(folder, "  - {prompt: a, images: [p0.png]}\n")
    [before] = made(manifest)
    Image.new("RGB", (30, 20), "pink").save(folder / "p0.png")
    [after] = made(manifest)
    assert before.key != after.key


def test_a_form_takes_one_image_whatever_the_model_takes(folder: Path) -> None:
    head = "version: 1\nname: t\nprovider: {profile: simulator, edits: multipart}\n"
    manifest = load(folder, head + "jobs:\n  - {prompt: a, images: [p0.png, m0.png]}\n")
    assert manifest.profile.edits == "multipart"
    assert made(manifest)[0].request.stitch is not None


def test_urls_are_not_fetched_to_check_a_manifest(folder: Path) -> None:
    [job] = jobs_of(folder, "  - {prompt: a, images: [p0.png, https://nowhere.invalid/x.png?sig=secret]}\n")
    assert job.found_at[1].startswith("https://nowhere.invalid")
    assert job.follows is None


def test_counting_agrees_with_making_where_an_input_is_bad(folder: Path) -> None:
    (folder / "broken.png").write_bytes((folder / "p0.png").read_bytes()[:-20])
    manifest = load_jobs(folder, "  - {prompt: a, images: [broken.png], repeat: 3}\n  - [b]\n")
    rows = list(manifest.jobs())
    assert manifest.count() == len(rows)
    assert len({row.key for row in rows}) == len(rows)
