"""Names that are readable, portable, and stay inside the output folder."""

import ntpath
import time
import unicodedata
from pathlib import Path, PureWindowsPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.job import PictureRequest
from pipeline.manifest.complaints import UnfitError
from pipeline.manifest.naming import MAX_PART_BYTES, MAX_SLUG, Named, Naming, check_name, naming_of, safe_part, slug
from pipeline.ratio import Ratio
from tests.unit.manifest_writing import HEAD, NOON, load, load_jobs, made, only_problem

CONSTANTS = {"name": "n", "edition": "", "date": "2026-11-23"}
TEXTS = st.text(max_size=300) | st.text(alphabet="./\\ :con1é̸\u202e\x00~", max_size=30)


def named(variables: dict[str, str] | None = None, **changes: object) -> Named:
    request = PictureRequest(model="flux-kontext-pro", prompt="A cat!", ratio=Ratio(16, 9))
    facts = {
        "index": 7,
        "request": request,
        "repeat": 2,
        "use": "",
        "key": "0123456789abcdef",
        "variables": variables or {},
    }
    return Named(**{**facts, **changes})  # type: ignore[arg-type]


def naming(folder: str = "{name}/{edition}", file: str = "{index:05}-{slug}-{ratio}", **variables: str) -> Naming:
    return naming_of(folder, file, constants=CONSTANTS, variables=frozenset(variables))


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("A beautiful sunset over mountains", "a-beautiful-sunset-over-mountains"),
        ("The wizard's “old” hat, 50% off_now", "the-wizards-old-hat-50-off-now"),
        ("一只猫,坐在窗边", "一只猫-坐在窗边"),
        ("हिन्दी भाषा", "हिन्दी-भाषा"),
        ("Cafe\u0301 \u00c9TUDE", "café-étude"),
        ("a／b", "a-b"),
        ("?!… 🙂", "picture"),
        ("", "picture"),
        ("x" * 100, "x" * 40),
        ("one two three four five six seven eight nine ten", "one-two-three-four-five-six-seven-eight"),
    ],
)
def test_slugs_are_readable(prompt: str, expected: str) -> None:
    assert slug(prompt) == expected


@given(TEXTS)
def test_any_slug_is_a_safe_part_of_at_most_40_characters(prompt: str) -> None:
    made_slug = slug(prompt)
    assert 0 < len(made_slug) <= MAX_SLUG
    assert len(made_slug.encode()) <= MAX_PART_BYTES
    assert "/" not in made_slug
    assert made_slug[0] not in ".-"


def reserved_on_windows(part: str) -> bool:
    isreserved = getattr(ntpath, "isreserved", None)  # from 3.13 on, where the method of paths is deprecated
    return bool(isreserved(part) if isreserved else PureWindowsPath(part).is_reserved())


def assert_portable(part: str) -> None:
    assert len(part.encode()) <= MAX_PART_BYTES
    assert not set(part) & set('<>:"/\\|?*')
    assert not any(unicodedata.category(character) in {"Cc", "Cs"} for character in part)
    assert part == part.strip(". ")
    assert not reserved_on_windows(part)


@given(TEXTS)
@example("con." + "x" * 250)
@example("nul" + " " * 250 + "x")
@example(".. ..")
@example("\ud800/..")
@example("COM¹.txt")
def test_any_text_becomes_a_portable_part(text: str) -> None:
    assert_portable(safe_part(text))


@given(TEXTS, TEXTS)
def test_no_value_leads_out_of_the_folder(first: str, second: str) -> None:
    path = naming("{a}{b}/x{b}/{b}", "{b}{a}", a="", b="").path(named({"a": first, "b": second}))
    assert path
    assert not path.startswith("/")
    for part in path.split("/"):
        assert part not in {"", ".", ".."}
        assert_portable(part)


@pytest.mark.parametrize("word", ["CON", "con", "nul.txt", "Com1", "LPT9.x.y", "AUX ", "com²"])
def test_reserved_names_are_changed(word: str) -> None:
    assert safe_part(word).startswith("_")


