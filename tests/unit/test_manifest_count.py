"""Counting jobs without making them."""

import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.manifest import Manifest
from tests.unit.manifest_writing import load_jobs

CELLS = st.sampled_from(
    ["", " ", "a", "16:9", "9:1", "7", "x", '"q, r"', '"a\nb"', '"a\r\n\n""b"""', 'q"', '"open', "a,b"]
)
LINES = st.lists(st.lists(CELLS, min_size=0, max_size=4).map(",".join), max_size=12)
JSON_VALUES = st.sampled_from(["a", "", " ", "9:1", None, 1, True, [1], "\x01"])
JSON_LINES = st.lists(
    st.fixed_dictionaries({}, optional=dict.fromkeys(("title", "ratio", "seed"), JSON_VALUES)).map(json.dumps)
    | st.sampled_from(["", " ", "{", "[1]", "NaN"]),
    max_size=12,
)
ENTRIES = st.tuples(
    st.integers(1, 4),
    st.sampled_from(["", ", vars: {v: [x, y, '']}", ", zip: {v: [x, y], w: [1:1, 9:1]}"]),
    st.sampled_from(["", ", ratio: '{ratio}'", ", seed: '{seed}'", ", ratio: '{ratio}', seed: '{seed}'"]),
)


def entry(name: str, repeat: int, variables: str, keys: str) -> str:
    words = "{title} {v} {w}" if "zip" in variables else "{title}{v}" if variables else "{title}"
    return f"  - {{rows: {name}, prompt: '{words}', repeat: {repeat}{variables}{keys}}}\n"


def made_one_by_one(manifest: Manifest) -> int:
    return sum(1 for _ in manifest.jobs())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(LINES, JSON_LINES, ENTRIES, ENTRIES, st.sampled_from(["\n", "\r\n", "\r"]))
def test_counting_gives_what_making_gives(
    lines: list[str],
    json_lines: list[str],
    one: tuple[int, str, str],
    two: tuple[int, str, str],
    end: str,
) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "p.csv").write_bytes(end.join(["title,ratio,seed", "a,1:1,1", *lines]).encode())
        first = '{"title": "a", "ratio": "", "seed": 1}'
        (folder / "p.jsonl").write_bytes(end.join([first, *json_lines]).encode())
        jobs = (
            entry("p.csv", *one)
            + entry("p.jsonl", *two)
            + "  - [a]\n  - {prompt: '{b}', vars: {b: [1, 2]}, repeat: 3}\n"
        )
        manifest = load_jobs(folder, jobs)
        assert manifest.count() == made_one_by_one(manifest)


def test_an_unfit_row_counts_once_whatever_repeat_says(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("title,ratio\na,1:1\nb,9:1\nc\n\n")
    manifest = load_jobs(tmp_path, "  - {rows: p.csv, prompt: '{title}', ratio: '{ratio}', repeat: 5}\n")
    assert manifest.count() == 5 + 1 + 1


def test_counting_is_at_least_five_times_quicker_than_making(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("title,ratio\n" + "".join(f"a quiet harbour {n},3:2\n" for n in range(10_000)))
    manifest = load_jobs(tmp_path, "  - {rows: p.csv, prompt: '{title}', ratio: '{ratio}'}\n")

    def best_of_three(count: bool) -> float:
        times = []
        for _ in range(3):
            before = time.process_time()
            assert (manifest.count() if count else made_one_by_one(manifest)) == 10_000
            times.append(time.process_time() - before)
        return min(times)

    assert best_of_three(True) * 5 < best_of_three(False)
