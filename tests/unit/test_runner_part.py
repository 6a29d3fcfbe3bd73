"""How a run is divided over its processes."""

from pathlib import Path

import pytest

from pipeline.manifest import load_manifest
from pipeline.produce.pace import Lesson
from pipeline.runner.part import Part, together


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


def test_what_is_known_of_limits_is_divided_and_what_is_found_is_added_up() -> None:
    known = {"model": Lesson(level=16, wall=20, rate=3.0, learned_at=5.0)}
    found = [part.lessons(known) for part in _parts(2)]
    assert found[0]["model"] == Lesson(level=8, wall=10, rate=1.5, learned_at=5.0)
    assert together(found) == known
    assert together([found[0], {}]) == known  # a part that had no row of that model met the same limits