def test_the_default_name() -> None:
    assert naming().path(named()) == "n/00007-a-cat-16x9"


def test_every_word() -> None:
    words = "{name}_{date}_{index}_{slug}_{ratio}_{model}_{seed}_{format}_{repeat:02}_{use}_{key}_{v}"
    path = naming("", words, v="").path(named({"v": "x/y"}, use="app_icon"))
    assert path == "n_2026-11-23_7_a-cat_16x9_flux-kontext-pro_random_jpeg_02_app_icon_0123456789ab_x-y"


def test_a_seed_has_a_width() -> None:
    request = PictureRequest(model="m", prompt="p", ratio=None, seed=42)
    assert naming("", "{seed:06}{ratio}").path(named(request=request)) == "000042"


def test_empty_parts_are_dropped_and_an_empty_file_has_a_name() -> None:
    assert naming("{name}//{edition}/", "{v}", v="").path(named({"v": "."})) == "n/picture"


def test_a_constant_folder_is_kept_as_written() -> None:
    assert naming("Spring 2026/{{a}}", "f").path(named()) == "Spring 2026/{a}/f"


def test_a_variable_that_this_job_has_not_is_empty() -> None:
    assert naming("", "{index}{v}", v="").path(named()) == "7"


@pytest.mark.parametrize("folder", ["/etc", "..", "a/../b", "../x", ".hidden", "a/.b", "./a", " ../x", ".{name}"])
def test_a_folder_outside_or_hidden_is_refused(folder: str) -> None:
    with pytest.raises(UnfitError, match="outside the output folder") as caught:
        naming(folder)
    assert caught.value.key == "folder"


@pytest.mark.parametrize("file", ["a/b", "a\\b", "C:x", "a*", 'a"b', "a\x07b", "a\u202eb", "..", ".a"])
def test_a_file_that_cannot_be_is_refused(file: str) -> None:
    with pytest.raises(UnfitError) as caught:
        naming("", file)
    assert caught.value.key == "file"


@pytest.mark.parametrize("folder", [" / ", "a/  /b"])
def test_a_part_of_nothing_but_spaces_is_refused(folder: str) -> None:
    with pytest.raises(UnfitError, match="without a letter"):
        naming(folder)


def test_too_many_folders_are_refused() -> None:
    with pytest.raises(UnfitError, match="more than 7 parts"):
        naming("a/b/c/d/e/f/g/h")


def test_a_width_on_a_text_is_refused() -> None:
    with pytest.raises(UnfitError, match="only numbers"):
        naming("", "{slug:05}")


def test_an_unknown_word_names_the_nearest(tmp_path: Path) -> None:
    problem = only_problem(tmp_path, HEAD + "output: {file: '{slugg}'}\njobs: [[a cat]]\n")
    assert (problem.line, problem.column, problem.path) == (4, 16, "output.file")
    assert problem.hint == "did you mean 'slug'?"


@pytest.mark.parametrize("width", ["05", ">5", ""])
@pytest.mark.parametrize("jobs", ["[[a cat]]", "[{prompt: 'a {v}', vars: {v: [x]}}]"])
def test_an_unknown_word_is_told_before_its_width(tmp_path: Path, width: str, jobs: str) -> None:
    problem = only_problem(tmp_path, HEAD + f"output: {{file: '{{indx:{width}}}'}}\njobs: {jobs}\n")
    assert problem.message == "there is no variable named 'indx' here"
    assert problem.hint == "did you mean 'index'?"


def test_a_width_is_told_when_nobody_knows_all_words() -> None:
    with pytest.raises(UnfitError, match="only numbers"):
        naming_of("", "{indx:05}", constants=CONSTANTS, variables=None)


def test_a_width_on_a_jobs_variable_is_refused() -> None:
    with pytest.raises(UnfitError, match="only numbers"):
        naming("", "{v:05}", v="")


