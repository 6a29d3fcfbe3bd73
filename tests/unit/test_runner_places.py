"""Where a file is, relative to the output folder and relative to the ledger's."""

from pathlib import Path

import pytest

from pipeline.runner.places import FolderPlaces


def places(root: Path, output: str, ledger: str) -> FolderPlaces:
    for name in (output, ledger):
        (root / name).mkdir(parents=True, exist_ok=True)
    return FolderPlaces(root / output, root / ledger)


@pytest.mark.parametrize(
    ("output", "ledger", "recorded"),
    [
        ("output", "output", "spring/00001-cat"),
        ("output", "books", "../output/spring/00001-cat"),
        ("books/output", "books", "output/spring/00001-cat"),
        ("output", "output/books", "../spring/00001-cat"),
        ("a/b", "c/d", "../../a/b/spring/00001-cat"),
    ],
)
def test_what_is_recorded_leads_back(tmp_path: Path, output: str, ledger: str, recorded: str) -> None:
    made = places(tmp_path, output, ledger)

    assert made.recorded("spring/00001-cat") == recorded
    assert made.in_output(recorded) == "spring/00001-cat"


def test_output_and_ledger_may_be_moved_together(tmp_path: Path) -> None:
    recorded = places(tmp_path / "here", "output", "books").recorded("cat")

    assert places(tmp_path / "there", "output", "books").in_output(recorded) == "cat"


@pytest.mark.parametrize("recorded", ["../elsewhere/cat", "../../cat", "../outputs/cat", "/etc/passwd"])
def test_a_place_outside_the_output_folder_is_none_of_its_own(tmp_path: Path, recorded: str) -> None:
    assert places(tmp_path, "output", "output").in_output(recorded) is None


def test_a_picture_of_another_output_folder_of_the_same_ledger_is_left_alone(tmp_path: Path) -> None:
    recorded = places(tmp_path, "mine", "books").recorded("cat")

    assert places(tmp_path, "yours", "books").in_output(recorded) is None


def test_folders_reached_through_links_are_the_folders_they_lead_to(tmp_path: Path) -> None:
    (tmp_path / "disk/pictures").mkdir(parents=True)
    (tmp_path / "output").symlink_to(tmp_path / "disk/pictures")
    (tmp_path / "books").mkdir()
    made = FolderPlaces(tmp_path / "output", tmp_path / "books")

    assert made.recorded("cat") == "../disk/pictures/cat"
    assert made.in_output("../disk/pictures/cat") == "cat"
    assert FolderPlaces(tmp_path / "disk/pictures", tmp_path / "books").in_output(made.recorded("cat")) == "cat"


def test_folders_may_be_named_relative_to_where_the_command_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "output").mkdir()

    assert FolderPlaces(Path("output"), Path("output")).recorded("cat") == "cat"
    assert FolderPlaces(Path("output"), Path()).in_output("output/cat") == "cat"
