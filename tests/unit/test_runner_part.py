"""How a run is divided over its processes."""

from pathlib import Path

import pytest
from PIL import Image

from pipeline.catalog import profiles
from pipeline.inputs import Finder
from pipeline.inputs.finder import Blindfold
from pipeline.job import UnfitRow
from pipeline.manifest import load_manifest
from pipeline.produce.pace import Lesson
from pipeline.runner.endpoint import Endpoint
from pipeline.runner.part import Part, together
from pipeline.runner.sellers import Contact


def _parts(of: int) -> list[Part]:
    return [Part(number=number, of=of) for number in range(of)]


@pytest.mark.parametrize("of", [1, 2, 3, 7])
@pytest.mark.parametrize("whole", [7, 8, 16, 33])
def test_shares_are_the_whole_and_none_is_empty(of: int, whole: int) -> None:
    shares = [part.share(whole) for part in _parts(of)]
    assert sum(shares) == whole
    assert min(shares) >= 1
    assert max(shares) - min(shares) <= 1


def test_each_row_is_one_parts_and_equal_rows_are_the_same_ones(tmp_path: Path) -> None:
    file = tmp_path / "batch.yaml"
    jobs = "".join(f'  - ["Scene {number % 50}"]\n' for number in range(100))
    file.write_text(f"version: 1\nprovider: simulator\njobs:\n{jobs}")
    rows = list(load_manifest(file).jobs())
    parts = [[row.index for row in part.rows(rows)] for part in _parts(3)]
    assert sorted(index for part in parts for index in part) == [row.index for row in rows]
    assert all(part == sorted(part) and part for part in parts)
    assert {(index - 1) % 50 for index in parts[0]}.isdisjoint((index - 1) % 50 for index in parts[1])


def test_edits_are_one_parts_whatever_another_would_find_of_their_inputs(tmp_path: Path) -> None:
    for number in range(8):
        Image.new("RGB", (24, 16), (number, 0, 0)).save(tmp_path / f"{number}.png")
    names = "".join(f"{number}.png\n" for number in range(12))  # the last four are not there
    (tmp_path / "rows.csv").write_text(f"file\n{names}")
    file = tmp_path / "batch.yaml"
    file.write_text(
        "version: 1\nprovider: simulator\njobs:\n  - ['One']\n  - ['Two']\n  - ['Three']\n"
        "  - {rows: rows.csv, prompt: Edit, images: ['{file}'], repeat: 2}\n"
    )
    manifest = load_manifest(file)
    first, *others = _parts(3)
    with Finder() as finder, Blindfold() as blindfold:
        looked = list(first.rows(manifest.jobs(finder=finder)))
        rest = [row.index for part in others for row in part.rows(manifest.jobs(finder=blindfold))]
    assert sorted([*(row.index for row in looked), *rest]) == list(range(1, 24))
    assert set(range(4, 24)) <= {row.index for row in looked}
    assert sum(isinstance(row, UnfitRow) for row in looked) == 4


def test_what_is_known_of_limits_is_divided_and_what_is_found_is_added_up() -> None:
    known = {"model": Lesson(level=16, wall=20, rate=3.0, learned_at=5.0)}
    found = [part.lessons(known) for part in _parts(2)]
    assert found[0]["model"] == Lesson(level=8, wall=10, rate=1.5, learned_at=5.0)
    assert together(found) == known
    assert together([found[0], {}]) == known  # a part that had no row of that model met the same limits


@pytest.mark.parametrize("stated", [None, 60.0])
def test_each_process_asks_each_provider_at_its_share_of_the_rate(stated: float | None) -> None:
    whole = Contact(
        profile=profiles()["bfl"],
        endpoint=Endpoint(base_url="https://api.example/v1", api_key="a key"),
        rate_per_minute=stated,
        lessons={"model": Lesson(level=9, wall=None, rate=None, learned_at=5.0)},
    )
    shares = [whole.divided(part) for part in _parts(3)]
    assert [share.rate_per_minute for share in shares] == [stated and 20.0] * 3
    assert [share.lessons["model"].level for share in shares] == [3] * 3
    assert all((share.profile, share.endpoint) == (whole.profile, whole.endpoint) for share in shares)