def test_an_unknown_word_unlike_any_lists_all(tmp_path: Path) -> None:
    assert "index, slug" in only_problem(tmp_path, HEAD + "output: {file: '{zzz}'}\njobs: [[a cat]]\n").hint


@pytest.mark.parametrize("key", ["name", "edition"])
@pytest.mark.parametrize("value", ["../x", "a/b", "'..'", "a\\b", ".a", '"\\u00a0/.."'])
def test_names_and_editions_that_lead_outside_are_refused(tmp_path: Path, key: str, value: str) -> None:
    problem = only_problem(tmp_path, f"version: 1\n{key}: {value}\nprovider: simulator\njobs: [[a cat]]\n")
    assert (problem.line, problem.path) == (2, key)
    assert "outside the output folder" in problem.message


@pytest.mark.parametrize("text", ["x" * 201])
def test_a_long_name_is_refused(text: str) -> None:
    with pytest.raises(UnfitError, match="longer than"):
        check_name("name", text)


@pytest.mark.parametrize("value", ["''", "' '"])
def test_an_empty_name_is_refused(tmp_path: Path, value: str) -> None:
    assert only_problem(tmp_path, f"version: 1\nname: {value}\njobs: [[a cat]]\n").message == "is empty"


def test_the_name_is_the_files_own_when_none_is_given(tmp_path: Path) -> None:
    manifest = load(tmp_path, "version: 1\njobs: [[a cat]]\n", "My batch.yaml")
    assert manifest.name == "My batch"
    assert made(manifest)[0].path == "My batch/00001-a-cat-1x1"


@pytest.mark.parametrize(
    ("edition", "rendered"),
    [
        ("{date}", "2026-11-23"),
        ("{year}", "2026"),
        ("{month}", "2026-11"),
        ("{week}", "2026-W48"),
        ("v3", "v3"),
        ("{hour}", "2026-11-23T12"),
        ("{name}-2", "test-2"),
        ("''", ""),
    ],
)
def test_editions(tmp_path: Path, edition: str, rendered: str) -> None:
    quoted = edition if edition.startswith("'") else f'"{edition}"'
    manifest = load_jobs(tmp_path, "  - [a cat]\n", f"{HEAD}edition: {quoted}\n")
    assert manifest.edition == rendered
    assert made(manifest)[0].path == "/".join(filter(None, ["test", rendered, "00001-a-cat-1x1"]))


def test_an_unknown_word_in_an_edition_names_the_nearest(tmp_path: Path) -> None:
    problem = only_problem(tmp_path, HEAD + 'edition: "{dat}"\njobs: [[a cat]]\n')
    assert (problem.path, problem.hint) == ("edition", "did you mean 'date'?")


def test_an_unknown_word_in_an_edition_is_told_before_its_format(tmp_path: Path) -> None:
    problem = only_problem(tmp_path, HEAD + 'edition: "{dat:05}"\njobs: [[a cat]]\n')
    assert (problem.message, problem.hint) == ("there is no variable named 'dat' here", "did you mean 'date'?")


def test_a_new_edition_makes_new_keys(tmp_path: Path) -> None:
    keys = {made(load_jobs(tmp_path, "  - [a cat]\n", f"{HEAD}edition: {edition}\n"))[0].key for edition in ("a", "b")}
    assert len(keys) == 2


def test_this_moment_counts_when_none_is_given(tmp_path: Path) -> None:
    from pipeline.manifest import load_manifest

    (tmp_path / "m.yaml").write_text(HEAD + 'edition: "{year}"\njobs: [[a cat]]\n')
    assert int(load_manifest(tmp_path / "m.yaml").edition) >= NOON.year - 1


def test_marks_in_any_order_cost_no_more_than_other_characters() -> None:
    """Putting combining marks in order takes the square of their number: a cell of them took minutes."""
    marks = "a" + "\u0300\u0316" * 65_000
    before = time.process_time()
    assert len(safe_part(marks).encode()) <= MAX_PART_BYTES
    assert len(slug(marks[:32_000])) <= MAX_SLUG
    assert time.process_time() - before < 1
